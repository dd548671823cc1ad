"""The page of a run in a real browser: nothing runs in it, nothing is fetched, and the claim is seen without scrolling."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from modeltrust.evaluation.judge import judge
from modeltrust.evaluation.report.page import page as write_page
from tests.support.evaluations import a_report, a_suite

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")
EVIL = '"><script>window.bad = 1</script><img src="http://127.0.0.1:9/x" onerror="window.bad = 2">'
SIZES = [(1100, 800), (390, 844)]  # a laptop, a telephone


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def html(name: str, folder: Path) -> str:
    suite = a_suite()
    report = {
        "passed": a_report(suite),
        "failed": a_report(suite, triggered=("Date",), answer=EVIL),
        "warned": a_report(suite, triggered=("Date",), agreed=False, answer=EVIL),
        "inconclusive": a_report(suite, preflight=EVIL),
        "broken": replace(a_report(suite), problem=EVIL),
    }[name]
    path = folder / f"{name}.html"
    path.write_text(write_page(report, judge(report, suite), suite), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("size", SIZES, ids=["laptop", "telephone"])
@pytest.mark.parametrize("name", ["passed", "failed", "warned", "inconclusive", "broken"])
def test_the_claim_is_seen_without_scrolling_and_nothing_runs(
    name: str, size: tuple[int, int], tmp_path: Path, browser_page: Page
) -> None:
    said: list[str] = []
    asked: list[str] = []
    browser_page.on("console", lambda message: said.append(message.text))
    browser_page.on("pageerror", lambda error: said.append(str(error)))
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.set_viewport_size({"width": size[0], "height": size[1]})
    where = html(name, tmp_path)
    browser_page.goto(where)

    claim, badge = browser_page.locator("p.claim"), browser_page.locator(".badge")
    for shown in (claim, badge):
        box = shown.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= size[1]
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert (said, [url for url in asked if url != where]) == ([], [])
    assert browser_page.evaluate("window.bad") is None


def test_the_policy_of_the_page_blocks_a_script_even_if_escaping_ever_failed(tmp_path: Path, browser_page: Page) -> None:
    where = Path(html("passed", tmp_path).removeprefix("file://"))
    where.write_text(where.read_text(encoding="utf-8").replace("</main>", f"{EVIL}</main>"), encoding="utf-8")
    said: list[str] = []
    browser_page.on("console", lambda message: said.append(message.text))
    browser_page.goto(where.as_uri())

    assert browser_page.evaluate("window.bad") is None
    assert any("Content Security Policy" in line for line in said)
