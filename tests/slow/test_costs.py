"""Seconds of this thread's own CPU where a unit test counts calls; generous, since shared machines differ by a factor."""

import gc
import json
import time
from collections.abc import Callable

import pytest

from modeltrust.domain import limits
from modeltrust.domain.globs import Glob
from modeltrust.formats.templates import check_template
from modeltrust.wiring.rules import load_rules
from tests.support.workloads import extractor
from tests.unit.domain.test_globs import HOSTILE as HOSTILE_TEXTS
from tests.unit.formats.test_templates import GROWING
from tests.unit.references.test_limits import HOSTILE as HOSTILE_OBJECTS

pytestmark = pytest.mark.slow

GENEROUS = 4  # times what was promised


def seconds(task: Callable[[], object]) -> float:
    """The best of three, without the collector: a full collection of pytest's own heap takes longer than what is measured."""
    gc.collect()
    gc.disable()
    try:
        return min(_once(task) for _ in range(3))
    finally:
        gc.enable()


def _once(task: Callable[[], object]) -> float:
    started = time.thread_time()
    task()
    return time.thread_time() - started


@pytest.mark.parametrize("name", sorted(HOSTILE_OBJECTS))
def test_a_hostile_object_is_read_in_50_milliseconds(name: str) -> None:
    body, reader = json.dumps(HOSTILE_OBJECTS[name]).encode(), extractor()
    assert seconds(lambda: reader.extract(body)) < 0.05 * GENEROUS


@pytest.mark.parametrize(("pattern", "text"), HOSTILE_TEXTS)
def test_a_hostile_text_is_compared_in_a_millisecond(pattern: str, text: str) -> None:
    glob = Glob(pattern)
    assert seconds(lambda: glob.matches(text[: limits.REFERENCE_CHARACTERS])) < 0.001 * GENEROUS


@pytest.mark.parametrize("name", GROWING)
def test_a_template_of_100_kilobytes_is_judged_in_a_second(name: str) -> None:
    build, rules = GROWING[name], load_rules().templates
    source = build(100_000 * 1_000 // len(build(1_000)))
    assert seconds(lambda: check_template(source, rules)) < 1 * GENEROUS
