"""The CRDs are structural schemas, bounded everywhere, and say what the models say."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from modeltrust.api import crds
from modeltrust.api.v1alpha1.kind import Kind
from modeltrust.api.v1alpha1.kinds import KINDS
from tests.generate import ROOT
from tests.generated_crds import generate

ALL = tuple(KINDS.values())
SHORT = {"mtsigner", "mtsource", "mtpolicy", "mtattest", "mtsuite", "mtrevoke", "mtexempt", "mtmap"}
FORBIDDEN = {
    "$ref",
    "$defs",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "patternProperties",
    "propertyNames",
    "const",
    "title",
    "nullable",
    "uniqueItems",
}


def _nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            yield from _nodes(node[keyword], f"{path}.{keyword}")


def _halves(kind: Kind[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for half in ("spec", "status"):
        yield from _nodes(_root(kind)["properties"][half], half)


@cache
def _definition(kind: Kind[Any]) -> dict[str, Any]:
    return crds.definition(kind)


def _root(kind: Kind[Any]) -> dict[str, Any]:
    (version,) = _definition(kind)["spec"]["versions"]
    root: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return root


def test_what_is_generated_is_what_is_committed() -> None:
    generated = generate()
    assert {name: (ROOT / name).read_text(encoding="utf-8") for name in generated} == generated
    folders = (ROOT / "crds", ROOT / "charts" / "modeltrust" / "files" / "crds")
    assert {str(path.relative_to(ROOT)) for folder in folders for path in folder.glob("*.yaml")} == set(generated)


def test_the_eight_kinds_have_their_names() -> None:
    names = [_definition(kind)["spec"]["names"] for kind in ALL]
    assert {name["shortNames"][0] for name in names} == SHORT
    assert all(name["categories"] == ["modeltrust"] for name in names)
    assert all(_definition(kind)["spec"]["scope"] == "Cluster" for kind in ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_every_level_is_structural(kind: Kind[Any]) -> None:
    for path, node in _halves(kind):
        assert not FORBIDDEN & node.keys(), path
        assert node["type"] in {"object", "array", "string", "integer", "boolean"}, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert ("items" in node) == (node["type"] == "array"), path
        assert isinstance(node.get("additionalProperties", {}), dict), path
        assert node.get("format") == "int64" or node["type"] != "integer", path


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_every_list_map_and_string_is_bounded(kind: Kind[Any]) -> None:
    for path, node in _halves(kind):
        if node["type"] == "string":
            assert "maxLength" in node or "enum" in node, path
        if node["type"] == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_every_list_says_how_it_is_merged(kind: Kind[Any]) -> None:
    for path, node in _halves(kind):
        if node["type"] != "array":
            continue
        form = node["x-kubernetes-list-type"]
        item = node["items"]
        if form == "map":
            assert set(node["x-kubernetes-list-map-keys"]) <= set(item["required"]), path
        elif form == "set":
            assert item["type"] == "string", path
        else:
            assert form == "atomic", path


def test_where_nothing_may_vanish_unknown_fields_are_kept_at_every_level() -> None:
    for name in ("ModelPolicy", "ModelRevocation", "TrustedSigner"):
        for path, node in _nodes(_root(KINDS[name])["properties"]["spec"]):
            if "properties" in node:
                assert node["x-kubernetes-preserve-unknown-fields"] is True, path


def test_required_names_exist_and_defaults_are_allowed_values() -> None:
    for kind in ALL:
        for path, node in _halves(kind):
            assert set(node.get("required", [])) <= node.get("properties", {}).keys(), path
            assert "default" not in node or node["default"] in node.get("enum", [node["default"]]), path


def test_an_attestation_never_changes_its_model() -> None:
    rules = [rule["rule"] for rule in _root(KINDS["ModelAttestation"])["properties"]["spec"]["x-kubernetes-validations"]]
    assert "self.model == oldSelf.model" in rules
    assert "has(self.contentDigest) == has(oldSelf.contentDigest)" in rules


def test_columns_end_with_ready_and_age() -> None:
    for kind in ALL:
        (version,) = _definition(kind)["spec"]["versions"]
        assert [column["name"] for column in version["additionalPrinterColumns"]][-2:] == ["Ready", "Age"]
        assert version["subresources"] == {"status": {}}
