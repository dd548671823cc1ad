from collections.abc import Callable, Iterable
from typing import Any

import pytest

from modeltrust.api.v1alpha1.kinds import KINDS
from modeltrust.domain import limits
from modeltrust.kube import paths
from modeltrust.kube.events import Events
from modeltrust.operator.attestations import Result
from modeltrust.operator.declarations import Declarations
from modeltrust.operator.writes import Writes
from modeltrust.policy.wording import moment
from tests.support import api_objects as objects
from tests.support import trusted
from tests.support.api_objects import changed
from tests.support.cluster import ClusterSimulator
from tests.support.statements import DAY, NOW
from tests.unit.operator.test_sources import source

Object = dict[str, Any]
EVENTS = paths.group("events.k8s.io/v1", "events", namespace="default")
SECRETS = paths.core("secrets", namespace="release")
PLURALS = {kind.name: kind.plural for kind in KINDS.values()}


class Asked:
    """The API server asks about everything, or says why not."""

    def __init__(self) -> None:
        self.looks = 0
        self.why = ""
        self.not_listed: tuple[str, ...] = ()

    def __call__(self) -> None:
        self.looks += 1

    def missing(self, group: str, kinds: Iterable[str]) -> str:
        assert group
        assert list(kinds)
        return self.why

    def unlisted(self, group: str, kinds: Iterable[str]) -> tuple[str, ...]:
        assert group
        assert list(kinds)
        return self.not_listed


Look = Callable[[Object], tuple[Result, Object]]


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def declarations(writes: Writes, events: Events, asked: Asked) -> Declarations:
    return Declarations(
        writes,
        namespace="release",
        events=events,
        extractor=trusted.EXTRACTOR,
        intercepts=asked,
        signed_by=lambda name: 12 if name == "acme" else 0,
    )


@pytest.fixture
def look(declarations: Declarations, cluster: ClusterSimulator) -> Look:
    def look(value: Object) -> tuple[Result, Object]:
        plural, name = PLURALS[value["kind"]], value["metadata"]["name"]
        cluster.put(paths.ours(plural), value)
        result = declarations.reconcile(plural, name, NOW)
        found = cluster.find(paths.ours(plural), name)
        assert found is not None
        KINDS[value["kind"]].status.model_validate(found["status"])
        return result, found["status"]

    return look


def ready(status: Object) -> tuple[str, str]:
    (found,) = [entry for entry in status["conditions"] if entry["type"] == "Ready"]
    return found["status"], found["reason"]


def exemption(until: int) -> Object:
    spec = {
        "policies": ["production"],
        "namespaces": ["team-a"],
        "models": [trusted.GUARD],
        "requirements": ["Signature"],
        "justification": "legacy",
        "expirationTime": moment(until),
    }
    value = trusted.thing("PolicyExemption", "legacy", spec)
    value["metadata"]["creationTimestamp"] = moment(NOW - 80 * DAY)
    return value


def test_a_signer_says_its_fingerprints_and_how_much_it_signed(look: Look) -> None:
    _, status = look(trusted.signer())
    assert (len(status["fingerprints"][0]), status["modelsSigned"], ready(status)) == (64, 12, ("True", "Accepted"))


def test_a_policy_lists_what_is_in_effect(look: Look) -> None:
    _, status = look(trusted.policy())
    assert status["effectiveRequirements"] == ["Pinned", "Sources", "Signature", "Formats"]
    assert (ready(status), status["observedGeneration"]) == (("True", "Accepted"), 1)


def test_f58_a_broken_policy_is_loudly_not_ready(look: Look, cluster: ClusterSimulator) -> None:
    _, status = look(trusted.policy(requirements=[{"type": "Surprise"}]))
    assert (status["effectiveRequirements"], ready(status)) == ([], ("False", "PolicyInvalid"))
    assert "Surprise" in str(status["conditions"])
    assert [event["reason"] for event in cluster.all(EVENTS)] == ["PolicyBroken"]


def test_a_policy_with_an_announced_date_is_looked_at_then(look: Look) -> None:
    result, _ = look(trusted.policy(enforceAfterTime=moment(NOW + DAY)))
    assert result.after == DAY + 1


@pytest.mark.parametrize(
    "value",
    [
        trusted.thing("TrustedSigner", "x", {"purposes": []}),
        trusted.thing("ModelSource", "x", {"models": []}),
        trusted.thing("ModelRevocation", "x", {"reason": "r", "action": "DenyNew"}),
        trusted.thing("PolicyExemption", "x", {}),
        trusted.thing("ModelReferenceMapping", "x", {}),
    ],
)
def test_what_is_not_understood_is_stalled_and_told(value: Object, look: Look, cluster: ClusterSimulator) -> None:
    _, status = look(value)
    assert ready(status) == ("False", "Invalid")
    assert {entry["type"] for entry in status["conditions"]} == {"Ready", "Stalled"}
    assert len(cluster.all(EVENTS)) == 1


def test_a_revocation_in_effect_says_so(look: Look) -> None:
    assert ready(look(trusted.revocation())[1]) == ("True", "InEffect")


def test_f72_a_source_whose_secret_is_missing_or_empty_is_looked_at_again(look: Look, cluster: ClusterSimulator) -> None:
    value = source("acme", "hf://acme/*", credentials={"secretName": "hf-acme"})
    result, status = look(value)
    assert (ready(status), result.after) == (("False", "SecretMissing"), 60.0)
    cluster.put(SECRETS, {"metadata": {"name": "hf-acme"}, "data": {}})
    assert ready(look(value)[1]) == ("False", "SecretInvalid")
    cluster.put(SECRETS, {"metadata": {"name": "hf-acme"}, "data": {"token": "aHVudGVyMg=="}})
    _, status = look(value)
    assert ready(status) == ("True", "Accepted")
    assert "hunter2" not in str(status)
    assert ready(look(source("open", "hf://zeta/*"))[1]) == ("True", "Accepted")


def test_an_exemption_is_told_a_week_before_it_ends_and_then_is_none(look: Look, cluster: ClusterSimulator) -> None:
    result, status = look(exemption(NOW + 8 * DAY))
    assert (ready(status), result.after, cluster.all(EVENTS)) == (("True", "Accepted"), 1.0 * DAY, [])
    result, _ = look(exemption(NOW + 6 * DAY))
    assert result.after == 6 * DAY + 1
    assert [event["reason"] for event in cluster.all(EVENTS)] == ["ExemptionEnds"]
    assert ready(look(exemption(NOW))[1]) == ("False", "Expired")
    assert limits.EXEMPTION_NOTICE_SECONDS == 7 * DAY


def test_a_second_look_writes_nothing_and_what_the_audit_wrote_stays(
    look: Look, declarations: Declarations, cluster: ClusterSimulator
) -> None:
    look(trusted.policy())
    found = cluster.find(paths.ours("modelpolicies"), "production")
    assert found is not None
    found["status"]["workloads"] = {"matched": 1, "wouldDeny": 0, "pending": 0, "unresolved": 0}
    cluster.put(paths.ours("modelpolicies"), found)
    before = len(cluster.writes())
    declarations.reconcile("modelpolicies", "production", NOW + 60)
    assert len(cluster.writes()) == before


def test_what_is_gone_is_gone(declarations: Declarations) -> None:
    assert declarations.reconcile("modelpolicies", "nothing", NOW).outcome == "gone"


def unproven() -> Object:
    return changed(objects.mapping(), "spec.tests", [{"object": objects.CONNECTOR, "expect": ["hf://acme/another"]}])


def test_a_mapping_is_ready_when_its_tests_hold_and_the_api_server_asks(look: Look, asked: Asked) -> None:
    result, status = look(objects.mapping())
    assert ready(status) == ("True", "Accepted")
    assert "GMConnector" in str(status["conditions"])
    assert asked.looks == 1
    assert result.after is not None  # somebody may change the webhook configuration


def test_a_mapping_whose_test_does_not_hold_says_which_with_what_was_got_and_expected(
    look: Look, cluster: ClusterSimulator
) -> None:
    _, status = look(unproven())
    assert ready(status) == ("False", "TestsFailed")
    (said,) = {entry["message"] for entry in status["conditions"]}
    assert 'spec.tests[0].expect[0]: got "hf://acme/guard", expected "hf://acme/another"' in said
    assert "UnresolvedReference" in said
    assert {entry["type"] for entry in status["conditions"]} == {"Ready", "Stalled"}
    assert [event["reason"] for event in cluster.all(EVENTS)] == ["MappingBroken"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.refs", [{"path": "$.metadata.labels.x", "role": "Base", "uriProfile": "BareHF"}]),
        ("spec.refs", [{"path": "$.spec.x", "role": "Base", "uriProfile": "Unheard"}]),
        ("spec.match.group", "apps"),
        ("spec.tests", [{"object": {"apiVersion": "v1", "kind": "Pod"}, "expect": ["hf://acme/guard"]}]),
    ],
)
def test_a_mapping_that_is_wrong_is_stalled_and_is_asked_about_all_the_same(
    path: str, value: Any, look: Look, asked: Asked
) -> None:
    _, status = look(changed(objects.mapping(), path, value))
    assert ready(status) == ("False", "Invalid")
    assert asked.looks == 1


def test_a_mapping_whose_kinds_nobody_asks_about_is_not_ready_and_is_looked_at_again(look: Look, asked: Asked) -> None:
    asked.why = "the API server does not ask about GMConnector of gmc.opea.io yet"
    result, status = look(objects.mapping())
    assert ready(status) == ("False", "NotIntercepted")
    assert asked.why in str(status["conditions"])
    assert result.after is not None
    assert result.after < 10


def test_a_kind_that_the_audit_may_not_list_is_said_with_what_allows_it(look: Look, asked: Asked) -> None:
    asked.not_listed = ("gmconnectors.gmc.opea.io",)
    _, status = look(objects.mapping())
    assert ready(status) == ("True", "Accepted")
    (audited,) = [entry for entry in status["conditions"] if entry["type"] == "Audited"]
    assert (audited["status"], audited["reason"]) == ("False", "NotListed")
    assert "gmconnectors.gmc.opea.io" in audited["message"]
    assert "modeltrust.dev/aggregate-to-operator" in audited["message"]


def test_a_mapping_that_is_gone_is_asked_about_no_more(declarations: Declarations, asked: Asked) -> None:
    assert declarations.reconcile("modelreferencemappings", "gmc", NOW).outcome == "gone"
    assert asked.looks == 1
