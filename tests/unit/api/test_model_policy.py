"""ModelPolicy: a requirement that was written never vanishes, and a broken policy is never weaker than it was meant."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.api.compile import check_policy, compile_policy, effective_requirements
from modeltrust.api.compile.policies import REGISTRY, Subject
from modeltrust.api.v1alpha1.fields import check_model_glob
from modeltrust.api.v1alpha1.model_policy import MEMBERS, RequirementType
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.evidence import Assurance
from modeltrust.domain.globs import Glob
from modeltrust.domain.signer import Purpose
from modeltrust.policy.policy import LabelSelector, Match, Mode, Pending, UnresolvedAction
from modeltrust.policy.requirements.evaluation import Evaluation, Inconclusive
from modeltrust.policy.requirements.formats import Formats
from modeltrust.policy.requirements.lineage import Lineage
from modeltrust.policy.requirements.pinned import Pinned
from modeltrust.policy.requirements.serving_image import ServingImage
from modeltrust.policy.requirements.signature import Alternative, Signature
from modeltrust.policy.requirements.sources import Sources
from tests.support import api_objects as objects
from tests.support.api_objects import DELETED, changed

POLICY = objects.policy()
ALL = tuple(REGISTRY)


def test_everything_that_is_written_is_compiled() -> None:
    policy = compile_policy(POLICY)
    assert policy.broken == ""
    assert (policy.name, policy.mode, policy.contact) == ("production", Mode.ENFORCE, "#ml-platform")
    assert (policy.pending, policy.unresolved) == (Pending.WARN, UnresolvedAction.ALLOW_DECLARED)
    assert (policy.enforce_after, policy.grace_seconds) == (1_799_971_200, 3600)
    assert policy.match == Match(
        namespaces=frozenset({"prod-a"}),
        selector=LabelSelector((("modeltrust.dev/tier", "prod"),), (("modeltrust.dev/exempt", "NotIn", ("yes",)),)),
        models=(Glob("**"),),
        cluster_scoped=True,
    )
    assert policy.on_reference == (Pinned(), Sources((Glob("hf://acme/*"), Glob("oci://registry.acme.example/**"))))
    assert policy.on_workload == (ServingImage((Glob("registry.acme.example/vllm@sha256:*"),)),)
    author = Alternative(Purpose.AUTHOR, ("acme-key", "acme-keyless"), None, 2)
    approval = Alternative(Purpose.APPROVAL, (), LabelSelector((("team", "platform"),)), 1)
    assert policy.on_statement == (
        Signature((author, approval), Assurance.BYTES_HASHED, ("README.md", "images/logo.png")),
        Formats(frozenset({"Safetensors"})),
        Lineage(),
        Evaluation(("canary",), 2_592_000, Inconclusive.DENY),
    )


def test_every_requirement_that_is_written_is_listed_as_effective() -> None:
    assert effective_requirements(compile_policy(POLICY)) == ALL
    for kind in ALL:
        entries = [entry for entry in POLICY["spec"]["requirements"] if entry["type"] == kind]
        assert effective_requirements(compile_policy(changed(POLICY, "spec.requirements", entries))) == (kind,)


def test_the_registry_knows_every_type_of_the_api_by_the_name_in_findings() -> None:
    assert set(get_args(RequirementType)) == set(REGISTRY) == set(MEMBERS)
    policy = compile_policy(POLICY)
    built: dict[Subject, Any] = {
        Subject.WORKLOAD: policy.on_workload,
        Subject.REFERENCE: policy.on_reference,
        Subject.STATEMENT: policy.on_statement,
    }
    for kind, row in REGISTRY.items():
        assert kind[:1].lower() + kind[1:] in [requirement.name for requirement in built[row.subject]]


def test_defaults_are_the_strict_ones() -> None:
    spec = {
        "mode": "Enforce",
        "match": {"namespaces": {"names": ["a"]}, "models": ["**"]},
        "requirements": [
            {"type": "Signature", "signature": {"anyOf": [{"purpose": "Author", "signers": [{"name": "a"}]}]}},
            {"type": "Formats", "formats": {"allowed": ["Safetensors"]}},
            {"type": "Evaluation", "evaluation": {"suites": [{"name": "canary"}]}},
        ],
    }
    policy = compile_policy(objects.ours("ModelPolicy", "p", spec))
    assert (policy.pending, policy.unresolved, policy.grace_seconds) == (Pending.DENY, UnresolvedAction.DENY, 0)
    assert policy.match.cluster_scoped is False
    signature, formats, evaluation = policy.on_statement
    assert signature == Signature((Alternative(Purpose.AUTHOR, ("a",)),), Assurance.SOURCE_DIGESTS)
    assert formats == Formats(frozenset({"Safetensors"}))
    assert evaluation == Evaluation(("canary",), None, Inconclusive.DENY)


REQUIREMENTS = "spec.requirements"
SIGNATURE = f"{REQUIREMENTS}[2].signature"
SELECTOR = "spec.match.namespaces.selector"
WRONG: list[tuple[str, Any, str]] = [
    ("spec.mode", DELETED, "spec.mode: got nothing"),
    ("spec.mode", "enforce", 'spec.mode: got "enforce", expected Enforce, Warn or Audit'),
    ("spec.mode", ["Enforce"], "spec.mode"),
    ("spec.enforceAfterTime", "tomorrow", "spec.enforceAfterTime"),
    ("spec.enforceAfterTime", "2027-01-15", "spec.enforceAfterTime"),
    ("spec.mode", "Audit", "spec.enforceAfterTime: got it with mode Audit"),
    ("spec.pending", "Allow", "spec.pending"),
    ("spec.unresolved", "Allow", "spec.unresolved"),
    ("spec.unresolved", None, "spec.unresolved: got null"),
    ("spec.expiredGraceSeconds", -1, "spec.expiredGraceSeconds"),
    ("spec.expiredGraceSeconds", "60", "spec.expiredGraceSeconds"),
    ("spec.expiredGraceSeconds", 1.5, "spec.expiredGraceSeconds"),
    ("spec.expiredGraceSeconds", 60.0, "spec.expiredGraceSeconds"),
    ("spec.expiredGraceSeconds", True, "spec.expiredGraceSeconds"),
    ("spec.expiredGraceSeconds", limits.GRACE_SECONDS + 1, "spec.expiredGraceSeconds"),
    ("spec.contact", "", "spec.contact"),
    ("spec.contact", "a\nb", "spec.contact"),
    ("spec.contact", "x" * 254, "spec.contact"),
    ("spec.requirement", [], "spec.requirement: got an unknown field"),
    ("spec.exceptions", ["x"], "spec.exceptions: got an unknown field"),
    ("spec.a b", 1, 'spec["a b"]: got an unknown field'),
    # match
    ("spec.match", DELETED, "spec.match: got nothing"),
    ("spec.match", {}, "spec.match.models: got nothing"),
    ("spec.match", [], "spec.match"),
    ("spec.match.models", DELETED, "spec.match.models"),
    ("spec.match.models", [], "spec.match.models"),
    ("spec.match.models", "**", "spec.match.models"),
    ("spec.match.models", ["acme/*"], "spec.match.models[0]"),
    ("spec.match.models", ["*"], "spec.match.models[0]"),
    ("spec.match.models", ["hf://**/x**"], "spec.match.models[0]"),
    # Spellings of other tools: each would match nothing for ever, and the policy or revocation do nothing.
    ("spec.match.models", ["oci://registry.acme.example/guard:v1"], "spec.match.models[0]"),
    ("spec.match.models", ["hf://acme/guard:main"], "spec.match.models[0]"),
    ("spec.match.models", ["hf://acme/guard/**"], "spec.match.models[0]"),
    ("spec.match.models", ["hf+https://huggingface.co/acme/*"], "spec.match.models[0]"),
    ("spec.match.models", ["oci://registry.acme.example:443/**"], "spec.match.models[0]"),
    ("spec.match.models", ["oci://*"], "spec.match.models[0]"),
    ("spec.match.models", ["hf+http://hub.example/acme/*"], "spec.match.models[0]"),
    ("spec.match.models", ["**", None], "spec.match.models[1]: got null"),
    ("spec.match.namespaces", {}, "spec.match.namespaces: got none of them"),
    ("spec.match.namespaces", None, "spec.match.namespaces: got null"),
    ("spec.match", {"models": ["**"]}, "spec.match.namespaces: got nothing"),
    ("spec.match", {"models": ["**"], "clusterScoped": False}, "spec.match.namespaces: got nothing"),
    ("spec.match.clusterScoped", "true", "spec.match.clusterScoped"),
    ("spec.match.namespaces.names", [], "spec.match.namespaces.names"),
    ("spec.match.namespaces.names", ["*"], "spec.match.namespaces.names[0]"),
    ("spec.match.namespaces.names", ["Prod"], "spec.match.namespaces.names[0]"),
    ("spec.match.namespaces.names", ["a", "a"], "spec.match.namespaces.names"),
    ("spec.match.namespaces.name", "a", "spec.match.namespaces.name: got an unknown field"),
    (SELECTOR, {}, f"{SELECTOR}: got none of them"),
    (f"{SELECTOR}.matchLabels", {}, f"{SELECTOR}.matchLabels"),
    (f"{SELECTOR}.matchLabels", {"team": "a"}, f"{SELECTOR}: got label"),
    (f"{SELECTOR}.matchLabels", {"modeltrust.dev.evil.example/x": "a"}, f"{SELECTOR}: got label"),
    (f"{SELECTOR}.matchLabels", {"modeltrust.dev/tier": 1}, f"{SELECTOR}.matchLabels"),
    (f"{SELECTOR}.matchLabels", {"modeltrust.dev/tier": "a b"}, f"{SELECTOR}.matchLabels"),
    (f"{SELECTOR}.matchExpressions[0].key", "team", f"{SELECTOR}: got label"),
    (f"{SELECTOR}.matchExpressions[0].operator", "Like", f"{SELECTOR}.matchExpressions[0].operator"),
    (f"{SELECTOR}.matchExpressions[0].values", DELETED, f"{SELECTOR}.matchExpressions[0].values"),
    (f"{SELECTOR}.matchExpressions[0].values", [], f"{SELECTOR}.matchExpressions[0].values"),
    (f"{SELECTOR}.matchExpressions[0].operator", "Exists", f"{SELECTOR}.matchExpressions[0].values: got operator Exists with"),
    # requirements
    (REQUIREMENTS, DELETED, f"{REQUIREMENTS}: got nothing"),
    (REQUIREMENTS, [], REQUIREMENTS),
    (REQUIREMENTS, {"pinned": {}}, REQUIREMENTS),
    (REQUIREMENTS, None, f"{REQUIREMENTS}: got null"),
    (f"{REQUIREMENTS}[0]", None, f"{REQUIREMENTS}[0]: got null"),
    (f"{REQUIREMENTS}[0]", {}, f"{REQUIREMENTS}[0].type: got nothing"),
    (f"{REQUIREMENTS}[0]", "Pinned", f"{REQUIREMENTS}[0]"),
    (f"{REQUIREMENTS}[0].type", "pinned", f"{REQUIREMENTS}[0].type"),
    (f"{REQUIREMENTS}[0].type", "Pined", f"{REQUIREMENTS}[0].type"),
    (f"{REQUIREMENTS}[0].type", "Sources", f"{REQUIREMENTS}[0].sources: got nothing"),
    (f"{REQUIREMENTS}[0].pinned", {}, f"{REQUIREMENTS}[0].pinned: got an unknown field"),
    (f"{REQUIREMENTS}[7]", {"type": "Pinned"}, REQUIREMENTS),
    (f"{REQUIREMENTS}[0]", {"type": "Lineage", "lineage": {"base": "Attested"}}, f"{REQUIREMENTS}: got type"),
    (f"{REQUIREMENTS}[1].sources", DELETED, f"{REQUIREMENTS}[1].sources: got nothing"),
    (f"{REQUIREMENTS}[1].sources", None, f"{REQUIREMENTS}[1].sources: got null"),
    (f"{REQUIREMENTS}[1].formats", {"allowed": ["Safetensors"]}, f"{REQUIREMENTS}[1].formats: got it in an entry of type Sources"),
    (f"{REQUIREMENTS}[1].sources.allowed", [], f"{REQUIREMENTS}[1].sources.allowed"),
    (f"{REQUIREMENTS}[1].sources.allow", ["**"], f"{REQUIREMENTS}[1].sources.allow: got an unknown field"),
    (f"{SIGNATURE}.anyOf", [], f"{SIGNATURE}.anyOf"),
    (f"{SIGNATURE}.anyOf", DELETED, f"{SIGNATURE}.anyOf"),
    (f"{SIGNATURE}.anyOf[0].purpose", DELETED, f"{SIGNATURE}.anyOf[0].purpose"),
    (f"{SIGNATURE}.anyOf[0].purpose", "Any", f"{SIGNATURE}.anyOf[0].purpose"),
    (f"{SIGNATURE}.anyOf[0].signers", [], f"{SIGNATURE}.anyOf[0].signers"),
    (f"{SIGNATURE}.anyOf[0].signers", DELETED, f"{SIGNATURE}.anyOf[0]: got none of them"),
    (f"{SIGNATURE}.anyOf[0].signers", ["acme"], f"{SIGNATURE}.anyOf[0].signers[0]"),
    (f"{SIGNATURE}.anyOf[0].signers", [{"name": "a"}, {"name": "a"}], f"{SIGNATURE}.anyOf[0].signers: got name"),
    (f"{SIGNATURE}.anyOf[0].signers[0].name", "*", f"{SIGNATURE}.anyOf[0].signers[0].name"),
    (f"{SIGNATURE}.anyOf[0].signerSelector", {"matchLabels": {"a": "b"}}, f"{SIGNATURE}.anyOf[0]: got signers and signerSelector"),
    (f"{SIGNATURE}.anyOf[1].signerSelector", {}, f"{SIGNATURE}.anyOf[1].signerSelector: got none of them"),
    (f"{SIGNATURE}.anyOf[0].threshold", 0, f"{SIGNATURE}.anyOf[0].threshold"),
    (f"{SIGNATURE}.anyOf[0].threshold", limits.API_THRESHOLD + 1, f"{SIGNATURE}.anyOf[0].threshold"),
    (f"{SIGNATURE}.minimumAssurance", "Strong", f"{SIGNATURE}.minimumAssurance"),
    (f"{SIGNATURE}.minimumAsurance", "BytesHashed", f"{SIGNATURE}.minimumAsurance: got an unknown field"),
    *[
        (f"{SIGNATURE}.unsignedPaths", [path], f"{SIGNATURE}.unsignedPaths[0]")
        for path in (
            "config.json",
            "*.md",
            "**",
            "a/../README.md",
            "/README.md",
            "vocab.txt",
            "tokenizer.model",
            "x.py",
            "README.md/",
            "",
        )
    ],
    (f"{SIGNATURE}.unsignedPaths", ["README.md", "README.md"], f"{SIGNATURE}.unsignedPaths"),
    (f"{REQUIREMENTS}[3].formats.allowed", [], f"{REQUIREMENTS}[3].formats.allowed"),
    (f"{REQUIREMENTS}[3].formats.allowed", ["safetensors"], f"{REQUIREMENTS}[3].formats.allowed[0]"),
    (f"{REQUIREMENTS}[3].formats.remoteCode", "Warn", f"{REQUIREMENTS}[3].formats.remoteCode"),
    (f"{REQUIREMENTS}[3].formats.remotecode", "Deny", f"{REQUIREMENTS}[3].formats.remotecode: got an unknown field"),
    (f"{REQUIREMENTS}[3].formats.templates", "safe", f"{REQUIREMENTS}[3].formats.templates"),
    (f"{REQUIREMENTS}[3].formats.scope", "None", f"{REQUIREMENTS}[3].formats.scope"),
    (f"{REQUIREMENTS}[4].servingImage.allowed", ["oci://registry/x"], f"{REQUIREMENTS}[4].servingImage.allowed[0]"),
    (f"{REQUIREMENTS}[4].servingImage.allowed", ["vllm image"], f"{REQUIREMENTS}[4].servingImage.allowed[0]"),
    (f"{REQUIREMENTS}[4].servingImage.allowed", [], f"{REQUIREMENTS}[4].servingImage.allowed"),
    (f"{REQUIREMENTS}[5].lineage.base", "Any", f"{REQUIREMENTS}[5].lineage.base"),
    (f"{REQUIREMENTS}[5].lineage", {}, f"{REQUIREMENTS}[5].lineage.base"),
    (f"{REQUIREMENTS}[6].evaluation.suites", [], f"{REQUIREMENTS}[6].evaluation.suites"),
    (f"{REQUIREMENTS}[6].evaluation.suites", ["canary"], f"{REQUIREMENTS}[6].evaluation.suites[0]"),
    (f"{REQUIREMENTS}[6].evaluation.maxAgeSeconds", 0, f"{REQUIREMENTS}[6].evaluation.maxAgeSeconds"),
    (f"{REQUIREMENTS}[6].evaluation.maxAgeSeconds", "30d", f"{REQUIREMENTS}[6].evaluation.maxAgeSeconds"),
    (f"{REQUIREMENTS}[6].evaluation.maxAgeSeconds", 1e400, f"{REQUIREMENTS}[6].evaluation.maxAgeSeconds"),
    (f"{REQUIREMENTS}[6].evaluation.inconclusive", "Allow", f"{REQUIREMENTS}[6].evaluation.inconclusive"),
    ("kind", "ModelPolicies", "kind: "),
    ("spec", None, "spec: got nothing"),
    ("rules", [], "rules: got an unknown field"),
]


@pytest.mark.parametrize(("path", "value", "where"), WRONG)
def test_what_is_wrong_is_refused_with_its_path(path: str, value: Any, where: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_policy(changed(POLICY, path, value))
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize(("path", "value", "where"), WRONG)
def test_what_is_wrong_is_quarantined_and_denies_what_it_matches(path: str, value: Any, where: str) -> None:
    policy = compile_policy(changed(POLICY, path, value))
    assert policy.broken.startswith(where)
    assert effective_requirements(policy) == ()
    assert policy.name == "production"
    assert policy.mode is (Mode.AUDIT if value == "Audit" else Mode.ENFORCE)
    assert (policy.pending, policy.unresolved, policy.grace_seconds) == (Pending.DENY, UnresolvedAction.DENY, 0)
    sound_match = not path.startswith("spec.match") and path != "spec"
    assert policy.match == (compile_policy(POLICY).match if sound_match else Match(everything=True))


def test_a_broken_policy_keeps_its_announced_date_and_its_contact() -> None:
    policy = compile_policy(changed(POLICY, "spec.pending", "x"))
    assert (policy.enforce_after, policy.contact) == (1_799_971_200, "#ml-platform")
    assert compile_policy(changed(POLICY, "spec.enforceAfterTime", "soon")).enforce_after is None
    assert compile_policy(changed(POLICY, "spec.contact", "x\x1b[31m" * 100)).contact.isprintable()


@pytest.mark.parametrize(
    "obj", [{}, {"metadata": 1, "spec": 2}, {"metadata": {"name": 7}}, {"spec": {"mode": None, "match": None}}]
)
def test_nothing_readable_enforces_over_everything(obj: dict[str, Any]) -> None:
    policy = compile_policy(obj)
    assert policy.broken
    assert (policy.name, policy.mode, policy.match) == ("(unnamed)", Mode.ENFORCE, Match(everything=True))


def test_a_policy_nested_without_end_is_quarantined() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    policy = compile_policy(changed(POLICY, "spec.pending", "x") | {"spec": {**POLICY["spec"], "contact": deep}})
    assert policy.broken.startswith("spec: got more than")


class _Hostile(dict[str, Any]):
    """A map of ours that fails in an unforeseen way."""

    def get(self, key: str, default: Any = None) -> Any:
        if key == "kind":
            raise ZeroDivisionError
        return super().get(key, default)


def test_a_bug_of_ours_ends_in_a_quarantine() -> None:
    policy = compile_policy(_Hostile(POLICY))
    assert policy.broken == "cannot be compiled: ZeroDivisionError"
    assert policy.name == "production"


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 10**20)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["Enforce", "Pinned", "**", "hf://a/*"]),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["type", "allowed", "models", "x"]), children, max_size=3)
    ),
    max_leaves=6,
)


def _paths(value: Any, path: str = "") -> list[str]:
    """Every place in an object, as ``changed`` names it."""
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [p for key, child in value.items() if "/" not in key for p in _paths(child, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return found + [p for index, child in enumerate(value) for p in _paths(child, f"{path}[{index}]")]
    return found


PATHS = _paths(POLICY)


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(PATHS), value=_JSON | st.just(DELETED))
def test_no_change_anywhere_raises_or_loses_a_requirement_silently(path: str, value: Any) -> None:
    mutated = changed(POLICY, path, value)
    policy = compile_policy(mutated)
    if policy.broken:
        with pytest.raises(InvalidInputError):
            check_policy(mutated)
        return
    check_policy(mutated)
    written = [entry["type"] for entry in mutated["spec"]["requirements"]]
    assert sorted(effective_requirements(policy)) == sorted(written)


FIELDS = [path for path in PATHS if path.startswith("spec.") and not path.endswith("]") and ".matchLabels." not in path]


@pytest.mark.parametrize("path", FIELDS)
def test_a_misspelt_field_anywhere_breaks_the_policy(path: str) -> None:
    misspelt = path[:-1] + ("x" if path[-1] != "x" else "y")
    assert f"{misspelt}: got an unknown field" in compile_policy(changed(POLICY, misspelt, "x")).broken


@pytest.mark.parametrize(
    "pattern",
    [
        "**",
        "**/guard",
        "**@sha256:*",
        "hf://*/guard",
        "hf://ACME/*",
        "hf://acme/guard@*",
        "hf://acme/guard@main",
        "hf+https://hub.acme.example/**",
        "oci://*.acme.example/**",
        "oci://registry.acme.example/*/guard@v1",
        "oci://registry.acme.example:*/guard",
        "s3://bucket/**",
        "pvc://team-a/claim",
        "*://acme/guard",
    ],
)
def test_a_pattern_that_some_reference_matches_is_accepted(pattern: str) -> None:
    check_model_glob(pattern)
