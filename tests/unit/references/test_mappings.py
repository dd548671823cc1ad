"""Kinds taught by a ModelReferenceMapping: it adds, and silences nothing (attack M6)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrust.domain.errors import InvalidInputError, LimitExceededError
from modeltrust.domain.workload import Role, Workload
from modeltrust.references.mappings import EVERY_KIND, KindMapping, by_kind, camel, mappings_of, reference_action, template_action
from tests.support.workloads import COMMIT, container, extractor, found, reasons

Object = dict[str, Any]
MODEL_ID = "$.spec.nodes.*.steps[*].internalService.config.MODEL_ID"


def connector(value: Any, **spec: Any) -> Object:
    steps = [{"internalService": {"config": {"MODEL_ID": value}}}]
    return {
        "apiVersion": "teach.example/v1",
        "kind": "Connector",
        "metadata": {"name": "x"},
        "spec": {"nodes": {"root": {"steps": steps}}, **spec},
    }


def mapping(*paths: str, name: str = "m", kind: str = "Connector", **fields: Any) -> KindMapping:
    profiles = extractor().tables.profiles
    actions = tuple(reference_action(path, Role.BASE, "BareHF", profiles) for path in paths)
    return KindMapping(name, "teach.example", (kind,), **({"actions": actions} | fields))


def taught(document: Any, *mappings: KindMapping) -> Workload:
    reader = extractor().taught(lambda: by_kind(mappings))
    return reader.extract(json.dumps(document).encode(), namespace="team")


def test_a_mapping_names_what_stands_at_its_path() -> None:
    workload = taught(connector("acme/guard"), mapping(MODEL_ID))
    assert found(workload) == ["base hf://acme/guard"]
    assert workload.references[0].locator == "/spec/nodes/root/steps/0/internalService/config/MODEL_ID"
    assert workload.references[0].spelling == "bare-hf"
    assert workload.inference


def test_without_it_nothing_is_seen_there() -> None:
    assert not taught(connector("acme/guard")).references
    assert not taught(connector("acme/guard"), mapping(MODEL_ID, kind="Another")).references


@pytest.mark.parametrize("version", ["teach.example/v1", "teach.example/v9alpha7"])
def test_it_holds_for_every_version(version: str) -> None:
    assert found(taught(connector("a/b") | {"apiVersion": version}, mapping(MODEL_ID))) == ["base hf://a/b"]


@pytest.mark.parametrize("version", ["v1", "evil.example/v1", "teach.example.evil/v1", "/v1"])
def test_it_holds_for_its_group_alone(version: str) -> None:
    assert not taught(connector("a/b") | {"apiVersion": version}, mapping(MODEL_ID)).references


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("value", ["no reference!", "$(CODE)/x", "{{ .Code }}", "/mnt/code", "./code/x", "a/b@c@d", " a/b"])
def test_m6_what_cannot_be_read_is_said_whatever_it_is_used_for(role: Role, value: str) -> None:
    actions = (reference_action(MODEL_ID, role, "BareHF", extractor().tables.profiles),)
    assert reasons(taught(connector(value), mapping(actions=actions))) == ["UnresolvedReference"]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("value", ["evil", "s3://evil"])
def test_m6_a_name_of_one_word_is_a_reference_whatever_it_is_used_for(role: Role, value: str) -> None:
    actions = (reference_action(MODEL_ID, role, "BareHF", extractor().tables.profiles),)
    assert taught(connector(value), mapping(actions=actions)).references


@pytest.mark.parametrize("value", [7, True, ["acme/guard"], {"a": "acme/guard"}, 1.5, [], {}])
def test_what_is_no_text_there_is_said_and_never_passed_over(value: Any) -> None:
    assert reasons(taught(connector(value), mapping(MODEL_ID))) == ["UnresolvedReference"]


@pytest.mark.parametrize("value", ["$(MODEL)", "{{ .Model }}", "unknown-scheme://x", "a/b/../c", "x" * 5_000, "/models/guard"])
def test_what_cannot_be_read_there_is_said_and_never_passed_over(value: str) -> None:
    assert reasons(taught(connector(value), mapping(MODEL_ID))) == ["UnresolvedReference"]


def test_a_null_or_an_empty_text_names_nothing() -> None:
    assert not taught(connector(None), mapping(MODEL_ID)).unresolved
    assert not taught(connector(""), mapping(MODEL_ID)).unresolved


def test_mappings_of_one_kind_are_united() -> None:
    workload = taught(connector("a/b", more="c/d"), mapping("$.spec.more", name="z"), mapping(MODEL_ID, name="a"))
    assert found(workload) == ["base hf://a/b", "base hf://c/d"]


def test_a_pod_template_at_its_path_is_walked_even_where_the_generic_walk_finds_none() -> None:
    pod = {"spec": {"containers": [container(image="vllm/vllm-openai:v1", args=["--model", "acme/served"]) | {"name": ""}]}}
    pod["spec"]["containers"][0].pop("name")
    document = connector("a/b", worker={"template": pod})
    rows = KindMapping("m", "teach.example", ("Connector",), (template_action("$.spec.worker.template"),))
    assert "base hf://acme/served" in found(taught(document, rows))


@pytest.mark.parametrize("value", ["text", 7, ["x"]])
def test_a_pod_template_of_another_form_is_said(value: Any) -> None:
    rows = KindMapping("m", "teach.example", ("Connector",), (template_action("$.spec.template"),))
    assert reasons(taught(connector("a/b", template=value), rows)) == ["UnresolvedReference"]


def test_it_silences_no_rule_that_is_built_in() -> None:
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "x", "annotations": {"mine": "acme/annotated"}},
        "spec": {"predictor": {"model": {"storageUri": f"hf://a/b:{COMMIT}"}, "extra": "acme/extra", "containers": [
            container(env=[{"name": "HF_ENDPOINT", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])]}},
    }  # fmt: skip
    before = extractor().extract(json.dumps(service).encode(), namespace="team")
    rows = KindMapping(
        "m",
        "serving.kserve.io",
        ("InferenceService",),
        (
            reference_action("$.spec.predictor.extra", Role.ADAPTER, "BareHF", extractor().tables.profiles),
            reference_action("$.spec.predictor.model.storageUri", Role.CODE, "KServe", extractor().tables.profiles),
            template_action("$.spec.predictor"),
        ),
    )
    after = taught(service, rows)
    assert before.references
    assert set(before.references) <= set(after.references)
    assert set(before.unresolved) <= set(after.unresolved)
    assert set(before.images) <= set(after.images)
    assert "adapter hf://acme/extra" in found(after)


def test_a_mapping_that_is_costly_cannot_hide_what_was_found_before_it() -> None:
    wide = {str(index): {"a": {"a": {"a": "x"}}} for index in range(2_000)}
    server = {"containers": [container(command=["vllm", "serve", "a/b"])]}
    workload = taught(connector("c/d", pod=server, wide=wide), mapping("$.spec..a..a..a"))
    assert "base hf://a/b" in found(workload)
    assert reasons(workload)[0] == "LimitExceeded"


def test_a_mapping_that_cannot_be_used_makes_its_kinds_unresolved() -> None:
    workload = taught(connector("a/b"), mapping(broken="spec.refs[0].path: got x", actions=()))
    assert reasons(workload) == ["UnresolvedReference"]
    assert "ModelReferenceMapping m" in workload.unresolved[0].message
    assert "spec.refs[0].path: got x" in workload.unresolved[0].message


def test_one_that_cannot_be_used_leaves_the_others_and_other_kinds_alone() -> None:
    broken = mapping(broken="why", actions=(), name="b")
    assert found(taught(connector("a/b"), broken, mapping(MODEL_ID))) == ["base hf://a/b"]
    assert not taught(connector("a/b") | {"kind": "Other"}, broken).unresolved


def test_one_whose_kinds_cannot_be_read_stands_for_its_group() -> None:
    broken = KindMapping("m", "teach.example", (EVERY_KIND,), broken="why")
    assert reasons(taught(connector("a/b") | {"kind": "Whatever"}, broken)) == ["UnresolvedReference"]
    assert not taught(connector("a/b") | {"apiVersion": "other.example/v1"}, broken).unresolved


def test_an_object_inside_an_object_is_read_so_too() -> None:
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "x"},
        "spec": {"templates": [{"resource": {"manifest": json.dumps(connector("acme/inner"))}}]},
    }
    assert "base hf://acme/inner" in found(taught(template, mapping(MODEL_ID)))


@pytest.mark.parametrize(
    "path",
    [
        "$.metadata.annotations.model", "$.metadata", "$['metadata','spec'].x", "$.status.model", "$.kind", "$.apiVersion",
        "$.*", "$[*]", "$..model", "$.*.annotations",
    ],
)  # fmt: skip
def test_c2_a_path_to_what_updates_change_unjudged_is_refused(path: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^path: got .*metadata and status"):
        template_action(path)


@pytest.mark.parametrize(
    "path",
    ["$.spec[0]", "$.spec[?(@.x)]", "$.spec[1:2]", "$.spec.", "spec.x", "$.spec[(@.length-1)]", "$.spec['a\\'b']", "$.spec x"],
)
def test_a_path_outside_the_subset_is_refused(path: str) -> None:
    with pytest.raises(InvalidInputError, match="got path"):
        template_action(path)


@pytest.mark.parametrize("profile", ["", "Bare", "bare_hf", "BareHF ", "None", "*"])
def test_a_profile_that_is_not_known_is_refused_with_those_that_are(profile: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^uriProfile: .*expected one of .*BareHF.*KServe"):
        reference_action("$.spec.x", Role.BASE, profile, extractor().tables.profiles)


def test_every_profile_has_one_spelling_that_is_accepted() -> None:
    profiles = extractor().tables.profiles
    spelt = {camel(name) for name in profiles}
    assert len(spelt) == len(profiles)
    for name in profiles:
        action = reference_action("$.spec.x", Role.BASE, camel(name), profiles)
        assert action.ref is not None
        assert action.ref.profile == name


def test_mappings_are_looked_up_at_each_question() -> None:
    known: list[KindMapping] = []
    reader = extractor().taught(lambda: by_kind(known))
    body = json.dumps(connector("a/b")).encode()
    assert not reader.extract(body).references
    known.append(mapping(MODEL_ID))
    assert found(reader.extract(body)) == ["base hf://a/b"]
    assert not extractor().extract(body).references  # the one it was taught from knows nothing of it


def test_the_look_up_is_by_group_and_kind() -> None:
    mapped = by_kind([mapping(name="b"), mapping(name="a"), KindMapping("c", "", ("Pod",), broken="why")])
    assert [entry.name for entry in mappings_of(mapped, "teach.example", "Connector")] == ["a", "b"]
    assert not mappings_of(mapped, "", "Pod")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "MODEL_ID", "*", "~/"]), children, max_size=3)
    ),
    max_leaves=12,
)


@given(spec=_VALUES, path=st.lists(st.sampled_from([".a", ".b", ".*", "[*]", "..MODEL_ID", "['a','b']", "['~/']"]), max_size=4))
def test_whatever_stands_there_is_named_or_said(spec: Any, path: list[str]) -> None:
    document = {"apiVersion": "teach.example/v1", "kind": "Connector", "metadata": {"name": "x"}, "spec": spec}
    before = extractor().extract(json.dumps(document).encode())
    try:
        after = taught(document, mapping("$.spec" + "".join(path)))
    except LimitExceededError:
        return
    assert {entry.locator for entry in before.unresolved} <= {entry.locator for entry in after.unresolved}
    assert {str(entry.reference) for entry in before.references} <= {str(entry.reference) for entry in after.references}
