import copy

import pytest

from modeltrust.admission.decide import Admission, Question
from modeltrust.admission.message import Subject, denial
from modeltrust.domain import limits
from modeltrust.domain.decision import Decision, Outcome
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Workload
from modeltrust.policy.policy import Unmatched
from modeltrust.store.sink import Kind
from modeltrust.store.store import Store
from tests.support import reviews, trusted
from tests.support.statements import DAY, NOW, an_attestor_key

GUARD_COMMIT = "1" * 40


def ask(
    document: reviews.Object, *, store: Store | None = None, namespace: str = "team-a", dry_run: bool = False, now: int = NOW
) -> Decision:
    admission = trusted.an_admission(store or trusted.a_store())
    return admission.decide(Question(reviews.dump(document), namespace, dry_run=dry_run), now)


def reasons(decision: Decision) -> set[Reason | None]:
    return {finding.reason for finding in decision.findings if not finding.advisory and finding.status not in {"pass", "skip"}}


def test_an_attested_deployment_is_admitted_and_asks_for_nothing() -> None:
    decision = ask(reviews.deployment())
    assert (decision.outcome, reasons(decision), decision.wanted) == (Outcome.ADMIT, set(), ())


@pytest.mark.parametrize("build", [reviews.deployment, reviews.pod])
def test_the_workload_and_its_pod_get_the_same_answer(build: type) -> None:
    assert ask(build()).outcome is Outcome.ADMIT
    assert reasons(ask(build(revision="main"))) == reasons(ask(reviews.deployment(revision="main"))) != set()


def test_an_unpinned_model_is_denied_with_its_reason() -> None:
    decision = ask(reviews.inference_service(uri="hf://acme/guard-7b:main"))
    assert decision.outcome is Outcome.DENY
    assert Reason.UNPINNED_REFERENCE in reasons(decision)


def test_a_pinned_model_without_statement_is_pending_and_asked_for() -> None:
    decision = ask(reviews.inference_service(uri=f"hf://acme/guard-7b:{GUARD_COMMIT}"))
    assert decision.outcome is Outcome.PENDING
    assert reasons(decision) == {Reason.ATTESTATION_PENDING}
    assert [str(identity) for identity in decision.wanted] == [f"hf://acme/guard-7b@{GUARD_COMMIT}"]


def test_a_dry_run_asks_for_nothing_and_warns_of_what_is_pending() -> None:
    decision = ask(reviews.inference_service(uri=f"hf://acme/guard-7b:{GUARD_COMMIT}"), dry_run=True)
    assert (decision.outcome, decision.wanted) == (Outcome.WARN, ())


def test_a_flood_of_foreign_commits_asks_for_nothing() -> None:
    decision = ask(reviews.inference_service(uri=f"hf://evil/guard-7b:{GUARD_COMMIT}"))
    assert (decision.outcome, decision.wanted) == (Outcome.DENY, ())
    assert Reason.SOURCE_NOT_ALLOWED in reasons(decision)


def test_a_statement_by_a_stranger_is_invalid_and_never_pending() -> None:
    store = trusted.a_store()
    store.replace(Kind.ATTESTATIONS, [trusted.attestation("a", trusted.statement(trusted.GUARD), an_attestor_key())])
    decision = ask(reviews.inference_service(), store=store)
    assert decision.outcome is Outcome.DENY
    assert reasons(decision) == {Reason.STATEMENT_INVALID}


def test_a_signer_that_is_gone_counts_no_longer_at_the_next_question() -> None:
    store = trusted.a_store()
    assert ask(reviews.inference_service(), store=store).outcome is Outcome.ADMIT
    store.delete(Kind.SIGNERS, "acme")
    assert ask(reviews.inference_service(), store=store).outcome is Outcome.DENY


def test_a_revocation_beats_everything_at_the_next_question() -> None:
    store = trusted.a_store()
    store.upsert(Kind.REVOCATIONS, trusted.revocation(models=["hf://ACME/Guard-7B"]))
    for namespace in ("team-a", "team-b", "nowhere"):
        decision = ask(reviews.inference_service(), store=store, namespace=namespace)
        assert decision.outcome is Outcome.DENY
        assert decision.findings[0].reason is Reason.MODEL_REVOKED


def test_an_expired_statement_denies() -> None:
    assert reasons(ask(reviews.inference_service(), now=NOW + 8 * DAY)) == {Reason.ATTESTATION_EXPIRED}


def test_an_unknown_namespace_is_treated_as_enforced() -> None:
    uri = "hf://acme/guard-7b:main"
    assert ask(reviews.inference_service(uri=uri), namespace="team-b").outcome is Outcome.ADMIT
    assert ask(reviews.inference_service(uri=uri), namespace="brand-new").outcome is Outcome.DENY


def test_without_policies_the_setting_for_unmatched_decides() -> None:
    store = trusted.a_store()
    store.replace(Kind.POLICIES, [])
    document = reviews.dump(reviews.deployment())
    outcomes = {
        setting: trusted.an_admission(store, unmatched=setting).decide(Question(document, "team-a"), NOW).outcome
        for setting in Unmatched
    }
    assert outcomes == {Unmatched.ALLOW: Outcome.ADMIT, Unmatched.WARN: Outcome.WARN, Unmatched.DENY: Outcome.DENY}


def test_the_namespace_of_the_request_counts_not_the_one_in_the_object() -> None:
    document = reviews.inference_service(uri="hf://acme/guard-7b:main", namespace="team-b")
    assert ask(document, namespace="team-a").outcome is Outcome.DENY


@pytest.mark.parametrize("field", ["deletionTimestamp", "ownerReferences", "labels", "annotations"])
def test_nothing_that_an_author_writes_exempts(field: str) -> None:
    document = copy.deepcopy(reviews.inference_service(uri="hf://acme/guard-7b:main"))
    document["metadata"][field] = {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "y"}],
        "labels": {"modeltrust.dev/exempt": "true", "app": "modeltrust"},
        "annotations": {"modeltrust.dev/skip": "true"},
    }[field]
    assert ask(document).outcome is Outcome.DENY


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"7", b"null", b'{"kind":1}', b"\xff", b'{"a":' * 100_000])
def test_an_object_that_cannot_be_read_is_denied_where_a_policy_enforces_and_only_there(document: bytes) -> None:
    admission = trusted.an_admission(trusted.a_store())
    assert admission.decide(Question(document, "team-a"), NOW).outcome is Outcome.DENY
    assert admission.decide(Question(document, "team-b"), NOW).allowed


def test_an_object_too_large_to_be_updated_later_is_refused_at_creation_only() -> None:
    document = reviews.inference_service()
    document["metadata"]["annotations"]["padding"] = "x" * limits.CREATE_OBJECT_BYTES
    admission, data = trusted.an_admission(trusted.a_store()), reviews.dump(document)
    refused = admission.decide(Question(data, "team-b"), NOW)
    assert (refused.outcome, refused.findings[0].reason) == (Outcome.DENY, Reason.LIMIT_EXCEEDED)
    assert admission.decide(Question(data, "team-a", operation="UPDATE"), NOW).allowed


class Failing:
    """An extractor that fails in a way of our choice."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def extract(self, document: bytes, *, namespace: str = "") -> Workload:
        assert document is not None
        assert namespace is not None
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("secret path /home/x"), RecursionError(), MemoryError(), KeyError("k")])
def test_a_bug_of_ours_denies_everywhere_and_tells_only_an_id(error: Exception) -> None:
    told: list[Exception] = []
    store = trusted.a_store()
    store.replace(Kind.POLICIES, [])
    admission = Admission(extractor=Failing(error), store=store, report=lambda caught: _tell(told, caught))
    decision = admission.decide(Question(b"{}", "team-b"), NOW)
    assert (decision.outcome, decision.allowed) == (Outcome.ERROR, False)
    assert decision.findings[0].reason is Reason.INTERNAL_ERROR
    assert told == [error]
    assert "7f3a91" in decision.findings[0].message
    assert "secret" not in decision.findings[0].message


@pytest.mark.parametrize(
    ("error", "reason"),
    [(LimitExceededError("too many"), Reason.LIMIT_EXCEEDED), (MalformedError("odd"), Reason.UNRESOLVED_REFERENCE)],
)
def test_what_extraction_refuses_is_judged_as_unnameable(error: MalformedError, reason: Reason) -> None:
    decision = Admission(extractor=Failing(error), store=trusted.a_store()).decide(Question(b"{}", "team-a"), NOW)
    assert decision.outcome is Outcome.DENY
    assert reason in reasons(decision)


def test_real_denials_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    store = trusted.a_store()
    drafted = reviews.deployment(revision="main")
    drafted["spec"]["template"]["spec"]["containers"][0]["args"] += ["--trust-remote-code"]
    store.upsert(Kind.REVOCATIONS, trusted.revocation(models=["oci://registry.acme.example/adapters/guard"]))
    worlds = [
        ("Deployment", drafted, trusted.a_store()),
        ("InferenceService", reviews.inference_service(uri="hf://acme/guard-7b:main"), trusted.a_store()),
        ("InferenceService", reviews.inference_service(uri=f"hf://evil/guard-7b:{GUARD_COMMIT}"), trusted.a_store()),
        ("InferenceService", reviews.inference_service(uri=f"hf://acme/guard-7b:{GUARD_COMMIT}"), trusted.a_store()),
        ("Pod", reviews.pod(), store),
    ]
    for kind, document, world in worlds:
        decision = ask(document, store=world)
        text = denial(decision, Subject(kind, "team-a", document["metadata"]["name"]), identifier="7f3a91")
        with capsys.disabled():
            print(f"\n{text}")  # noqa: T201 - to be read by whoever runs the tests
        assert text.startswith("modeltrust: ")
        assert f"in {kind} team-a/guard" in text.partition("\n")[0]
        assert len(text.encode()) <= limits.DENIAL_BYTES


def _tell(told: list[Exception], error: Exception) -> str:
    told.append(error)
    return "7f3a91"
