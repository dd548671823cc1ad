import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from modeltrust.api.attestations import attestation
from modeltrust.api.compile import compile_policy, compile_revocation, compile_signer
from modeltrust.api.v1alpha1.model_attestation import ModelAttestationStatus
from modeltrust.api.v1alpha1.model_revocation import ModelRevocationSpec
from modeltrust.attestation.envelope import fingerprint
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.evidence import (
    EvaluationVerdict,
    FormatFinding,
    FormatReport,
    RejectedSignature,
    SignatureFacts,
    Statement,
    Verdict,
)
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.kube import paths
from modeltrust.kube.client import ConflictError
from modeltrust.kube.events import Events
from modeltrust.operator.attestations import Attestations, revocation
from modeltrust.operator.sources import Sources
from modeltrust.operator.writes import Writes
from modeltrust.policy.policy import Policy, Trust
from modeltrust.store.sink import Extra
from modeltrust.verification.attesting import Waiting
from tests.support import trusted
from tests.support.attesting import AttestingFake
from tests.support.cluster import ClusterSimulator
from tests.support.statements import DAY, NOW, a_signature
from tests.unit.operator.test_sources import source

Object = dict[str, Any]
OURS = paths.ours("modelattestations")
REVOCATIONS = paths.ours("modelrevocations")
EVENTS = paths.group("events.k8s.io/v1", "events", namespace="default")
SECRETS = paths.core("secrets", namespace="release")
GUARD = parse_identity(trusted.GUARD)
DIGEST = "sha256:" + "ab" * 32


class State:
    """What the operator knows besides the object."""

    def __init__(self) -> None:
        self.policies: list[Object] = [trusted.policy()]
        self.signers: list[Object] = [trusted.signer()]
        self.revocations: list[Object] = []
        self.verdicts: tuple[EvaluationVerdict, ...] = ()
        self.keys = {fingerprint(trusted.ATTESTOR_KEY.public_key())}

    def trust(self, now: int) -> tuple[Trust, tuple[Policy, ...]]:
        signers = {value["metadata"]["name"]: compile_signer(value) for value in self.signers}
        revocations = tuple(compile_revocation(value) for value in self.revocations)
        trust = Trust(now, lambda _identity: Absent(), signers, revocations=revocations)
        return trust, tuple(compile_policy(value) for value in self.policies)

    def ours(self, key: str) -> bool:
        return key in self.keys

    def evaluations(self, identity: Identity) -> tuple[EvaluationVerdict, ...] | None:
        assert identity == GUARD
        return self.verdicts


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def sources() -> Sources:
    sources = Sources()
    sources.replace(Extra.SOURCES, [source("acme", "hf://acme/*")])
    return sources


@pytest.fixture
def attesting() -> AttestingFake:
    return AttestingFake(trusted.statement(trusted.GUARD), key=lambda: trusted.ATTESTOR_KEY)


@pytest.fixture
def operator(writes: Writes, sources: Sources, attesting: AttestingFake, state: State, events: Events) -> Attestations:
    return Attestations(writes, namespace="release", sources=sources, attesting=attesting, state=state, events=events)


Put = Callable[..., str]


@pytest.fixture
def put(cluster: ClusterSimulator) -> Put:
    def put(**spec: Any) -> str:
        value = attestation(GUARD)
        value["spec"] |= spec
        cluster.put(OURS, value)
        return str(value["metadata"]["name"])

    return put


@pytest.fixture
def status(cluster: ClusterSimulator) -> Callable[[str], Object]:
    def status(name: str) -> Object:
        found = cluster.find(OURS, name)
        assert found is not None
        value: Object = found.get("status") or {}
        ModelAttestationStatus.model_validate(value)  # what the API server would refuse, we never write
        return value

    return status


def condition(status: Object, kind: str) -> tuple[str, str]:
    found = [entry for entry in status["conditions"] if entry["type"] == kind]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def test_a_request_becomes_a_statement_and_a_status_for_people(
    operator: Attestations, put: Put, status: Callable[[str], Object], attesting: AttestingFake
) -> None:
    name = put()
    result = operator.reconcile(name, NOW)
    said = status(name)

    assert (result.outcome, result.after, result.signed, result.signed_by) == ("attested", DAY, True, frozenset({"acme"}))
    assert said["files"] == {"count": 7, "bytes": 1_234, "formats": ["Safetensors"]}
    assert said["signatures"][0]["reason"] == "Trusted"
    assert said["policies"] == [{"name": "production", "outcome": "Admit", "reasons": []}]
    assert [condition(said, kind) for kind in ("Resolved", "SignatureVerified", "FormatsVerified", "Evaluated", "Ready")] == [
        ("True", "Resolved"),
        ("True", "Trusted"),
        ("True", "Clean"),
        ("True", "NotRequired"),
        ("True", "Verified"),
    ]
    assert condition(said, "Stalled") == condition(said, "Reconciling") == ("", "")
    assert said["observedGeneration"] == 1
    assert attesting.asked[0].previous is None


def test_a_second_look_writes_nothing(
    operator: Attestations, put: Put, cluster: ClusterSimulator, attesting: AttestingFake
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    before = len(cluster.writes())
    result = operator.reconcile(name, NOW + 60)
    assert len(cluster.writes()) == before
    assert (result.signed, attesting.asked[1].previous is not None) == (False, True)


def test_an_object_that_is_gone_or_going_is_left_alone(operator: Attestations, put: Put, cluster: ClusterSimulator) -> None:
    assert operator.reconcile("nothing", NOW).outcome == "gone"
    name = put()
    found = cluster.find(OURS, name)
    assert found is not None
    found["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    cluster.put(OURS, found)
    assert operator.reconcile(name, NOW).outcome == "gone"
    assert cluster.writes() == []


@pytest.mark.parametrize(
    "spec", [{"model": "hf://acme/guard-7b@main"}, {"model": "nonsense"}, {"contentDigest": DIGEST}, {"evidence": [{"name": "x"}]}]
)
def test_an_object_that_names_no_model_waits_for_nobody(
    spec: Object, operator: Attestations, put: Put, status: Callable[[str], Object], attesting: AttestingFake
) -> None:
    name = put(**spec)
    result = operator.reconcile(name, NOW)
    assert (result.outcome, result.after) == ("refused", None)
    assert condition(status(name), "Resolved")[0] == "False"
    assert condition(status(name), "Stalled")[0] == "True"
    assert attesting.asked == []


def test_h2_a_model_without_a_source_is_looked_up_nowhere(
    operator: Attestations,
    put: Put,
    status: Callable[[str], Object],
    sources: Sources,
    attesting: AttestingFake,
    cluster: ClusterSimulator,
) -> None:
    sources.replace(Extra.SOURCES, [])
    name = put()
    operator.reconcile(name, NOW)
    assert condition(status(name), "Resolved") == ("False", "SourceNotAllowed")
    assert attesting.asked == []
    assert [event["reason"] for event in cluster.all(EVENTS)] == ["ModelRefused"]


def test_several_equally_specific_sources_are_refused_by_name(
    operator: Attestations, put: Put, status: Callable[[str], Object], sources: Sources
) -> None:
    sources.upsert(Extra.SOURCES, source("twin", "hf://acme/*"))
    name = put()
    operator.reconcile(name, NOW)
    assert '"acme", "twin"' in str(status(name)["conditions"])


def test_credentials_come_from_the_release_namespace_alone_and_are_shown_nowhere(
    operator: Attestations,
    put: Put,
    status: Callable[[str], Object],
    sources: Sources,
    attesting: AttestingFake,
    cluster: ClusterSimulator,
) -> None:
    sources.upsert(Extra.SOURCES, source("acme", "hf://acme/*", credentials={"secretName": "hf-acme"}))
    name = put()
    result = operator.reconcile(name, NOW)
    assert (result.outcome, result.after) == ("refused", 60.0)  # F72
    assert "hf-acme" in str(status(name)["conditions"])

    cluster.put(SECRETS, {"metadata": {"name": "hf-acme"}, "data": {"token": "aHVudGVyMg=="}})
    operator.reconcile(name, NOW)
    (asked,) = attesting.asked
    assert asked.source is not None
    assert asked.source.password == "hunter2"
    assert "hunter2" not in str(cluster.find(OURS, name))
    assert "hunter2" not in str(cluster.all(EVENTS))


def test_a_secret_without_credentials_is_looked_at_again(
    operator: Attestations, put: Put, status: Callable[[str], Object], sources: Sources, cluster: ClusterSimulator
) -> None:
    sources.upsert(Extra.SOURCES, source("acme", "hf://acme/*", credentials={"secretName": "hf-acme"}))
    cluster.put(SECRETS, {"metadata": {"name": "hf-acme"}, "data": {}})
    name = put()
    assert operator.reconcile(name, NOW).after == 60.0
    assert condition(status(name), "Ready") == ("False", "SourceNotAllowed")


def test_evidence_is_handed_on_and_a_piece_without_a_source_keeps_no_other_from_counting(
    operator: Attestations, put: Put, sources: Sources, attesting: AttestingFake
) -> None:
    remote = f"r.example/evidence/a@{DIGEST}"
    name = put(evidence=[{"name": "a", "bundle": {"inline": "{}"}}, {"name": "b", "bundle": {"oci": remote}}])
    assert operator.reconcile(name, NOW).outcome == "attested"
    asked = attesting.asked.pop()
    assert (asked.bundles, asked.remote_bundles) == ((b"{}",), ())
    assert [piece.reason for piece in asked.missing] == [Reason.SOURCE_NOT_ALLOWED]
    assert "oci://r.example/evidence/a" in asked.missing[0].message
    sources.upsert(Extra.SOURCES, source("registry", "oci://r.example/**", type="OCI", endpoints=["https://r.example"]))
    assert operator.reconcile(name, NOW).outcome == "attested"
    assert attesting.asked[0].bundles == (b"{}",)
    assert [bundle.reference for bundle in attesting.asked[0].remote_bundles] == [remote]
    assert attesting.asked[0].missing == ()


def test_f72_a_secret_of_evidence_that_is_missing_is_used_soon_after_it_is_there(
    operator: Attestations, put: Put, sources: Sources, attesting: AttestingFake, cluster: ClusterSimulator
) -> None:
    private = source(
        "registry", "oci://r.example/**", type="OCI", endpoints=["https://r.example"], credentials={"secretName": "pull"}
    )
    sources.upsert(Extra.SOURCES, private)
    name = put(evidence=[{"name": "b", "bundle": {"oci": f"r.example/evidence/a@{DIGEST}"}}])
    assert operator.reconcile(name, NOW).after == 60.0
    assert "is not in the release namespace" in attesting.asked[-1].missing[0].message
    cluster.put(SECRETS, {"metadata": {"name": "pull"}, "data": {"token": "eA=="}})
    assert (operator.reconcile(name, NOW).after or 0) > 60
    assert attesting.asked[-1].missing == ()


def test_evidence_that_is_too_large_for_a_job_pushes_no_smaller_piece_out(
    operator: Attestations, put: Put, state: State, attesting: AttestingFake
) -> None:
    needs = {"anyOf": [{"purpose": "Author", "signers": [{"name": "acme"}]}], "minimumAssurance": "BytesHashed"}
    state.policies = [trusted.policy("strict", requirements=[{"type": "Signature", "signature": needs}])]
    small, pieces = '{"good": true}', [character * limits.STATEMENT_BYTES for character in "xyz"]
    name = put(evidence=[{"name": f"n{n}", "bundle": {"inline": text}} for n, text in enumerate([*pieces, small])])
    operator.reconcile(name, NOW)
    asked = attesting.asked[0]
    assert asked.bundles == (pieces[0].encode(), pieces[1].encode(), small.encode())
    assert ["does not fit" in piece.message for piece in asked.missing] == [True]


def test_every_byte_is_demanded_where_some_policy_does(
    operator: Attestations, put: Put, state: State, attesting: AttestingFake
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    needs = {"anyOf": [{"purpose": "Author", "signers": [{"name": "acme"}]}], "minimumAssurance": "BytesHashed"}
    strict = [{"type": "Signature", "signature": needs}]
    state.policies = [trusted.policy("other", match={"clusterScoped": True, "models": ["hf://zeta/*"]}, requirements=strict)]
    operator.reconcile(name, NOW)
    state.policies = [trusted.policy("strict", requirements=strict)]
    operator.reconcile(name, NOW)
    assert [asked.read_bytes for asked in attesting.asked] == [False, False, True]


@pytest.mark.parametrize("reason", [Reason.ATTESTATION_PENDING, Reason.LIMIT_EXCEEDED])
def test_s9_a_wait_is_visible_and_backs_off(
    reason: Reason, operator: Attestations, put: Put, status: Callable[[str], Object], attesting: AttestingFake
) -> None:
    attesting.answer = Waiting(reason, "the hub answered 429", 30)
    name = put()
    result = operator.reconcile(name, NOW)
    assert (result.outcome, result.retry, result.after) == ("waiting", True, 30.0)
    assert condition(status(name), "Resolved") == ("Unknown", reason)
    assert condition(status(name), "Reconciling") == ("True", reason)
    assert condition(status(name), "Ready") == ("False", reason)
    assert "429" in str(status(name)["conditions"])


def test_work_under_way_is_asked_about_soon_without_a_back_off(operator: Attestations, put: Put, attesting: AttestingFake) -> None:
    attesting.answer = Waiting(Reason.ATTESTATION_PENDING, "the model is being examined", 2, running=True)
    result = operator.reconcile(put(), NOW)
    assert (result.outcome, result.retry, result.after) == ("waiting", False, 2.0)


def test_an_outage_takes_nothing_away_that_is_known(
    operator: Attestations, put: Put, status: Callable[[str], Object], attesting: AttestingFake
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    known = status(name)
    attesting.answer = Waiting(Reason.ATTESTATION_PENDING, "no answer", 30)
    operator.reconcile(name, NOW + 60)
    after = status(name)
    assert {key: after[key] for key in known if key != "conditions"} == {key: known[key] for key in known if key != "conditions"}
    assert condition(after, "Ready") == ("True", "Verified")
    assert condition(after, "Reconciling")[0] == "True"
    attesting.answer = trusted.statement(trusted.GUARD)
    operator.reconcile(name, NOW + 120)
    assert condition(status(name), "Reconciling") == ("", "")


def test_a_source_taken_away_stops_no_renewal_and_is_said(
    operator: Attestations, put: Put, status: Callable[[str], Object], sources: Sources, attesting: AttestingFake
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    statement = status(name)["statement"]
    sources.replace(Extra.SOURCES, [])
    result = operator.reconcile(name, NOW)
    assert attesting.asked[-1].source is None
    assert attesting.asked[-1].previous == statement.encode()
    assert (result.outcome, result.after, result.signed) == ("attested", DAY, False)
    said = status(name)
    assert said["statement"] == statement
    assert condition(said, "Ready") == ("True", "Verified")
    assert condition(said, "Stalled") == ("True", "SourceNotAllowed")
    assert "no ModelSource covers" in str(said["conditions"])

    sources.replace(Extra.SOURCES, [source("acme", "hf://acme/*")])
    operator.reconcile(name, NOW)
    assert condition(status(name), "Stalled") == ("", "")


def test_credentials_taken_away_stop_no_renewal_and_are_looked_for_again(
    operator: Attestations, put: Put, status: Callable[[str], Object], sources: Sources
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    sources.upsert(Extra.SOURCES, source("acme", "hf://acme/*", credentials={"secretName": "hf-acme"}))
    result = operator.reconcile(name, NOW)
    assert (result.outcome, result.after) == ("attested", 60.0)
    assert condition(status(name), "Stalled") == ("True", "SourceNotAllowed")


def test_h2_without_a_source_a_statement_that_is_not_ours_counts_for_nothing(
    operator: Attestations, put: Put, status: Callable[[str], Object], sources: Sources, state: State, attesting: AttestingFake
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    sources.replace(Extra.SOURCES, [])
    attesting.answer = Waiting(Reason.SOURCE_NOT_ALLOWED, "nobody may be asked", 30)  # it cannot be read as one of ours
    assert operator.reconcile(name, NOW).outcome == "refused"
    state.keys = set()
    assert operator.reconcile(name, NOW).outcome == "refused"
    assert condition(status(name), "Ready") == ("False", "SourceNotAllowed")


def test_a_statement_of_a_key_that_we_do_not_hold_is_verified_anew(
    operator: Attestations, put: Put, state: State, attesting: AttestingFake
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    state.keys = set()
    operator.reconcile(name, NOW)
    assert [asked.previous for asked in attesting.asked] == [None, None]


@pytest.mark.parametrize("stated", ["", "{}", "not json", "é", "x" * 300_000])
def test_a_status_that_somebody_spoiled_is_verified_anew(
    stated: str, operator: Attestations, put: Put, cluster: ClusterSimulator, attesting: AttestingFake
) -> None:
    name = put()
    found = cluster.find(OURS, name)
    assert found is not None
    cluster.put(OURS, {**found, "status": {"statement": stated}})
    operator.reconcile(name, NOW)
    assert attesting.asked[0].previous is None


def test_h3_a_negative_verification_revokes_the_model_once(
    operator: Attestations, put: Put, attesting: AttestingFake, cluster: ClusterSimulator
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    attesting.negative = ("the signature of acme no longer verifies",)
    operator.reconcile(name, NOW)
    operator.reconcile(name, NOW + 60)
    (made,) = cluster.all(REVOCATIONS)
    ModelRevocationSpec.model_validate(made["spec"])
    assert made["spec"]["models"] == [GUARD.key]
    assert "no longer verifies" in made["spec"]["reason"]
    assert [event["reason"] for event in cluster.all(EVENTS)].count("ModelRevoked") == 1


def test_m4_no_event_says_that_a_model_is_revoked_where_another_revocation_has_the_name(
    operator: Attestations, put: Put, attesting: AttestingFake, cluster: ClusterSimulator
) -> None:
    name = put()
    named = revocation(GUARD, name=name, why=("x",))["metadata"]["name"]
    cluster.put(REVOCATIONS, {"metadata": {"name": named}, "spec": {"models": ["hf://other/one@*"], "action": "DenyNew"}})
    attesting.negative = ("other bytes",)
    operator.reconcile(name, NOW)
    (event,) = [event for event in cluster.all(EVENTS) if event["reason"] in ("ModelRevoked", "RevocationProposed")]
    assert event["reason"] == "RevocationProposed"
    assert f"ModelRevocation {named} is there already and does not name it" in event["note"]


def test_h3_the_revocation_comes_before_the_new_statement(
    operator: Attestations, put: Put, attesting: AttestingFake, cluster: ClusterSimulator, status: Callable[[str], Object]
) -> None:
    name = put()
    attesting.negative = ("other bytes",)
    cluster.faults = [("POST", "modelrevocations", 500)]
    with pytest.raises(UnavailableError):
        operator.reconcile(name, NOW)
    assert "statement" not in status(name)


def test_a_model_without_revisions_is_revoked_by_content() -> None:
    identity = parse_identity("s3://bucket/m", content=ContentDigest("ab" * 32))
    assert revocation(identity, name="n", why=("x",))["spec"]["contentDigests"] == [DIGEST]


def letter(**changes: Any) -> Statement:
    return dataclasses.replace(trusted.statement(trusted.GUARD), **changes)


STRANGER = SignatureFacts((a_signature(fingerprint="cd" * 32),))
REJECTED = SignatureFacts(rejected=(RejectedSignature(Reason.SIGNATURE_INVALID, "no"),))
UNKNOWN = SignatureFacts(STRANGER.valid, (RejectedSignature(Reason.ATTESTATION_PENDING, "503"),))
UNSAFE = FormatReport((), (FormatFinding("config.json", "config.auto_map", Reason.REMOTE_CODE, "code"),), "r")


@pytest.mark.parametrize(
    ("changes", "kind", "expected", "ready"),
    [
        ({"signatures": Absent()}, "SignatureVerified", ("False", "Unsigned"), "True"),
        ({"signatures": Unavailable("x")}, "SignatureVerified", ("Unknown", "Unsigned"), "False"),
        ({"signatures": Known(STRANGER)}, "SignatureVerified", ("False", "SignerNotTrusted"), "True"),
        ({"signatures": Known(REJECTED)}, "SignatureVerified", ("False", "SignatureInvalid"), "True"),
        ({"signatures": Known(UNKNOWN)}, "SignatureVerified", ("Unknown", "AttestationPending"), "False"),
        ({"signatures": Known(SignatureFacts())}, "SignatureVerified", ("False", "Unsigned"), "True"),
        ({"formats": Known(UNSAFE)}, "FormatsVerified", ("False", "RemoteCode"), "True"),
        ({"formats": Unavailable("x")}, "FormatsVerified", ("Unknown", "MalformedFile"), "False"),
        ({"formats": Absent()}, "FormatsVerified", ("Unknown", "MalformedFile"), "False"),
        ({"content": Unavailable("x")}, "Resolved", ("False", "AssuranceTooLow"), "True"),
        ({"content": Absent()}, "Resolved", ("False", "AssuranceTooLow"), "True"),
        ({"expires_at": NOW}, "Resolved", ("True", "Resolved"), "False"),
    ],
)
def test_each_thing_found_has_its_condition_and_the_reason_of_the_table(  # noqa: PLR0917 - four of them are the case
    changes: Object,
    kind: str,
    expected: tuple[str, str],
    ready: str,
    operator: Attestations,
    put: Put,
    status: Callable[[str], Object],
    attesting: AttestingFake,
) -> None:
    attesting.answer = letter(**changes)
    name = put()
    operator.reconcile(name, NOW)
    assert condition(status(name), kind) == expected
    assert condition(status(name), "Ready")[0] == ready


def test_without_any_signer_a_signature_is_a_strangers(
    operator: Attestations, put: Put, status: Callable[[str], Object], state: State
) -> None:
    state.signers = []
    name = put()
    operator.reconcile(name, NOW)
    assert condition(status(name), "SignatureVerified") == ("False", "SignerNotTrusted")
    assert status(name)["policies"][0]["outcome"] == "Deny"


def test_a_suite_that_a_policy_names_must_be_decided_before_it_is_ready(
    operator: Attestations, put: Put, status: Callable[[str], Object], state: State, attesting: AttestingFake
) -> None:
    state.policies = [
        trusted.policy(
            requirements=[{"type": "Evaluation", "evaluation": {"suites": [{"name": "canary"}], "inconclusive": "Deny"}}]
        )
    ]
    name = put()
    operator.reconcile(name, NOW)
    assert condition(status(name), "Evaluated") == ("Unknown", "EvaluationMissing")
    assert condition(status(name), "Ready")[0] == "False"
    verdict = EvaluationVerdict("canary", "ab" * 32, "cd" * 32, Verdict.PASSED, "fine", NOW, NOW + DAY)
    state.verdicts = (verdict,)
    attesting.answer = letter(evaluations=(verdict,))
    found = status(name)
    found["statement"] = ""
    operator.reconcile(name, NOW + 1)
    assert attesting.asked[-1].evaluations == (verdict,)


def test_policies_speak_in_their_modes_and_a_broken_one_denies(
    operator: Attestations, put: Put, status: Callable[[str], Object], state: State, attesting: AttestingFake
) -> None:
    attesting.answer = letter(signatures=Absent())
    state.policies = [
        trusted.policy("audit", mode="Audit"),
        trusted.policy("broken", requirements=[{"type": "Surprise"}]),
        trusted.policy("enforce"),
        trusted.policy("later", enforceAfterTime="2090-01-01T00:00:00Z"),
        trusted.policy("elsewhere", match={"clusterScoped": True, "models": ["hf://zeta/*"]}),
        trusted.policy("image", requirements=[{"type": "ServingImage", "servingImage": {"allowed": ["r.example/**"]}}]),
    ]
    name = put()
    operator.reconcile(name, NOW)
    said = {entry["name"]: (entry["outcome"], entry["reasons"]) for entry in status(name)["policies"]}
    assert said == {
        "audit": ("Warn", ["Unsigned"]),
        "broken": ("Deny", ["PolicyInvalid"]),
        "enforce": ("Deny", ["Unsigned"]),
        "later": ("Warn", ["Unsigned"]),
        "image": ("Admit", []),
    }


def test_a_revoked_model_is_denied_by_every_policy(
    operator: Attestations, put: Put, status: Callable[[str], Object], state: State
) -> None:
    state.revocations = [trusted.revocation()]
    state.policies = [trusted.policy("audit", mode="Audit")]
    name = put()
    operator.reconcile(name, NOW)
    assert status(name)["policies"] == [{"name": "audit", "outcome": "Deny", "reasons": ["ModelRevoked"]}]


def test_the_time_of_a_transition_is_that_of_the_transition(
    operator: Attestations, put: Put, status: Callable[[str], Object], attesting: AttestingFake
) -> None:
    name = put()
    attesting.answer = Waiting(Reason.ATTESTATION_PENDING, "one", 5)
    operator.reconcile(name, NOW)
    first = status(name)["conditions"]
    attesting.answer = Waiting(Reason.ATTESTATION_PENDING, "two", 5)
    operator.reconcile(name, NOW + 60)
    assert [entry["lastTransitionTime"] for entry in status(name)["conditions"]] == [entry["lastTransitionTime"] for entry in first]
    attesting.answer = trusted.statement(trusted.GUARD)
    operator.reconcile(name, NOW + 120)
    times = {entry["type"]: entry["lastTransitionTime"] for entry in status(name)["conditions"]}
    assert times["Ready"] > first[0]["lastTransitionTime"]


def test_what_the_audit_wrote_stays(
    operator: Attestations, put: Put, cluster: ClusterSimulator, status: Callable[[str], Object]
) -> None:
    name = put()
    operator.reconcile(name, NOW)
    found = cluster.find(OURS, name)
    assert found is not None
    found["status"]["usage"] = {"workloads": 3}
    cluster.put(OURS, found)
    before = len(cluster.writes())
    operator.reconcile(name, NOW)
    assert len(cluster.writes()) == before
    assert status(name)["usage"] == {"workloads": 3}


def test_an_object_made_anew_under_the_same_name_is_not_taken_for_the_old_one(
    operator: Attestations, put: Put, cluster: ClusterSimulator
) -> None:
    name = put()
    cluster.faults = [("PATCH", "status", 409)]
    with pytest.raises(ConflictError):
        operator.reconcile(name, NOW)


def test_a_worker_that_does_not_answer_is_no_verdict(
    operator: Attestations, put: Put, attesting: AttestingFake, cluster: ClusterSimulator
) -> None:
    attesting.answer = UnavailableError("there is no signing key yet")
    name = put()
    with pytest.raises(UnavailableError):
        operator.reconcile(name, NOW)
    assert cluster.writes() == []


def test_findings_of_any_number_and_length_fit_the_status(
    operator: Attestations, put: Put, status: Callable[[str], Object], attesting: AttestingFake
) -> None:
    many = tuple(FormatFinding(f"{number}" * 300, "r" * 200, Reason.MALFORMED_FILE, "m" * 200) for number in range(3))
    attesting.answer = letter(formats=Known(FormatReport((), many, "r", omitted=100_000)))
    name = put()
    operator.reconcile(name, NOW)
    assert len(status(name)["formatFindings"]) == 3
    assert "and 100002 more" in str(status(name)["conditions"])
