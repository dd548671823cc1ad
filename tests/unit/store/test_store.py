from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from modeltrust.api.compile import statements_of
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError
from modeltrust.domain.facts import Absent, Known
from modeltrust.domain.globs import Glob
from modeltrust.domain.signer import KeyTrust, Purpose, TrustedSigner
from modeltrust.policy.policy import Exemption, Match, Mode, Policy, Revocation
from modeltrust.references.mappings import KindMapping
from modeltrust.store.sink import Kind
from modeltrust.store.store import ATTESTORS, Compilers, Store
from tests.support.statements import IDENTITY, NOW, a_statement, an_attestor_key, attestors_for, sealed

KEY = an_attestor_key()


def named(name: str, **spec: Any) -> Mapping[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


def policy(value: Mapping[str, Any]) -> Policy:
    broken = value["spec"].get("broken", "")
    return Policy(value["metadata"]["name"], Mode.ENFORCE, Match(everything=bool(broken)), broken=broken)


def signer(value: Mapping[str, Any]) -> TrustedSigner:
    refuse(value)
    trust = KeyTrust(b"pem", "ab" * 32)
    return TrustedSigner(value["metadata"]["name"], (), frozenset({Purpose.AUTHOR}), trust, (Glob("**"),))


def exemption(value: Mapping[str, Any]) -> Exemption:
    refuse(value)
    empty: frozenset[Any] = frozenset()
    return Exemption(value["metadata"]["name"], empty, empty, empty, empty, empty, empty, NOW)


def revocation(value: Mapping[str, Any]) -> Revocation:
    broken = "spec.broken: got true" if value["spec"].get("broken") else ""
    models = tuple(Glob(model) for model in value["spec"].get("models", ()))
    return Revocation(value["metadata"]["name"], models=models, broken=broken)


def mapping(value: Mapping[str, Any]) -> KindMapping:
    broken = "spec.broken: got true" if value["spec"].get("broken") else ""
    return KindMapping(value["metadata"]["name"], "example.org", ("Thing",), broken=broken)


def suite(value: Mapping[str, Any]) -> str:
    refuse(value)
    return str(value["spec"].get("hash"))


def refuse(value: Mapping[str, Any]) -> None:
    if value["spec"].get("broken"):
        raise InvalidInputError("spec.broken: got true")


class Told(list[tuple[Kind, str, str]]):
    def __call__(self, kind: Kind, name: str, why: str) -> None:
        self.append((kind, name, why))


def store(told: Told | None = None) -> Store:
    return Store(
        Compilers(policy, signer, exemption, revocation, suite, statements_of, mapping),
        problem=told if told is not None else Told(),
    )


def synced(told: Told | None = None) -> Store:
    result = store(told)
    for kind in Kind:
        result.replace(kind, [])
    for name in (*Kind, ATTESTORS):
        result.freshness.confirm(name, NOW)
    return result


def test_nothing_is_decided_before_every_kind_is_complete() -> None:
    result = store()
    assert len(result.unready(NOW)) == len(Kind) + 1
    for name in (*list(Kind)[1:], ATTESTORS):
        result.freshness.confirm(name, NOW)
    assert result.unready(NOW) == ("policies: not synchronised yet",)
    result.freshness.confirm(Kind.POLICIES, NOW)
    assert result.unready(NOW) == ()


@pytest.mark.parametrize(
    ("kind", "bound"),
    [(Kind.SIGNERS, 120), (Kind.REVOCATIONS, 120), (Kind.POLICIES, 900), (Kind.NAMESPACES, 900), (Kind.ATTESTATIONS, 900)],
)
def test_each_kind_grows_stale_in_its_own_time(kind: Kind, bound: int) -> None:
    result = store()
    for name in (*Kind, ATTESTORS):
        result.freshness.confirm(name, NOW + 10_000)
    result.freshness.confirm(kind, NOW)
    assert limits.STALE_SECONDS.get(kind, limits.STALE_SECONDS_DEFAULT) == bound
    assert result.unready(NOW + bound) == ()
    assert result.unready(NOW + bound + 1) == (f"{kind}: last confirmed {bound + 1} s ago, expected at most {bound}",)
    assert result.freshness.ages[kind] == NOW


def test_a_clock_that_is_set_back_keeps_no_dead_feed_fresh() -> None:
    result = synced()
    for name in (*Kind, ATTESTORS):
        result.freshness.confirm(name, NOW + 86_400)
    assert result.unready(NOW) == ()
    assert result.unready(NOW + 121)[:2] == tuple(
        f"{kind}: last confirmed 121 s ago, expected at most 120" for kind in (Kind.SIGNERS, Kind.REVOCATIONS)
    )


def test_a_list_replaces_and_an_event_changes_one() -> None:
    result = synced()
    result.replace(Kind.POLICIES, [named("a"), named("b")])
    result.upsert(Kind.POLICIES, named("c"))
    result.delete(Kind.POLICIES, "a")
    result.delete(Kind.POLICIES, "never-there")
    assert [each.name for each in result.snapshot().policies] == ["b", "c"]
    result.replace(Kind.POLICIES, [named("d")])
    assert [each.name for each in result.snapshot().policies] == ["d"]


def test_a_snapshot_that_was_taken_never_changes() -> None:
    result = synced()
    result.replace(Kind.NAMESPACES, [{"metadata": {"name": "team-a", "labels": {"modeltrust.dev/tier": "prod"}}}])
    before = result.snapshot()
    result.delete(Kind.NAMESPACES, "team-a")
    result.upsert(Kind.POLICIES, named("a"))
    assert before.namespaces["team-a"] == {"modeltrust.dev/tier": "prod"}
    assert before.policies == ()
    assert isinstance(before.namespaces, MappingProxyType)


def test_a_broken_policy_stays_in_force_and_is_reported() -> None:
    told = Told()
    result = synced(told)
    result.upsert(Kind.POLICIES, named("a", broken="spec.mode: got 7"))
    assert result.snapshot().policies[0].broken == "spec.mode: got 7"
    assert told == [(Kind.POLICIES, "a", "spec.mode: got 7")]
    assert result.unready(NOW) == ()


def test_a_broken_signer_is_believed_no_longer_and_named() -> None:
    result = synced()
    result.upsert(Kind.SIGNERS, named("acme"))
    result.upsert(Kind.SIGNERS, named("acme", broken=True))
    assert dict(result.snapshot().signers) == {}
    assert dict(result.snapshot().broken_signers) == {"acme": "spec.broken: got true"}
    result.upsert(Kind.SIGNERS, named("acme"))
    assert list(result.snapshot().signers) == ["acme"]


def test_a_broken_exemption_excuses_nothing() -> None:
    result = synced()
    result.upsert(Kind.EXEMPTIONS, named("incident"))
    result.upsert(Kind.EXEMPTIONS, named("incident", broken=True))
    assert result.snapshot().exemptions == ()


def test_a_revocation_that_breaks_keeps_what_it_revoked() -> None:
    told = Told()
    result = synced(told)
    result.upsert(Kind.REVOCATIONS, named("inc-1", models=["hf://acme/*"]))
    result.upsert(Kind.REVOCATIONS, named("inc-1", broken=True))
    result.replace(Kind.REVOCATIONS, [named("inc-1", broken=True)])
    assert result.snapshot().revocations[0].models[0].pattern == "hf://acme/*"
    assert result.unready(NOW) == ()
    assert len(told) == 2


def test_a_revocation_that_breaks_also_revokes_what_can_be_read_of_it() -> None:
    result = synced()
    result.upsert(Kind.REVOCATIONS, named("inc-1", models=["hf://acme/*"]))
    result.upsert(Kind.REVOCATIONS, named("inc-1", models=["hf://evil/*", "hf://acme/*"], broken=True))
    assert [glob.pattern for glob in result.snapshot().revocations[0].models] == ["hf://acme/*", "hf://evil/*"]
    result.upsert(Kind.REVOCATIONS, named("inc-1", models=["hf://evil/*"]))
    assert [glob.pattern for glob in result.snapshot().revocations[0].models] == ["hf://evil/*"]


def test_a_broken_revocation_revokes_what_can_be_read_and_stops_no_verdicts() -> None:
    # A replica without verdicts admits everything where failurePolicy is Ignore: the typo in one revocation would undo them all.
    told = Told()
    result = synced(told)
    result.upsert(Kind.REVOCATIONS, named("inc-1", models=["hf://evil/*"], broken=True))
    assert result.snapshot().revocations[0].models[0].pattern == "hf://evil/*"
    assert result.unready(NOW) == ()
    assert told == [(Kind.REVOCATIONS, "inc-1", "spec.broken: got true")]


def test_broken_objects_are_counted_until_they_are_mended_or_gone() -> None:
    result = synced()
    result.replace(Kind.SIGNERS, [named("a", broken=True), named("b", broken=True), named("c")])
    result.upsert(Kind.REVOCATIONS, named("inc-1", broken=True))
    assert {kind: count for kind, count in result.broken().items() if count} == {Kind.SIGNERS: 2, Kind.REVOCATIONS: 1}
    result.upsert(Kind.SIGNERS, named("a"))
    result.delete(Kind.REVOCATIONS, "inc-1")
    assert {kind: count for kind, count in result.broken().items() if count} == {Kind.SIGNERS: 1}
    result.replace(Kind.SIGNERS, [named("c")])
    assert not any(result.broken().values())


def test_a_namespace_with_unreadable_labels_is_unknown_which_is_enforced() -> None:
    result = synced()
    result.upsert(Kind.NAMESPACES, {"metadata": {"name": "team-a", "labels": {"x": "y"}}})
    result.upsert(Kind.NAMESPACES, {"metadata": {"name": "team-a", "labels": {"x": 1}}})
    assert "team-a" not in result.snapshot().namespaces
    result.upsert(Kind.NAMESPACES, {"metadata": {"name": "team-a"}})
    assert result.snapshot().namespaces["team-a"] == {}


@pytest.mark.parametrize("value", [{}, {"metadata": None}, {"metadata": {}}, {"metadata": {"name": ""}}, {"metadata": {"name": 1}}])
def test_an_object_without_a_name_is_refused(value: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="name"):
        synced().upsert(Kind.POLICIES, value)


def test_a_list_with_one_name_twice_changes_nothing() -> None:
    result = synced()
    result.replace(Kind.POLICIES, [named("a")])
    with pytest.raises(InvalidInputError, match="two objects"):
        result.replace(Kind.POLICIES, [named("b"), named("b")])
    assert [each.name for each in result.snapshot().policies] == ["a"]


def test_trust_looks_statements_up_as_of_its_time() -> None:
    result = synced()
    result.believe(attestors_for(KEY))
    result.replace(Kind.ATTESTATIONS, [attestation("a", sealed(a_statement(), KEY))])
    result.upsert(Kind.SIGNERS, named("acme"))
    trust = result.trust(result.snapshot(), NOW)
    assert (trust.now, list(trust.signers)) == (NOW, ["acme"])
    assert isinstance(trust.statements(IDENTITY), Known)
    result.delete(Kind.ATTESTATIONS, "a")
    assert isinstance(trust.statements(IDENTITY), Absent)


def test_a_malformed_attestation_holds_no_statement_and_is_reported() -> None:
    told = Told()
    result = synced(told)
    result.upsert(Kind.ATTESTATIONS, attestation("a", b"no envelope"))
    assert [(kind, name) for kind, name, _ in told] == [(Kind.ATTESTATIONS, "a")]
    assert len(result.statements) == 0


@pytest.mark.parametrize(
    ("error", "why"), [(MalformedError("no key"), "no key"), (RuntimeError("secret"), "cannot be compiled: RuntimeError")]
)
def test_an_object_that_breaks_its_compiler_is_broken_and_the_others_are_read(error: Exception, why: str) -> None:
    # Else one odd certificate keeps every signer from being read, and the replica from giving verdicts.
    def failing(value: Mapping[str, Any]) -> TrustedSigner:
        if value["spec"].get("broken"):
            raise error
        return signer(value)

    result = Store(Compilers(policy, failing, exemption, revocation, suite, statements_of, mapping))
    result.replace(Kind.SIGNERS, [named("odd", broken=True), named("acme")])
    assert dict(result.snapshot().broken_signers) == {"odd": why}
    assert list(result.snapshot().signers) == ["acme"]


def attestation(name: str, envelope: bytes) -> Mapping[str, Any]:
    return {"metadata": {"name": name}, "status": {"statement": envelope.decode()}}


def test_mappings_are_by_kind_and_a_broken_one_is_counted_and_stays() -> None:
    told = Told()
    result = synced(told)
    result.upsert(Kind.MAPPINGS, named("good"))
    result.upsert(Kind.MAPPINGS, named("bad", broken=True))
    assert [mapping.name for mapping in result.snapshot().mapped["example.org", "Thing"]] == ["bad", "good"]
    assert (result.broken()[Kind.MAPPINGS], told) == (1, [(Kind.MAPPINGS, "bad", "spec.broken: got true")])
    assert result.unready(NOW) == ()
    result.delete(Kind.MAPPINGS, "bad")
    assert (len(result.snapshot().mapped), result.broken()[Kind.MAPPINGS]) == (1, 0)
    result.replace(Kind.MAPPINGS, [])
    assert not result.snapshot().mapped


def test_without_mappings_there_is_nothing_to_look_up() -> None:
    assert not synced().snapshot().mapped


def test_h15_a_suite_is_known_by_what_it_says_now_and_a_broken_or_deleted_one_is_not_known() -> None:
    told = Told()
    result = synced(told)
    result.replace(Kind.SUITES, [named("canary", hash="1"), named("red-team", hash="2")])
    assert result.trust(result.snapshot(), NOW).suites == {"canary": "1", "red-team": "2"}
    result.upsert(Kind.SUITES, named("canary", hash="3"))
    result.upsert(Kind.SUITES, named("red-team", broken=True))
    assert result.trust(result.snapshot(), NOW).suites == {"canary": "3"}
    assert (result.broken()[Kind.SUITES], told[-1][:2]) == (1, (Kind.SUITES, "red-team"))
    result.delete(Kind.SUITES, "canary")

    assert result.trust(result.snapshot(), NOW).suites == {}
