"""Fields of another form than their rows expect are read as far as they go, and never end in an error of ours."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits, reference
from modeltrust.domain.errors import InvalidReferenceError, LimitExceededError, MalformedError
from modeltrust.domain.reference import model_reference
from modeltrust.references import images, uris
from modeltrust.references.actions import actions
from modeltrust.references.budget import Budget
from modeltrust.references.images import read_image
from modeltrust.references.paths import Step
from modeltrust.references.uris import read
from modeltrust.wiring.rows import load_tables
from tests.support.workloads import extract, extractor, found, reasons

TABLES = load_tables()
PLACES = [
    (group, version, kind, action.path)
    for (group, version, kind), row in sorted(TABLES.kinds.items())
    if kind == row.kinds[0]
    for action in actions(row)
]
FORMS: list[Any] = ["x", "", 1, True, [], [1], ["x"], [{}], {}, {"x": 1}, {"x": "a/b"}, {"name": ["x"]}]
PARTS = [
    "a",
    "B9",
    "-",
    ".",
    "/",
    "_",
    "..",
    "--",
    ".git",
    ".gguf",
    "hf.co",
    "@sha256:" + "ab" * 32,
    ":tag",
    "$",
    ":8080",
    "x" * 40,
]


def _at(steps: tuple[Step, ...], value: Any) -> Any:
    for step in reversed(steps):
        value = dict.fromkeys(step.names, value) if step.names else [value]
    return value


@pytest.mark.parametrize("form", FORMS, ids=json.dumps)
def test_any_form_in_any_place_is_read_or_refused_as_malformed(form: Any) -> None:
    for group, version, kind, path in PLACES:
        document = {"apiVersion": f"{group}/{version}" if group else version, "kind": kind, "metadata": {"name": "x"}}
        body = json.dumps(document | _at(path.steps, form)).encode()
        try:
            workload = extractor().extract(body, namespace="team")
        except MalformedError:
            continue
        assert workload.kind == kind


def _object(version: str, kind: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def test_options_as_a_map_are_options() -> None:
    options = {"model": "a/b", "port": 8000, "other": ["x"]}
    workload = extract(_object("model.aibrix.ai/v1alpha1", "ModelClaim", engineConfig={"args": options}))
    assert found(workload) == ["base hf://a/b"]


def test_a_part_of_unknown_form_is_a_finding() -> None:
    workload = extract(_object("production-stack.vllm.ai/v1alpha1", "VLLMRuntime", vllmConfig={"env": {"A": "b"}}))
    assert reasons(workload) == ["UnresolvedReference"]
    assert "unknown form" in workload.unresolved[0].message


@pytest.mark.parametrize(("charge", "size"), [("charge", 1), ("charge_python", 1), ("charge_yaml", 1)])
def test_nothing_is_spent_twice(charge: str, size: int) -> None:
    with pytest.raises(LimitExceededError):
        getattr(Budget(0), charge)(size)


@pytest.mark.parametrize(("charge", "most"), [("charge_python", limits.PYTHON_BYTES), ("charge_yaml", limits.DOCUMENT_BYTES)])
def test_what_is_slow_to_read_has_a_bound_of_its_own(charge: str, most: int) -> None:
    budget = Budget(10 * most)
    getattr(budget, charge)(most)
    with pytest.raises(LimitExceededError, match="bytes of"):
        getattr(budget, charge)(1)


def _readings(text: str) -> list[str]:
    results = []
    for reader in (
        lambda: read(TABLES.profiles["bare-hf"], text, namespace="team"),
        lambda: read_image(text),
        lambda: model_reference("hf", text),
        lambda: model_reference("oci", text),
    ):
        try:
            results.append(repr(reader()))
        except InvalidReferenceError as error:
            results.append(str(error))
    return results


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=7).map("".join))
@settings(max_examples=300, deadline=None)
def test_usual_spellings_are_read_as_the_rules_read_them(text: str) -> None:
    quickly = _readings(text)
    with pytest.MonkeyPatch.context() as patch:
        for module in (uris, images, reference):
            patch.setattr(module, "_USUAL_CHARACTERS", -1)
        assert _readings(text) == quickly
