"""What a suite may have asked, and what its Services are compared with."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from modeltrust.api.compile.suites import LiveService, SuiteSettings, compile_suite
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, UnavailableError
from modeltrust.domain.evaluation import Dialect, Suite
from modeltrust.domain.evidence import LineageClaim, Statement
from modeltrust.domain.facts import Known, Unavailable
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.monitor import begin
from modeltrust.operator.monitoring import COMMITTED, RUNNING, WAITING, Monitored, Watched
from modeltrust.operator.watches import Watches, forgotten
from tests.support import evaluation_runs as runs
from tests.support.statements import IDENTITY, NOW, a_statement
from tests.support.suites import a_suite
from tests.unit.operator.test_monitor_jobs import SETTINGS

BASE = parse_identity("hf://acme/base@" + "1" * 40)
SERVICE = LiveService(IDENTITY, "serving", "guard", 8000, "guard")
LETTER = a_statement(content=Known(ContentDigest("ab" * 32)), lineage=Known((LineageClaim("finetune", BASE.key),)))
SUITE = SETTINGS.suite(bank=runs.private_bank().digest, prompts=runs.private_bank().private_digest, baseline=BASE)
DIGEST = "d" * 64


@dataclass(frozen=True)
class Cluster:
    """What is attested and kept."""

    letter: Statement | None = LETTER
    kept: str = DIGEST
    broken: bool = False

    def statement(self, _model: Identity) -> Statement | None:
        return self.letter

    def bank(self, _settings: SuiteSettings) -> Bank:
        if self.broken:
            raise UnavailableError("the Secret prompts is not there")
        return runs.private_bank()

    def digest(self, _model: Identity, suite_hash: str, content: str) -> str:
        assert content == f"sha256:{'ab' * 32}"
        return self.kept if suite_hash == SUITE.hash else ""


def watches(cluster: Cluster | None = None, *namespaces: str) -> Watches:
    cluster = cluster or Cluster()
    return Watches(cluster, cluster, namespaces=frozenset(namespaces or ("serving",)))


def before(fingerprint: str = DIGEST, suite: Suite = SUITE, *, state: str = WAITING) -> Monitored:
    return Monitored(IDENTITY.key, suite.hash, begin(fingerprint, ("DeploymentTag/0",)), 1, "", state, NOW)


def of(cluster: Cluster, settings: SuiteSettings, service: LiveService, was: Monitored | None, *, now: int = NOW) -> Watched:
    one = watches(cluster)
    return one.of(settings, one.bank(settings), service, was, now)


def test_a_service_is_compared_with_what_was_recorded_of_the_attested_content() -> None:
    found = of(Cluster(), SETTINGS, SERVICE, before())

    assert (found.identity, found.content, found.suite) == (IDENTITY, f"sha256:{'ab' * 32}", SUITE)
    assert (found.served.url, found.served.model, found.served.dialect) == ("http://guard.serving.svc:8000", "guard", Dialect.VLLM)
    assert (found.served.token, found.namespace, found.fingerprint) == ("", "serving", DIGEST)
    assert found.triggers[0] == "DeploymentTag/0"


@pytest.mark.parametrize(
    ("cluster", "was"),
    [
        (Cluster(), None),
        (Cluster(kept=""), before()),
        (Cluster(kept="e" * 64), before()),  # somebody put another Secret in its place
        (Cluster(), before("")),
        (Cluster(), before(suite=replace(SUITE, per_stratum=8))),
    ],
)
def test_c6_what_was_not_recorded_by_us_for_this_suite_is_recorded_again(cluster: Cluster, was: Monitored | None) -> None:
    assert of(cluster, SETTINGS, SERVICE, was).fingerprint == ""


@pytest.mark.parametrize("namespace", ["other", "kube-system", "serving-2", "modeltrust-system", ""])
def test_h2_a_suite_has_no_service_asked_outside_the_namespaces_that_the_installation_allows(namespace: str) -> None:
    with pytest.raises(UnavailableError, match=r"not among jobs\.monitoredNamespaces"):
        of(Cluster(), SETTINGS, replace(SERVICE, namespace=namespace), before())
    none = Watches(Cluster(), Cluster(), namespaces=frozenset())
    with pytest.raises(UnavailableError, match="not among"):
        none.of(SETTINGS, runs.private_bank(), SERVICE, before(), NOW)


@pytest.mark.parametrize(
    ("cluster", "settings", "why"),
    [
        (Cluster(letter=None), SETTINGS, "is not attested"),
        (Cluster(letter=replace(LETTER, content=Unavailable("no answer"))), SETTINGS, "is not attested"),
        (Cluster(), replace(SETTINGS, engine="External", image=""), "served outside our control"),
        (Cluster(broken=True), SETTINGS, "prompts is not there"),
    ],
)
def test_what_cannot_be_compared_is_not_asked(cluster: Cluster, settings: SuiteSettings, why: str) -> None:
    with pytest.raises(UnavailableError, match=why):
        of(cluster, settings, SERVICE, before())


@pytest.mark.parametrize(("state", "now"), [(RUNNING, NOW), (COMMITTED, NOW), (WAITING, NOW - 1)])
def test_what_is_kept_is_looked_for_before_a_round_and_not_at_every_look(state: str, now: int) -> None:
    gone = Cluster(kept="")
    assert of(gone, SETTINGS, SERVICE, before(state=state), now=now).fingerprint == DIGEST
    assert of(gone, SETTINGS, SERVICE, before()).fingerprint == ""


def test_of_watches_that_ended_or_asked_something_else_the_fingerprint_is_forgotten() -> None:
    one, other = before(), replace(before(), model="hf://acme/other@" + "2" * 40)
    unknown = replace(before(), model="hf://acme/new@" + "3" * 40, suite_hash="")

    def known(*watches: Monitored) -> dict[str, Monitored]:
        return {watch.model: watch for watch in watches}

    assert forgotten(known(one, other, unknown), known(one)) == ((other.model, SUITE.hash),)
    assert forgotten(known(one), known(replace(one, suite_hash="0" * 64))) == ((one.model, SUITE.hash),)
    assert forgotten(known(one), known(one)) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "guard.attacker.example"},
        {"name": "169.254.169.254"},
        {"name": "guard/../x"},
        {"name": "guard@attacker"},
        {"namespace": "serving.svc.attacker.example#"},
        {"namespace": "serving:80/"},
        {"port": 0},
        {"port": 65_536},
        {"servedName": "a b"},
    ],
)
def test_h2_a_suite_names_services_and_never_addresses(changes: dict[str, Any]) -> None:
    service = {"model": IDENTITY.key, "namespace": "serving", "name": "guard", "port": 8000}
    suite = a_suite()
    suite["spec"]["reprobe"] = {"schedule": "0 3 * * *", "services": [service]}
    compile_suite(suite)
    suite["spec"]["reprobe"]["services"] = [service | changes]
    with pytest.raises(InvalidInputError):
        compile_suite(suite)
