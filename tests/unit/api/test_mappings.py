"""ModelReferenceMapping: what is compiled, and what stands for one that cannot be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrust.api.compile import UnprovenError, check_mapping, compile_mapping
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError
from modeltrust.references.mappings import EVERY_KIND, KindMapping
from tests.support import api_objects as objects
from tests.support.api_objects import DELETED, changed
from tests.support.trusted import EXTRACTOR
from tests.support.workloads import COMMIT

Object = dict[str, Any]
TEST = {"object": objects.CONNECTOR, "expect": ["hf://acme/guard"]}


def proven(*expect: str, model: Any = "acme/guard", **spec: Any) -> Object:
    config = {"internalService": {"config": {"MODEL_ID": model}}}
    obj = objects.CONNECTOR | {"spec": {"nodes": {"root": {"steps": [config]}}, **spec}}
    return changed(objects.mapping(), "spec.tests", [{"object": obj, "expect": list(expect)}])


def compiled(obj: Object) -> KindMapping:
    return compile_mapping(obj, EXTRACTOR)


def test_one_whose_tests_hold_is_used() -> None:
    mapping = check_mapping(objects.mapping(), EXTRACTOR)
    assert (mapping.name, mapping.group, mapping.kinds, mapping.broken) == ("gmc", "gmc.opea.io", ("GMConnector",), "")
    assert [action.path.text for action in mapping.actions] == [
        "$.spec.nodes.*.steps[*].internalService.config.MODEL_ID",
        "$.spec.template",
    ]


def test_a_revision_is_compared_where_a_test_states_one() -> None:
    row = [{"path": "$.spec.model", "role": "Base", "uriProfile": "KServe"}]
    obj = changed(proven("hf://acme/guard", model="x/y"), "spec.refs", row)
    obj["spec"]["tests"][0]["object"]["spec"]["model"] = f"hf://acme/guard:{COMMIT}"
    for expected in ("hf://acme/guard", f"hf://acme/guard@{COMMIT}"):
        obj["spec"]["tests"][0]["expect"] = [expected]
        check_mapping(obj, EXTRACTOR)
    obj["spec"]["tests"][0]["expect"] = [f"hf://acme/guard@{'0' * 40}"]
    with pytest.raises(UnprovenError, match=r"^spec\.tests\[0\]\.expect\[0\]: got .*expected .*00000"):
        check_mapping(obj, EXTRACTOR)


@pytest.mark.parametrize(
    "obj",
    [
        proven("hf://acme/guard", model="acme/other"),
        proven("hf://acme/guard", "hf://acme/second"),
        proven("hf+https://hub.example/acme/guard"),
        proven("hf://acme/guard", model=""),
        proven("hf://acme/guard", model=["acme/guard"]),
        proven("hf://acme/guard", model="$(MODEL)"),
        proven("hf://Acme/guard"),
        proven("hf://acme/guard@main"),
    ],
)
def test_one_whose_tests_do_not_hold_says_which_and_what_was_found(obj: Object) -> None:
    with pytest.raises(UnprovenError, match=r"^spec\.tests\[0\]\.expect\[[01]\]: got .+, expected .+"):
        check_mapping(obj, EXTRACTOR)
    assert compiled(obj).broken.startswith("spec.tests[0].expect[")
    assert compiled(obj).actions == ()


def test_every_test_must_hold() -> None:
    other = {"object": objects.CONNECTOR, "expect": ["hf://acme/missing"]}
    with pytest.raises(UnprovenError, match=r'^spec\.tests\[1\]\.expect\[0\]: got "hf://acme/guard", expected "hf://acme/missing"'):
        check_mapping(changed(objects.mapping(), "spec.tests", [TEST, other]), EXTRACTOR)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("spec.tests", [{**TEST, "object": objects.CONNECTOR | {"kind": "Other"}}], "spec.tests[0].object: got"),
        ("spec.tests", [{**TEST, "object": objects.CONNECTOR | {"apiVersion": "v1"}}], "spec.tests[0].object: got"),
        ("spec.tests", [{**TEST, "object": objects.CONNECTOR | {"apiVersion": 7}}], "spec.tests[0].object: got"),
        ("spec.tests", [{**TEST, "object": objects.CONNECTOR | {"metadata": 7}}], "spec.tests[0].object: got"),
        ("spec.tests", [{**TEST, "object": objects.CONNECTOR | {"pad": "x" * 70_000}}], "spec.tests[0]: got tests of more than"),
        ("spec.tests", DELETED, "spec.tests: got nothing"),
        ("spec.tests", [], "spec.tests: "),
        ("spec.refs", [{"path": "$.spec[0]", "role": "Base", "uriProfile": "BareHF"}], "spec.refs[0].got path"),
        ("spec.refs", [{"path": "$.metadata.labels", "role": "Base", "uriProfile": "BareHF"}], "spec.refs[0].path: got"),
        ("spec.refs", [{"path": "$.spec.x", "role": "Base", "uriProfile": "Nothing"}], "spec.refs[0].uriProfile: got"),
        ("spec.podTemplates", [{"path": "$..template"}], "spec.podTemplates[0].path: got"),
        ("spec.match.group", "apps", "spec.match.group: got"),
        ("spec.match.group", "rbac.authorization.k8s.io", "spec.match.group: got"),
        ("spec.match.group", "modeltrust.dev", "spec.match.group: got"),
        ("spec.match.kinds", ["*"], "spec.match.kinds[0]: got"),
        ("spec.match.kinds", [], "spec.match.kinds: "),
    ],
)  # fmt: skip
def test_one_that_is_wrong_is_refused_with_the_place(path: str, value: Any, where: str) -> None:
    obj = changed(objects.mapping(), path, value)
    with pytest.raises(InvalidInputError) as refused:
        check_mapping(obj, EXTRACTOR)
    assert str(refused.value).startswith(where)
    assert compiled(obj).broken == str(refused.value)


def test_tests_together_are_bounded() -> None:
    big = {**TEST, "object": objects.CONNECTOR | {"pad": "x" * (limits.MAPPING_TEST_BYTES // 2)}}
    check_mapping(changed(objects.mapping(), "spec.tests", [big]), EXTRACTOR)
    with pytest.raises(InvalidInputError, match=r"^spec\.tests\[1\]: got tests of more than"):
        check_mapping(changed(objects.mapping(), "spec.tests", [big, big]), EXTRACTOR)


def test_an_object_of_a_test_that_is_nested_too_deep_is_refused_with_its_place() -> None:
    inner: Object = {}
    for _ in range(5_000):
        inner = {"a": inner}
    deep = {**TEST, "object": objects.CONNECTOR | {"spec": inner}}
    with pytest.raises(InvalidInputError, match=r"^spec\.tests\[0\]\.object: got an object that is nested too deep"):
        check_mapping({**objects.mapping(), "spec": {**objects.mapping()["spec"], "tests": [deep]}}, EXTRACTOR)


def test_a_broken_one_stands_for_the_kinds_that_it_names() -> None:
    broken = compiled(changed(objects.mapping(), "spec.tests", DELETED))
    assert (broken.name, broken.group, broken.kinds, broken.actions) == ("gmc", "gmc.opea.io", ("GMConnector",), ())
    assert broken.broken


@pytest.mark.parametrize("kinds", [DELETED, [], 7, {}, [7, None]])
def test_a_broken_one_without_readable_kinds_stands_for_its_group(kinds: Any) -> None:
    assert compiled(changed(objects.mapping(), "spec.match.kinds", kinds)).kinds == (EVERY_KIND,)


@pytest.mark.parametrize(
    "group", [DELETED, "", "apps", "batch", "*", "admissionregistration.k8s.io", "modeltrust.dev", 7, ["x.example"]]
)
def test_m6_a_broken_one_stands_for_nothing_that_no_mapping_may_name(group: Any) -> None:
    broken = compiled(changed(objects.mapping(), "spec.match.group", group))
    assert broken.broken
    assert broken.group == ""


@pytest.mark.parametrize("obj", [{}, {"metadata": 7, "spec": []}, {"spec": {"match": []}}, {"metadata": {"name": "A"}}])
def test_whatever_it_is_nothing_is_raised(obj: Object) -> None:
    assert compiled(obj).broken


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=10,
)
_PLACES = st.sampled_from(
    [
        "spec",
        "spec.match",
        "spec.match.group",
        "spec.match.kinds",
        "spec.refs",
        "spec.tests",
        "spec.podTemplates",
        "metadata",
        "kind",
    ]
)


@given(path=_PLACES, value=_JSON)
def test_whatever_stands_in_it_it_is_compiled_or_quarantined_for_kinds_that_it_may_name(path: str, value: Any) -> None:
    mapping = compiled(changed(objects.mapping(), path, value))
    assert bool(mapping.broken) is not bool(mapping.actions)
    assert mapping.kinds
    assert not mapping.group or ("." in mapping.group and not mapping.group.endswith(".k8s.io"))


def test_a_test_is_read_with_this_mapping_alone() -> None:
    other = check_mapping(proven("hf://acme/second", model="acme/second"), EXTRACTOR)
    taught = EXTRACTOR.taught(lambda: {("gmc.opea.io", "GMConnector"): (other,)})
    obj = changed(proven("hf://acme/second", model="acme/second"), "spec.refs", DELETED)
    with pytest.raises(UnprovenError):
        check_mapping(obj, taught)
