"""Exemptions end, revocations fold case, attestations are pinned, sources name hosts, mappings never silence."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from modeltrust.api.compile import (
    attestation_identity,
    check_exemption,
    check_object,
    compile_exemption,
    compile_revocation,
    compile_source,
    evidence_of,
    statements_of,
)
from modeltrust.api.v1alpha1.kinds import KINDS
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.globs import Glob
from modeltrust.domain.reference import parse_identity
from modeltrust.policy.policy import RevokedSigner, WorkloadName
from tests.support import api_objects as objects
from tests.support import trusted
from tests.support.api_objects import COMMIT, DELETED, DIGEST, Object, changed

MAKERS: tuple[Callable[[], Object], ...] = (
    objects.key_signer,
    objects.keyless_signer,
    objects.certificate_signer,
    objects.policy,
    objects.source,
    objects.attestation,
    objects.revocation,
    objects.exemption,
    objects.suite,
    objects.mapping,
)


@pytest.mark.parametrize("make", MAKERS)
def test_complete_objects_are_accepted(make: Callable[[], Object]) -> None:
    check_object(make(), trusted.EXTRACTOR)


@pytest.mark.parametrize("make", MAKERS)
def test_unknown_fields_are_refused_in_every_kind(make: Callable[[], Object]) -> None:
    with pytest.raises(InvalidInputError, match=r"spec\.extra: got an unknown field"):
        check_object(changed(make(), "spec.extra", 1), trusted.EXTRACTOR)


def test_a_revocation_is_compiled_with_case_folded() -> None:
    revocation = compile_revocation(objects.revocation())
    assert revocation.models == (Glob("hf://acme/guard", fold_case=True), Glob(f"hf://Acme/Other@{COMMIT}", fold_case=True))
    assert revocation.models[0].matches("hf://ACME/Guard")
    assert revocation.contents == {"ab" * 32}
    assert revocation.files == {"cd" * 32}
    eve = RevokedSigner(issuer="https://accounts.acme.example", subject="eve@acme.example", signed_after=1_793_491_200)
    assert revocation.signers == (RevokedSigner(fingerprint="ef" * 32), eve)
    assert (revocation.reason, revocation.reference) == ("backdoor found", "INC-1234")


R_SIGNERS = objects.revocation()["spec"]["signers"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.extra", 1),
        ("spec.reason", DELETED),
        ("spec.action", "Delete"),
        ("spec.reference", None),
        ("metadata.labels", 7),
        ("apiVersion", "modeltrust.dev/v2"),
        ("spec.models", ["hf://acme/guard", "acme", 7, None, {}, f"hf://Acme/Other@{COMMIT}"]),
        ("spec.models", ["hf://acme/guard", "hf://acme/guard", f"hf://Acme/Other@{COMMIT} "]),
        ("spec.contentDigests", ["ab" * 32, "sha256:" + "AB" * 32]),
        ("spec.fileDigests", "sha256:" + "cd" * 32),
        ("spec.signers", [{}, [], "x", *R_SIGNERS]),
        ("spec.signers[0].extra", True),
        ("spec.signers[1].extra", True),
    ],
)
def test_a_broken_revocation_revokes_everything_that_can_be_read_of_it(path: str, value: Any) -> None:
    whole, broken = compile_revocation(objects.revocation()), compile_revocation(changed(objects.revocation(), path, value))
    assert broken.broken
    assert not whole.broken
    assert set(whole.models) <= set(broken.models)
    assert (broken.contents, broken.files) == (whole.contents, whole.files)
    assert {(each.fingerprint, each.subject) for each in whole.signers} == {
        (each.fingerprint, each.subject) for each in broken.signers
    }


def test_the_api_server_keeps_what_it_does_not_know_in_a_revocation_so_that_a_typo_is_refused() -> None:
    # Pruned, "model" instead of "models" beside another list would be a revocation that does less than was written.
    with pytest.raises(InvalidInputError, match=r"spec\.model: got an unknown field"):
        check_object(changed(objects.revocation(), "spec.model", ["hf://acme/guard"]), trusted.EXTRACTOR)
    assert KINDS["ModelRevocation"].keep_unknown


def test_a_revoked_signer_whose_date_cannot_be_read_is_revoked_whenever_it_signed() -> None:
    broken = compile_revocation(changed(objects.revocation(), "spec.signers[1].signedAfter", "last week"))
    assert [(each.subject, each.signed_after) for each in broken.signers] == [("", None), ("eve@acme.example", None)]


@pytest.mark.parametrize(
    "obj", [{}, {"metadata": None, "spec": None}, {"metadata": {"name": 7}, "spec": []}, {"spec": {"models": 7, "signers": {}}}]
)
def test_a_revocation_without_anything_to_read_is_broken_and_revokes_nothing(obj: Object) -> None:
    broken = compile_revocation(obj)
    assert broken.broken
    assert (broken.name, broken.models, broken.contents, broken.files, broken.signers) == (
        "(unnamed)",
        (),
        frozenset(),
        frozenset(),
        (),
    )


def test_an_exemption_names_findings_as_findings_do() -> None:
    exemption = compile_exemption(objects.exemption())
    assert exemption.requirements == {"signature", "servingImage"}
    assert exemption.reasons == {"UnresolvedReference"}
    assert exemption.models == {f"hf://acme/guard@{COMMIT}"}
    assert exemption.expires_at == 1_797_724_800


def test_an_exemption_for_workloads_is_exact() -> None:
    workload = {"group": "apps", "kind": "Deployment", "name": "guard"}
    obj = changed(changed(objects.exemption(), "spec.models", DELETED), "spec.workloads", [workload])
    assert compile_exemption(obj).workloads == {WorkloadName("apps", "Deployment", "guard")}


def test_an_exemption_that_is_too_long_is_refused_and_ends_after_90_days_anyway() -> None:
    obj = changed(objects.exemption(), "spec.expirationTime", "2036-01-01T00:00:00Z")
    with pytest.raises(InvalidInputError, match=r"^spec\.expirationTime: .* 90 days after creation"):
        check_exemption(obj)
    assert compile_exemption(obj).expires_at == 1_795_132_800 + limits.EXEMPTION_SECONDS
    check_exemption(changed(obj, "metadata.creationTimestamp", DELETED))  # policy.exemptions ignores it until its end is near


def test_an_attestation_has_the_identity_it_states() -> None:
    assert attestation_identity(objects.attestation()) == parse_identity(f"hf://acme/guard@{COMMIT}")
    bucket = changed(changed(objects.attestation(), "spec.model", "s3://bucket/m"), "spec.contentDigest", DIGEST)
    assert attestation_identity(bucket) == parse_identity("s3://bucket/m", content=ContentDigest.parse(DIGEST))
    assert evidence_of(objects.attestation()) == (b'{"a": 1}',)
    assert evidence_of(changed(objects.attestation(), "spec.evidence", DELETED)) == ()


def _envelope(predicate: str) -> str:
    payload = base64.b64encode(json.dumps({"predicateType": predicate}).encode()).decode()
    return json.dumps({"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AA=="}]})


STATEMENT = _envelope("https://modeltrust.dev/statement/v1")


def _evidence(*texts: Any) -> list[Object]:
    return [{"name": f"e{index}", "bundle": {"inline": text}} for index, text in enumerate(texts)]


def test_statements_are_found_in_the_status_and_among_the_evidence() -> None:
    approval, oms = _envelope("https://modeltrust.dev/approval/v1"), '{"mediaType": "x"}'
    other = STATEMENT.replace("AA==", "BB8=")
    obj = objects.ours("ModelAttestation", "a", {"evidence": _evidence(approval, other, oms, STATEMENT)}) | {
        "status": {"statement": STATEMENT}
    }
    assert statements_of(obj) == (STATEMENT.encode(), other.encode())


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"status": [], "spec": 7},
        {"status": {"statement": 7}, "spec": {"evidence": {}}},
        {"status": {"statement": "x" * (limits.STATEMENT_BYTES + 1)}},
        {"status": {"statement": "\u20ac" * (limits.STATEMENT_BYTES // 2)}},
        {"spec": {"evidence": [7, {}, {"bundle": 7}, {"bundle": {"inline": 7}}, *_evidence("", "[]", "{", "\ud800")]}},
        {"spec": {"evidence": [*_evidence(*[""] * limits.API_EVIDENCE), *_evidence(STATEMENT)]}},
    ],
)
def test_whatever_else_is_in_an_attestation_is_no_statement(obj: Object) -> None:
    assert statements_of(obj) == ()


def test_a_source_is_compiled() -> None:
    source = compile_source(objects.source())
    assert (source.endpoints, source.secret) == (("https://huggingface.co",), "hf-acme")
    assert (source.signature_paths, source.signature_repositories) == (("model.sig",), ("registry.acme.example/signatures",))
    assert (source.max_bytes, source.max_files) == (1_000_000_000_000, 1000)
    bare = compile_source(changed(changed(objects.source(), "spec.limits", DELETED), "spec.credentials", DELETED))
    assert (bare.secret, bare.max_bytes, bare.max_files) == ("", None, limits.FILES)


R, X, A, S, E, M = (objects.revocation, objects.exemption, objects.attestation, objects.source, objects.suite, objects.mapping)


@pytest.mark.parametrize(
    ("make", "path", "value", "where"),
    [
        (R, "spec.models", [], "spec.models"),
        (R, "spec.models", ["acme"], "spec.models[0]"),
        (R, "spec.contentDigests", ["ab" * 32], "spec.contentDigests[0]"),
        (R, "spec.contentDigests", ["sha256:" + "AB" * 32], "spec.contentDigests[0]"),
        (R, "spec.signers[0]", {}, "spec.signers[0]: got none of them"),
        (R, "spec.signers[0].fingerprint", "EF" * 32, "spec.signers[0].fingerprint"),
        (R, "spec.signers[1].identity.subject", DELETED, "spec.signers[1].identity.subject"),
        (R, "spec.signers[1].identity.subject", "*", "spec.signers[1].identity.subject"),
        (R, "spec.signers[1].signedAfter", "x", "spec.signers[1].signedAfter"),
        (R, "spec.action", "Delete", "spec.action"),
        (R, "spec.reason", DELETED, "spec.reason"),
        (R, "spec", {"reason": "x", "action": "DenyNew"}, "spec: got none of them"),
        (X, "spec.models", ["hf://acme/*"], "spec.models[0]"),
        (X, "spec.models", ["hf://acme/guard"], "spec.models[0]"),
        (X, "spec.models", ["hf://acme/guard@main"], "spec.models[0]"),
        (X, "spec.models", DELETED, "spec: got none of them"),
        (X, "spec.workloads", [{"group": "", "kind": "Pod", "name": "a"}], "spec: got models and workloads"),
        (X, "spec.policies", ["*"], "spec.policies[0]"),
        (X, "spec.policies", [], "spec.policies"),
        (X, "spec.namespaces", ["*"], "spec.namespaces[0]"),
        (X, "spec.namespaces", DELETED, "spec.namespaces"),
        (X, "spec.requirements", ["signature"], "spec.requirements[0]"),
        (X, "spec.requirements", [], "spec.requirements"),
        *[
            (X, "spec.reasons", [reason], "spec.reasons[0]")
            for reason in ("ModelRevoked", "StatementInvalid", "InternalError", "NoPolicy")
        ],
        (X, "spec.justification", "", "spec.justification"),
        (X, "spec.expirationTime", DELETED, "spec.expirationTime"),
        (A, "spec.model", "hf://acme/guard", "spec.model"),
        (A, "spec.model", "hf://acme/guard@main", "spec.model"),
        (A, "spec.model", "acme/guard", "spec.model"),
        (A, "spec.contentDigest", DIGEST, "spec.contentDigest: got it beside a revision"),
        (A, "spec.evidence[0].bundle", {}, "spec.evidence[0].bundle: got none of them"),
        (A, "spec.evidence[1].name", "approval", "spec.evidence: got name"),
        (A, "spec.evidence[1].bundle.oci", "registry.acme.example/evidence:latest", "spec.evidence[1].bundle.oci"),
        (A, "spec.evidence[0].bundle.inline", {"a": 1}, "spec.evidence[0].bundle.inline"),
        (S, "spec.endpoints", [], "spec.endpoints"),
        (S, "spec.endpoints", ["http://hub.example"], "spec.endpoints[0]"),
        (S, "spec.endpoints", ["https://hub.example/path"], "spec.endpoints[0]"),
        (S, "spec.endpoints", ["https://user@hub.example"], "spec.endpoints[0]"),
        (S, "spec.endpoints", ["https://169.254.169.254"], "spec.endpoints[0]"),
        (S, "spec.type", "Ollama", "spec.type"),
        (S, "spec.credentials", {}, "spec.credentials.secretName"),
        (S, "spec.signatures[0].path", "../x.sig", "spec.signatures[0].path"),
        (S, "spec.signatures[0].oci", "registry/x", "spec.signatures[0]: got path and oci"),
        (S, "spec.limits", {}, "spec.limits: got none of them"),
        (S, "spec.limits.maxFiles", limits.FILES + 1, "spec.limits.maxFiles"),
        (E, "spec.decision.alpha", 0.01, "spec.decision.alpha"),
        (E, "spec.decision.alpha", "1.0", "spec.decision.alpha"),
        (E, "spec.baseline.from", "Lineage", "spec.baseline.reference"),
        (E, "spec.baseline.reference", DELETED, "spec.baseline.reference"),
        (E, "spec.serving.image", "registry.acme.example/vllm:latest", "spec.serving.image"),
        (E, "spec.serving.engine", "External", "spec.serving.image"),
        (E, "spec.probes", {}, "spec.probes: got none of them"),
        (E, "spec.reprobe.schedule", "daily, please", "spec.reprobe.schedule"),
        (M, "spec.match.group", "", "spec.match.group"),
        (M, "spec.match.group", "apps", "spec.match.group"),
        (M, "spec.match.group", "rbac.authorization.k8s.io", "spec.match.group"),
        (M, "spec.match.group", "autoscaling", "spec.match.group"),
        (M, "spec.match.group", "policy.k8s.io", "spec.match.group"),
        (M, "spec.match.group", "modeltrust.dev", "spec.match.group"),
        (M, "spec.match.kinds", ["*"], "spec.match.kinds[0]"),
        (M, "spec.refs[0].path", "spec.x", "spec.refs[0].path"),
        (M, "spec.refs[0].role", "base", "spec.refs[0].role"),
        (M, "spec.tests", [], "spec.tests"),
        (M, "spec.tests[0].expect", ["org/model"], "spec.tests[0].expect[0]"),
    ],
)
def test_what_is_wrong_is_refused_with_its_path(make: Callable[[], Object], path: str, value: Any, where: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_object(changed(make(), path, value), trusted.EXTRACTOR)
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize(
    ("obj", "where"),
    [
        ({}, "kind: "),
        ({"kind": ["ModelPolicy"]}, "kind: "),
        ({"kind": "Pod", "apiVersion": "v1"}, "kind: "),
        ({"kind": "ModelPolicy", "apiVersion": "modeltrust.dev/v1"}, "apiVersion: "),
    ],
)
def test_what_is_none_of_ours_is_refused(obj: Object, where: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{where}"):
        check_object(obj, trusted.EXTRACTOR)
