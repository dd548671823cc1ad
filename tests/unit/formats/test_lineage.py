"""Which bases a model names."""

from typing import Any

import pytest

from modeltrust.domain.evidence import LineageClaim
from modeltrust.domain.reference import parse_reference
from modeltrust.formats.lineage import claims

COMMIT = "a" * 40


def front(text: str) -> str:
    return f"---\nlicense: mit\n{text}\ntags:\n- x\n---\nbase_model: not/this\n"


@pytest.mark.parametrize(
    ("readme", "expected"),
    [
        ("base_model: a/b", [("finetune", "hf://a/b")]),
        ("base_model: 'a/b' # the base\nbase_model_relation: quantized", [("quantized", "hf://a/b")]),
        ('base_model:\n- a/b\n- "c/d"', [("merge", "hf://a/b"), ("merge", "hf://c/d")]),
        ("base_model: [a/b, c/d]\nbase_model_relation: strange", [("merge", "hf://a/b"), ("merge", "hf://c/d")]),
        ("base_model: ../local", [("finetune", '"../local"')]),
        ("base_model: ''", []),
        ("library_name: x", []),
    ],
)
def test_front_matter_names_bases(readme: str, expected: list[tuple[str, str]]) -> None:
    assert list(claims(front(readme), None, None, None)) == [LineageClaim(*claim) for claim in expected]


@pytest.mark.parametrize("readme", [None, "", "no front matter\nbase_model: a/b", "base_model: a/b\n---\n"])
def test_text_outside_front_matter_claims_nothing(readme: str | None) -> None:
    assert claims(readme, None, None, None) == ()


@pytest.mark.parametrize(
    ("adapter", "base"),
    [
        ({"base_model_name_or_path": "a/b", "revision": COMMIT}, f"hf://a/b@{COMMIT}"),
        ({"base_model_name_or_path": "a/b", "revision": None}, "hf://a/b"),
        ({"base_model_name_or_path": "a/b", "revision": "bad ref"}, "hf://a/b"),
        ({"base_model_name_or_path": "/mnt/base"}, '"/mnt/base"'),
        ({"base_model_name_or_path": ["x"]}, "\"['x']\""),
    ],
)
def test_adapter_names_its_base_also_where_it_cannot_be_resolved(adapter: Any, base: str) -> None:
    assert claims(None, adapter, None, None) == (LineageClaim("adapter", base),)


def test_config_names_a_base_unless_it_is_a_folder_or_the_model_itself() -> None:
    itself = parse_reference("hf://me/model")[0]
    assert claims(None, None, {"_name_or_path": "a/b"}, itself) == (LineageClaim("finetune", "hf://a/b"),)
    assert claims(None, None, {"_name_or_path": "me/model"}, itself) == ()
    assert claims(None, None, {"_name_or_path": "./checkpoint-10"}, itself) == ()
    assert claims(None, None, {"_name_or_path": "gpt2"}, itself) == ()
    assert claims(None, [], {"_name_or_path": 3}, itself) == ()


def test_a_base_named_twice_is_one_claim_and_the_adapter_counts() -> None:
    adapter = {"base_model_name_or_path": "a/b", "revision": COMMIT}
    assert claims(front("base_model: a/b"), adapter, {"_name_or_path": "a/b"}, None) == (
        LineageClaim("adapter", f"hf://a/b@{COMMIT}"),
    )
