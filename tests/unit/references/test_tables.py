"""Rows are read strictly."""

from typing import Any

import pytest

from modeltrust.domain.errors import InvalidInputError
from modeltrust.references.extract import Extractor
from modeltrust.references.tables import parse_tables

EMPTY: dict[str, Any] = {
    "version": "1",
    "programs": [{"name": "generic"}, {"name": "any"}],
    **dict.fromkeys(
        ("profiles", "kinds", "topics", "calls", "requests", "drivers", "annotations", "resolvers", "accelerators"), ()
    ),
    **dict.fromkeys(("opaqueFlags", "quietCommands", "wrappers", "shells", "watchedLabels"), ()),
}
PROFILE = {"name": "bare-hf", "bare": "hub"}


def _rows(**topics: Any) -> dict[str, Any]:
    return EMPTY | {"profiles": [PROFILE]} | topics


def test_the_smallest_tables_are_accepted() -> None:
    assert parse_tables(_rows()).version == "1"


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        ({"programs": [{"name": "generic", "comands": []}]}, r"comands.*programs\[0\]"),
        ({"programs": [{"name": "generic"}]}, "any"),
        ({"programs": [{"name": "generic"}, {"name": "any"}, {"name": "any"}]}, "twice"),
        ({"programs": [{"name": "generic"}, {"name": "any", "include": ["x"]}]}, "include x"),
        ({"programs": [{"name": "generic"}, {"name": "any", "profile": "x"}]}, "profile x"),
        ({"programs": [{"name": "generic"}, {"name": "any", "flags": [{"names": ["-x"], "use": "modle"}]}]}, "modle"),
        ({"programs": [{"name": "generic", "commands": [["x"]]}, {"name": "any", "commands": [["x"]]}]}, "twice"),
        ({"kinds": [{"group": "", "kinds": ["A"], "versions": ["v1"]}] * 2}, "twice"),
        ({"kinds": [{"group": "", "kinds": ["A"], "versions": ["v1"], "podTemplate": []}]}, "podTemplate"),
        ({"profiles": [PROFILE, PROFILE]}, "twice"),
        ({"unknown": []}, "unknown"),
        ({"drivers": [{"driver": "x", "profile": "missing"}]}, "missing"),
    ],
)
def test_mistakes_are_refused(topics: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_tables(_rows(**topics))


@pytest.mark.parametrize(
    "row",
    [
        {"podTemplates": ["$..template"]},
        {"podTemplates": ["spec"]},
        {"podTemplates": ["$.metadata.template"]},
        {"podTemplates": ["$.spec[*]"], "podSpecs": ["$.spec.a"]},
        {"refs": [{"path": "$.spec.a"}, {"path": "$.spec.a.b"}]},
    ],
)
def test_a_closed_kind_that_cannot_be_decoded_is_refused(row: dict[str, Any]) -> None:
    tables = parse_tables(_rows(kinds=[{"group": "", "kinds": ["A"], "versions": ["v1"], "closed": True, **row}]))
    with pytest.raises(InvalidInputError):
        Extractor(tables)


def test_what_an_update_must_not_change_unjudged_is_exported() -> None:
    rows = _rows(
        annotations=[{"key": "a/b"}, {"key": "c/", "prefix": True}],
        watchedLabels=["l"],
        profiles=[PROFILE, {"name": "kserve", "bare": "path"}],
    )
    tables = parse_tables(rows)
    assert tables.watched_annotations == {"a/b", "c/*", "modeltrust.dev/*"}
    assert tables.watched_labels == {"l"}
