"""What the operator knows of a model: renewed without asking anybody, asked again when something changed, never forgotten."""

import dataclasses
from typing import Any

import pytest

from modeltrust.attestation import envelope
from modeltrust.domain import dsse, limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import LimitExceededError, UnavailableError
from modeltrust.domain.evidence import (
    Assurance,
    EvaluationVerdict,
    FormatFinding,
    FormatReport,
    RejectedSignature,
    SignatureFacts,
    Verdict,
    WeightFormat,
)
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeylessIdentity, KeylessTrust, KeyTrust, Purpose, TrustedSigner
from modeltrust.domain.work import Order, RemoteBundle, Report, Running, SourceAccess, SourceType
from modeltrust.verification import unknowns
from modeltrust.verification.attest import nonce
from modeltrust.verification.attesting import Attested, Attesting, Waiting, Wanted
from tests.support.statements import AUDIENCE, DAY, IDENTITY, NOW, a_signature, a_statement, an_attestor_key, identity_of, sealed

KEY, OTHER = an_attestor_key(), an_attestor_key()
SOURCE = SourceAccess(SourceType.HUGGING_FACE, ("https://huggingface.co",), "me", "credential-1")
ROTATED = SourceAccess(SourceType.HUGGING_FACE, ("https://huggingface.co",), "me", "credential-2")
SCOPE = (Glob("hf://acme/*"),)
SIGNER = TrustedSigner("a", (), frozenset(Purpose), KeyTrust(b"pem", "ab" * 32), SCOPE)
WANTED = Wanted(IDENTITY, (b"bundle",), (), SOURCE, (SIGNER,), None, read_bytes=False, evaluations=())
FACTS = a_statement(assurance=Assurance.SOURCE_DIGESTS)
SIGNED = Known(SignatureFacts((a_signature(assurance=Assurance.SOURCE_DIGESTS),)))
VERDICT = EvaluationVerdict("canary", "5a" * 32, "5b" * 32, Verdict.PASSED, "nothing seen", NOW)
BROKEN = RejectedSignature(Reason.SIGNATURE_INVALID, "other bytes")


def report(order: Order, **changes: Any) -> Report:
    good = Report(
        identity=order.identity,
        nonce=order.nonce,
        content=FACTS.content,
        assurance=Assurance.BYTES_HASHED if order.read_bytes else Assurance.SOURCE_DIGESTS,
        files=6,
        bytes=28_085,
        weights=FACTS.weights,
        signatures=SIGNED,
        formats=FACTS.formats,
        lineage=FACTS.lineage,
    )
    return dataclasses.replace(good, **changes)


DOWN = Unavailable("503")
NOTHING = {"content": DOWN, "signatures": DOWN, "formats": DOWN, "lineage": DOWN, "files": 0, "bytes": 0, "weights": ()}


class Examines:
    """A worker that gives the answer it was given, and remembers the orders."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.changes: dict[str, Any] = {}
        self.instead: Running | Exception | None = None

    def examine(self, order: Order) -> Report | Running:
        self.orders.append(order)
        if isinstance(self.instead, Exception):
            raise self.instead
        return self.instead or report(order, **self.changes)


class World:
    """Calls ``attest`` as the operator does: with the statement that it gave before."""

    def __init__(self, **wanted: Any) -> None:
        self.worker = Examines()
        self.keys = [KEY]
        self.versions: tuple[str, ...] = ("tables-1",)
        self.wanted = dataclasses.replace(WANTED, **wanted)
        self.attesting = Attesting(worker=self.worker, keys=lambda: self.keys, audience=AUDIENCE, versions=lambda: self.versions)

    def look(self, now: int = NOW, **changes: Any) -> Attested | Waiting:
        self.wanted = dataclasses.replace(self.wanted, **changes)
        answer = self.attesting.attest(self.wanted, now=now)
        if isinstance(answer, Attested):
            self.wanted = dataclasses.replace(self.wanted, previous=answer.statement)
        return answer

    def attested(self, now: int = NOW, **changes: Any) -> Attested:
        answer = self.look(now, **changes)
        assert isinstance(answer, Attested), answer
        return answer

    def waiting(self, now: int = NOW, **changes: Any) -> Waiting:
        answer = self.look(now, **changes)
        assert isinstance(answer, Waiting)
        return answer

    @property
    def asked(self) -> int:
        return len(self.worker.orders)


def test_a_model_nobody_knows_is_examined_and_its_statement_says_what_was_found() -> None:
    world = World()
    answer = world.attested()
    assert (answer.letter.content, answer.letter.signatures) == (FACTS.content, SIGNED)
    assert answer.report is not None
    assert answer.letter.inputs == answer.inputs != ""
    assert answer.negative == ()
    assert NOW < answer.due <= NOW + limits.RENEWAL_SECONDS
    order = world.worker.orders[0]
    assert (order.source, order.bundles, order.signers, order.now) == (SOURCE, (b"bundle",), (SIGNER,), NOW)


def test_a_good_statement_is_given_back_as_it_is_and_nobody_is_asked() -> None:
    world = World()
    first = world.attested()
    again = world.attested(NOW + 3600)
    assert (again.statement, again.report, again.due, world.asked) == (first.statement, None, first.due, 1)


def test_a_model_that_is_attested_gives_way_to_one_that_never_was_or_no_longer_is() -> None:
    world = World()
    world.attested()
    world.attested(NOW + 1, bundles=())
    world.attested(NOW + 2 * limits.STATEMENT_SECONDS, bundles=(b"bundle",))
    assert [order.patient for order in world.worker.orders] == [False, True, False]


def test_ten_years_of_daily_renewals_contact_nobody() -> None:
    world = World()
    answer = world.attested()
    world.worker.instead = UnavailableError("the hub is down")
    for _ in range(10 * 365 // 30):
        serial, due = answer.letter.serial, answer.due
        answer = world.attested(due)
        assert answer.letter.serial > serial
        assert answer.letter.expires_at == due + limits.STATEMENT_SECONDS
        assert answer.letter.content == FACTS.content
    assert world.asked == 1


def test_models_attested_together_are_not_renewed_together() -> None:
    dues = {World(identity=identity_of(f"hf://acme/m-{n}@{'a' * 40}")).attested().due for n in range(32)}
    assert len(dues) > 24
    assert max(dues) - min(dues) <= limits.RENEWAL_SPREAD_SECONDS


@pytest.mark.parametrize(
    "change",
    [
        {"bundles": (b"bundle", b"approval")},
        {"bundles": ()},
        {"remote_bundles": (RemoteBundle(f"registry.example/a@sha256:{'c' * 64}", SOURCE),)},
        {"signers": (dataclasses.replace(SIGNER, trust=KeyTrust(b"pem", "cd" * 32)),)},
        {"source": dataclasses.replace(SOURCE, endpoints=("https://mirror.example",))},
        {"source": dataclasses.replace(SOURCE, signature_paths=("other.sig",))},
        {"source": dataclasses.replace(SOURCE, ca=b"pem")},
        {"read_bytes": True},
    ],
)
def test_what_would_change_the_answer_is_looked_at_again(change: dict[str, Any]) -> None:
    world = World()
    first = world.attested()
    answer = world.attested(NOW + 1, **change)
    assert world.asked == 2
    assert answer.letter.serial > first.letter.serial
    world.attested(NOW + 2)
    assert world.asked == 2


def test_new_tables_and_a_new_trust_root_are_looked_at_again() -> None:
    world = World()
    world.attested()
    world.versions = ("tables-2",)
    world.attested(NOW + 1)
    assert world.asked == 2


@pytest.mark.parametrize(
    "change",
    [
        {"source": ROTATED},
        {"signers": (dataclasses.replace(SIGNER, scope=(Glob("**"),), not_after=NOW, purposes=frozenset({Purpose.AUTHOR})),)},
        {"signers": (dataclasses.replace(SIGNER, name="b"), SIGNER)},
        {},
    ],
)
def test_credentials_scopes_and_validity_invalidate_nothing(change: dict[str, Any]) -> None:
    world = World()
    world.attested()
    world.attested(NOW + 1, **change)
    assert world.asked == 1


def test_an_identity_more_of_a_keyless_signer_invalidates_nothing() -> None:
    one = KeylessIdentity("release", "https://issuer", subject="https://github.com/a/b")
    signer = dataclasses.replace(SIGNER, trust=KeylessTrust((one,)))
    world = World(signers=(signer,))
    world.attested()
    more = KeylessTrust((one, dataclasses.replace(one, name="nightly", subject="https://github.com/a/c")))
    world.attested(NOW + 1, signers=(dataclasses.replace(signer, trust=more),))
    assert world.asked == 1


def test_every_byte_read_once_is_not_read_again_because_nobody_demands_it_any_more() -> None:
    world = World(read_bytes=True)
    assert world.attested().letter.assurance is Assurance.BYTES_HASHED
    assert world.attested(NOW + 1, read_bytes=False).letter.assurance is Assurance.BYTES_HASHED
    assert world.asked == 1


def test_a_verdict_that_arrives_is_stated_at_once_without_looking_at_the_model_again() -> None:
    world = World()
    world.attested()
    answer = world.attested(NOW + 1, evaluations=(VERDICT,))
    assert (answer.letter.evaluations, world.asked) == ((VERDICT,), 1)
    assert world.attested(NOW + 2, evaluations=None).letter.evaluations == (VERDICT,)
    newer = dataclasses.replace(VERDICT, finished_at=NOW + 5, verdict=Verdict.FAILED)
    assert world.attested(NOW + 6, evaluations=(newer,)).letter.evaluations == (newer,)


def test_h15_a_verdict_of_a_suite_that_was_changed_is_not_stated_any_more() -> None:
    world = World()
    world.attested()
    world.attested(NOW + 1, evaluations=(VERDICT,))
    assert world.attested(NOW + 2, evaluations=()).letter.evaluations == ()


@pytest.mark.parametrize(
    "instead", [UnavailableError("503"), LimitExceededError("full"), Running("Job examine-1")], ids=["down", "full", "running"]
)
def test_without_a_report_a_new_model_waits_and_a_known_one_keeps_what_is_known(instead: Running | Exception) -> None:
    world = World()
    world.worker.instead = instead
    waiting = world.waiting()
    assert (waiting.reason, waiting.running) == (Reason.ATTESTATION_PENDING, isinstance(instead, Running))
    world.worker.instead = None
    first = world.attested()
    world.worker.instead = instead
    changed = {"bundles": (b"other",)}
    assert world.waiting(NOW + 1, **changed).again_after > 0
    renewed = world.attested(NOW + DAY)
    assert (renewed.letter.signatures, renewed.letter.inputs) == (SIGNED, first.inputs)
    assert renewed.letter.expires_at == NOW + DAY + limits.STATEMENT_SECONDS
    world.worker.instead = None
    assert world.attested(NOW + DAY + 1).letter.inputs != first.inputs


def test_a_source_that_is_down_unsigns_nothing() -> None:
    world = World()
    world.attested()
    world.worker.changes = {"signatures": DOWN}
    answer = world.attested(NOW + 1, bundles=(b"new",))
    assert (answer.letter.signatures, answer.negative) == (SIGNED, ())
    world.worker.changes = {"content": DOWN, "formats": DOWN, "weights": (), "assurance": Assurance.SIGNATURE_ONLY}
    answer = world.attested(NOW + 1 + limits.PARTIAL_SECONDS)
    assert (answer.letter.content, answer.letter.formats, answer.letter.weights) == (FACTS.content, FACTS.formats, FACTS.weights)
    world.worker.changes = NOTHING
    assert world.waiting(NOW + 1 + 2 * limits.PARTIAL_SECONDS).why == "503"


def test_a_fact_that_could_not_be_had_is_asked_for_again_after_a_while_and_not_at_every_look() -> None:
    world = World()
    world.worker.changes = {"signatures": DOWN}
    first = world.attested()
    assert first.due == NOW + limits.PARTIAL_SECONDS
    for second in range(1, 20):
        assert world.attested(NOW + second).statement == first.statement
    world.worker.changes = {}
    assert world.attested(first.due).letter.signatures == SIGNED
    assert world.asked == 2


def test_a_statement_that_ended_is_verified_again_and_stands_on_while_that_is_impossible() -> None:
    world = World()
    world.attested()
    late = NOW + limits.STATEMENT_SECONDS
    world.worker.instead = UnavailableError("503")
    assert world.attested(late).letter.content == FACTS.content
    assert world.asked == 2
    world.worker.instead = None
    world.attested(late + limits.PARTIAL_SECONDS)
    assert world.asked == 3


def test_facts_about_other_bytes_are_never_kept() -> None:
    world = World()
    world.attested()
    world.worker.changes = {"content": Known(ContentDigest("d1" * 32)), "signatures": DOWN, "formats": DOWN, "weights": ()}
    answer = world.attested(NOW + 1, bundles=())
    assert (answer.letter.signatures, answer.letter.formats, answer.letter.weights) == (DOWN, DOWN, ())
    assert len(answer.negative) == 1


def test_h3_signatures_over_other_bytes_do_not_join_a_content_that_was_seen_another_time() -> None:
    """A hub shows an unsigned model, then hides its digests beside a good signature over something else."""
    world = World()
    world.worker.changes = {"signatures": Absent()}
    world.attested()
    borrowed = Known(SignatureFacts((a_signature(assurance=Assurance.SOURCE_DIGESTS),)))
    world.worker.changes = {"content": DOWN, "signatures": borrowed}
    answer = world.attested(NOW + 1, bundles=(b"new",))
    assert (answer.letter.content, answer.letter.signatures) == (FACTS.content, Absent())


def test_h3_an_approval_that_cannot_be_compared_for_now_is_not_lost_and_revokes_nothing() -> None:
    """Digests that a hub does not state for an hour must not become a revocation in every namespace."""
    world = World()
    world.attested()
    rejected = RejectedSignature(Reason.ASSURANCE_TOO_LOW, "cannot be compared")
    world.worker.changes = {"content": DOWN, "signatures": Known(SignatureFacts((), (rejected,)))}
    answer = world.attested(NOW + 1, bundles=(b"new",))
    assert (answer.letter.signatures, answer.negative) == (SIGNED, ())


PENDING = unknowns.pending("the registry answered 503")
OTHER_SIGNATURE = a_signature(assurance=Assurance.SOURCE_DIGESTS, fingerprint="cd" * 32)


@pytest.mark.parametrize("broken", [(), (BROKEN,)])
def test_a_piece_that_cannot_be_had_takes_nothing_away_that_was_known_and_revokes_nothing(
    broken: tuple[RejectedSignature, ...],
) -> None:
    """F71: a registry that is down must not turn what counted into a model that is signed by fewer, nor into a revocation."""
    world = World()
    world.attested()
    world.worker.changes = {"signatures": Known(SignatureFacts((OTHER_SIGNATURE,), (PENDING, *broken)))}
    answer = world.attested(NOW + 1, bundles=(b"new",))
    both = SignatureFacts((OTHER_SIGNATURE, *SIGNED.value.valid), (PENDING, *broken))
    assert (answer.letter.signatures, answer.negative) == (Known(both), ())
    assert answer.due == NOW + 1 + limits.PARTIAL_SECONDS
    world.worker.changes = {"signatures": Known(SignatureFacts((OTHER_SIGNATURE,)))}
    assert world.attested(answer.due).letter.signatures == world.worker.changes["signatures"]


def test_signatures_over_other_bytes_are_not_kept_beside_a_piece_that_cannot_be_had() -> None:
    world = World()
    world.attested()
    facts = Known(SignatureFacts((OTHER_SIGNATURE,), (PENDING,)))
    world.worker.changes = {"content": Known(ContentDigest("d1" * 32)), "signatures": facts}
    assert world.attested(NOW + 1, bundles=(b"new",)).letter.signatures == facts


def test_evidence_that_may_not_be_fetched_leaves_the_rest_and_is_asked_for_by_nobody() -> None:
    missing = (unknowns.refused("no ModelSource covers it"),)
    world = World(missing=missing)
    answer = world.attested()
    assert answer.letter.signatures == Known(SignatureFacts(SIGNED.value.valid, missing))
    assert answer.due > NOW + limits.PARTIAL_SECONDS
    world.attested(NOW + limits.PARTIAL_SECONDS)
    assert world.asked == 1


@pytest.mark.parametrize("found", [Absent(), Known(SignatureFacts()), Known(SignatureFacts((), (BROKEN,)))])
def test_evidence_that_may_not_be_fetched_is_never_taken_for_none(found: Fact[SignatureFacts]) -> None:
    world = World(missing=(unknowns.refused("no ModelSource covers it"),))
    world.worker.changes = {"signatures": found}
    assert world.attested().letter.signatures == Unavailable("no ModelSource covers it")


def test_a_source_of_evidence_that_is_taken_away_is_no_revocation_of_what_it_held() -> None:
    there = RemoteBundle(f"registry.example/a@sha256:{'c' * 64}", SOURCE)
    world = World(remote_bundles=(there,))
    world.attested()
    world.worker.changes = {"signatures": Known(SignatureFacts((OTHER_SIGNATURE,)))}
    missing = (unknowns.refused("no ModelSource covers it"),)
    answer = world.attested(NOW + 1, remote_bundles=(), missing=missing)
    assert answer.letter.signatures == Known(SignatureFacts((OTHER_SIGNATURE, *SIGNED.value.valid), missing))
    assert answer.negative == ()


def test_h3_what_contradicts_a_signature_is_told_though_other_digests_are_hidden() -> None:
    world = World()
    world.attested()
    world.worker.changes = {"content": DOWN, "signatures": Known(SignatureFacts((), (BROKEN,)))}
    assert len(world.attested(NOW + 1, bundles=(b"new",)).negative) == 1


def failing(rules: str = "2026-11-01") -> Known[FormatReport]:
    finding = FormatFinding("config.json", "config.auto_map", Reason.REMOTE_CODE, "runs code")
    return Known(FormatReport((WeightFormat("Safetensors", 1, "model.safetensors", loadable=True),), (finding,), rules))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"content": Known(ContentDigest("d1" * 32))}, "content"),
        ({"signatures": Known(SignatureFacts((), (BROKEN,)))}, "no longer verifies"),
        ({"formats": failing()}, "passed before"),
    ],
)
def test_what_held_and_no_longer_does_is_told_and_stated(change: dict[str, Any], word: str) -> None:
    world = World()
    world.attested()
    world.worker.changes = change
    answer = world.attested(NOW + 1, bundles=())
    assert len(answer.negative) == 1
    assert word in answer.negative[0]
    assert all(getattr(answer.letter, name) == value for name, value in change.items())


@pytest.mark.parametrize(
    "change",
    [
        {"signatures": Absent()},
        {"signatures": Known(SignatureFacts())},
        {"signatures": Known(SignatureFacts(SIGNED.value.valid, (BROKEN,)))},
        {"signatures": Known(SignatureFacts((), (RejectedSignature(Reason.SIGNER_NOT_TRUSTED, "unknown key"),)))},
        {"signatures": Known(SignatureFacts((), (RejectedSignature(Reason.SIGNER_EXPIRED, "over"),)))},
        {"formats": failing("2026-12-01")},
        {"signatures": DOWN, "formats": DOWN},
    ],
)
def test_evidence_that_was_withdrawn_a_signer_that_left_and_new_tables_revoke_nothing(change: dict[str, Any]) -> None:
    world = World()
    world.attested()
    world.worker.changes = change
    assert world.attested(NOW + 1, bundles=()).negative == ()


def test_serials_grow_where_the_clock_goes_back() -> None:
    world = World()
    serials = [world.attested(NOW).letter.serial]
    times = (NOW - 3 * DAY, NOW - 4 * DAY, NOW + DAY)
    serials += [world.attested(now, bundles=(str(now).encode(),)).letter.serial for now in times]
    assert serials == sorted(set(serials))
    early = World()
    early.attested(NOW)
    again = early.attested(NOW - DAY)
    assert (again.letter.issued_at, early.asked) == (NOW - DAY, 1)


@pytest.mark.parametrize(
    "previous",
    [
        sealed(FACTS, OTHER),
        sealed(dataclasses.replace(FACTS, audience="other"), KEY),
        sealed(dataclasses.replace(FACTS, identity=identity_of(f"hf://acme/other@{'a' * 40}")), KEY),
        sealed(FACTS, KEY)[:-2],
        b"",
        dsse.dump_envelope(
            dsse.Envelope(dsse.IN_TOTO, dsse.parse_envelope(sealed(FACTS, OTHER), max_bytes=1 << 20).payload, b"x" * 70,
                          envelope.fingerprint(KEY.public_key()))
        ),
    ],
)  # fmt: skip
def test_a_statement_that_is_not_ours_is_no_knowledge(previous: bytes) -> None:
    world = World(previous=previous)
    world.worker.instead = UnavailableError("503")
    assert world.waiting(FACTS.issued_at + 1).why == "503"
    assert world.asked == 1


def test_a_statement_of_the_key_before_is_ours_and_renewed_with_the_new_one() -> None:
    world = World()
    first = world.attested()
    world.keys = [OTHER, KEY]
    renewed = world.attested(first.due)
    assert world.asked == 1
    assert dsse.parse_envelope(renewed.statement, max_bytes=1 << 20).key_id == envelope.fingerprint(OTHER.public_key())
    world.keys = [an_attestor_key()]
    world.attested(renewed.due)
    assert world.asked == 2


@pytest.mark.parametrize("change", [{"nonce": "0" * 32}, {"identity": identity_of(f"hf://acme/x@{'a' * 40}")}, {"files": -1}])
def test_a_report_that_answers_another_order_is_refused_and_nothing_is_lost(change: dict[str, Any]) -> None:
    world = World()
    world.worker.changes = change
    assert world.waiting().reason is Reason.INTERNAL_ERROR
    world.worker.changes = {}
    first = world.attested()
    world.worker.changes = change
    assert world.waiting(NOW + 1, bundles=()).reason is Reason.INTERNAL_ERROR
    assert world.wanted.previous == first.statement


def test_the_same_question_has_the_same_nonce_after_a_restart_and_nobody_else_can_foretell_it() -> None:
    one, two = World(), World()
    for world in (one, two):
        world.worker.instead = Running("Job")
        world.waiting()
    two.waiting(NOW + 60)
    assert {order.nonce for order in (*one.worker.orders, *two.worker.orders)} == {one.worker.orders[0].nonce}
    other = World()
    other.keys = [OTHER]
    other.attested()
    assert other.worker.orders[0].nonce != one.worker.orders[0].nonce
    two.waiting(bundles=())
    assert two.worker.orders[-1].nonce != one.worker.orders[0].nonce
    assert nonce(KEY, "a", "bc") != nonce(KEY, "ab", "c")


def test_without_a_key_nobody_is_asked() -> None:
    world = World()
    world.keys = []
    with pytest.raises(UnavailableError, match="no signing key"):
        world.look()
    assert world.asked == 0


def test_without_a_source_nobody_is_asked_and_what_is_known_is_renewed_for_ever() -> None:
    world = World()
    first = world.attested()
    answer, now = first, NOW
    for _ in range(20):
        answer = world.attested(now, source=None)
        assert answer.letter.expires_at > now
        assert (answer.letter.content, answer.letter.signatures) == (FACTS.content, SIGNED)
        assert (answer.report, answer.negative) == (None, ())
        assert answer.due > now
        now = answer.due
    assert now > NOW + 14 * DAY
    assert world.asked == 1
    assert answer.letter.serial > first.letter.serial


def test_a_source_that_comes_back_as_it_was_repeats_no_work_and_another_one_is_asked() -> None:
    world = World()
    known = world.attested()
    assert world.attested(NOW + 60, source=None).statement == known.statement
    renewed = world.attested(NOW + 2 * DAY, source=None)
    assert world.attested(NOW + 2 * DAY, source=SOURCE).statement == renewed.statement
    assert world.asked == 1
    world.attested(NOW + 2 * DAY, source=SourceAccess(SourceType.HUGGING_FACE, ("https://mirror.example",)))
    assert world.asked == 2


def test_without_a_source_new_evidence_or_a_new_key_of_a_signer_changes_no_fact() -> None:
    world = World()
    known = world.attested()
    assert world.attested(NOW + 60, source=None, bundles=(b"another",), signers=()).statement == known.statement
    assert world.attested(NOW + 60, source=None, evaluations=(VERDICT,)).letter.evaluations == (VERDICT,)
    assert world.asked == 1


@pytest.mark.parametrize("previous", [None, b"{}", sealed(FACTS, OTHER)], ids=["none", "unreadable", "of a stranger"])
def test_h2_without_a_source_and_without_a_statement_of_ours_nobody_is_asked(previous: bytes | None) -> None:
    world = World(source=None, previous=previous)
    waiting = world.waiting()
    assert waiting.reason is Reason.SOURCE_NOT_ALLOWED
    assert world.asked == 0
