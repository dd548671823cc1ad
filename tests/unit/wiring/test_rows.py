"""The tables that ship are read strictly and stamped."""

import pytest

from modeltrust.domain.errors import InvalidInputError
from modeltrust.wiring.rows import load_tables, load_yaml


def test_the_tables_that_ship_are_accepted_and_stamped() -> None:
    tables = load_tables()
    assert len(tables.version) == 64
    assert tables.version == load_tables().version
    assert {"vllm", "sglang", "tgi", "tei", "llamacpp", "ollama-serve", "triton"} <= tables.programs.keys()
    assert "internal.serving.kserve.io/storage-spec*" in tables.watched_annotations


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: {b: 1, b: 2}",
        "x: &a 1\ny: *a",
        "a: [",
        "\t",
        "!!python/object:os.system x",
        "[]: x\n? {}\n: y",
        "a" * 300_000,
    ],
)
def test_ambiguous_or_dangerous_yaml_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        load_yaml(text)


def test_plain_yaml_is_read() -> None:
    assert load_yaml("a: [1, {b: x}]") == {"a": [1, {"b": "x"}]}
