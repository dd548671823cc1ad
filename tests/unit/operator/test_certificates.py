import base64
import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from modeltrust.domain import limits
from modeltrust.domain.errors import NotFoundError, UnavailableError
from modeltrust.kube.client import ConflictError
from modeltrust.operator.certificate_authority import believed
from modeltrust.operator.certificates import AUTHORITY, Certificates
from tests.support.cluster import ClusterSimulator

Object = dict[str, Any]
NOW = 1_800_000_000
DAY = 24 * 3600
NAMESPACE = "modeltrust-system"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
LEAVES = ("modeltrust-webhook-tls", "modeltrust-worker-tls", "modeltrust-worker-client")


class Direct:
    """The simulated cluster without HTTP: three simulated years take seconds."""

    def __init__(self, cluster: ClusterSimulator) -> None:
        self.cluster = cluster
        self.writes: list[tuple[str, str]] = []
        self.fails_after: int | None = None

    def get_object(self, path: str) -> Object:
        found = self.cluster.find(*place(path))
        if found is None:
            raise NotFoundError(path)
        return found

    def create_object(self, path: str, value: Mapping[str, Any]) -> Object | None:
        self._write("create", f"{path}/{value['metadata']['name']}")
        status, body = self.cluster.create(path, dict(value))
        return body if status == 201 else None

    def replace(self, path: str, value: Mapping[str, Any]) -> Object:
        self._write("replace", path)
        return self._answer(*self.cluster.replace(*place(path), dict(value), ""))

    def merge_patch(self, path: str, value: Mapping[str, Any], *, manager: str) -> Object:
        assert manager
        self._write("patch", path)
        return self._answer(*self.cluster.merge(*place(path), dict(value), ""))

    def _write(self, verb: str, path: str) -> None:
        if self.fails_after is not None and len(self.writes) >= self.fails_after:
            raise UnavailableError("as you wished")
        self.writes.append((verb, path))

    @staticmethod
    def _answer(status: int, body: Object) -> Object:
        if status == 409:
            raise ConflictError(body["message"])
        assert status == 200
        return body


class World:
    """A cluster with our configuration in it, and who looks after its certificates."""

    def __init__(self) -> None:
        self.cluster = ClusterSimulator()
        self.api = Direct(self.cluster)
        self.drifts: list[tuple[str, ...]] = []
        self.events: list[tuple[str, str]] = []
        self.cluster.put(CONFIGURATIONS, configuration())
        self.certificates = self.fresh()

    def fresh(self) -> Certificates:
        """As after the other replica has become the leader."""
        return Certificates(
            self.api,
            NAMESPACE,
            drifted=self.drifts.append,
            event=lambda reason, text: self.events.append((reason, text)),
            owner={"apiVersion": "v1", "kind": "ServiceAccount", "name": "modeltrust-operator", "uid": "u"},
        )

    def data(self, name: str) -> dict[str, bytes]:
        secret = self.cluster.find(SECRETS, name)
        assert secret is not None, name
        return {key: base64.b64decode(value) for key, value in secret["data"].items()}

    def bundles(self) -> list[bytes]:
        found = self.cluster.find(CONFIGURATIONS, "modeltrust")
        assert found is not None
        return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in found["webhooks"]]

    def change(self, **fields: Any) -> None:
        """Somebody changes the webhook that fails closed."""
        found = self.cluster.find(CONFIGURATIONS, "modeltrust")
        assert found is not None
        found["webhooks"][1] |= fields
        self.cluster.put(CONFIGURATIONS, found)


@pytest.fixture
def world() -> World:
    return World()


def place(path: str) -> tuple[str, str]:
    collection, _, name = path.rpartition("/")
    return collection, name


def configuration(name: str = "modeltrust") -> Object:
    def webhook(word: str, policy: str) -> Object:
        service = {"name": "modeltrust-webhook", "namespace": NAMESPACE, "path": "/validate", "port": 443}
        return {
            "name": f"{word}.admission.modeltrust.dev",
            "failurePolicy": policy,
            "clientConfig": {"service": service},
            "rules": [],
        }

    return {"metadata": {"name": name}, "webhooks": [webhook("open", "Ignore"), webhook("closed", "Fail")]}


def verifies(leaf: bytes, bundle: bytes, now: int, *, client: bool = False) -> bool:
    """As a TLS peer verifies; an independent implementation of path building."""
    builder = PolicyBuilder().store(Store(x509.load_pem_x509_certificates(bundle))).time(dt.datetime.fromtimestamp(now, dt.UTC))
    certificate = x509.load_pem_x509_certificate(leaf)
    try:
        if client:
            builder.build_client_verifier().verify(certificate, [])
        else:
            builder.build_server_verifier(x509.DNSName(server_name(certificate))).verify(certificate, [])
    except (VerificationError, ValueError):
        return False
    return True


def server_name(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return str(names.get_values_for_type(x509.DNSName)[0])


def life(world: World, *, days: int, step: int) -> Iterator[int]:
    now = NOW
    while now < NOW + days * DAY:
        world.certificates.reconcile(now)
        yield now
        now += step


def test_everything_is_made_from_nothing_and_verifies(world: World) -> None:
    due = world.certificates.reconcile(NOW)

    assert due == NOW + limits.CERTIFICATES_SECONDS
    for name in LEAVES:
        data = world.data(name)
        assert set(data) == {"tls.crt", "tls.key", "ca.crt"}
        assert verifies(data["tls.crt"], data["ca.crt"], NOW, client=name.endswith("client"))
    assert all(verifies(world.data("modeltrust-webhook-tls")["tls.crt"], bundle, NOW) for bundle in world.bundles())


def test_the_bundle_is_believed_before_the_first_leaf_is_served(world: World) -> None:
    world.certificates.reconcile(NOW)

    written = [path.rsplit("/", 1)[1] for _, path in world.api.writes]
    assert written == [AUTHORITY, "modeltrust", *LEAVES]


def test_nothing_is_written_where_nothing_differs(world: World) -> None:
    world.certificates.reconcile(NOW)
    before = len(world.api.writes)

    for now in range(NOW + 60, NOW + 19 * DAY, DAY):
        world.certificates.reconcile(now)

    assert len(world.api.writes) == before


def test_a_client_certificate_serves_nothing_and_a_servers_vouches_for_no_client(world: World) -> None:
    world.certificates.reconcile(NOW)
    bundle = world.bundles()[0]

    assert not verifies(world.data("modeltrust-worker-client")["tls.crt"], bundle, NOW)
    for name in LEAVES[:2]:
        assert not verifies(world.data(name)["tls.crt"], bundle, NOW, client=True)


def test_a_leaf_is_no_authority(world: World) -> None:
    world.certificates.reconcile(NOW)

    for name in LEAVES:
        certificate = x509.load_pem_x509_certificate(world.data(name)["tls.crt"])
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_leaves_are_renewed_after_two_thirds_of_their_life_and_never_earlier(world: World) -> None:
    world.certificates.reconcile(NOW)
    first = world.data("modeltrust-webhook-tls")["tls.crt"]

    world.certificates.reconcile(NOW + 20 * DAY - 600)
    assert world.data("modeltrust-webhook-tls")["tls.crt"] == first

    world.certificates.reconcile(NOW + 20 * DAY)
    assert world.data("modeltrust-webhook-tls")["tls.crt"] != first
    assert (
        "CertificateRenewed",
        "issued the certificate of Secret modeltrust-webhook-tls: two thirds of its life are over",
    ) in world.events


def test_at_every_instant_what_is_served_verifies_under_what_was_believed_within_the_lag(world: World) -> None:
    """Kubelets and API servers lag: whatever was served or published within the last half hour must go together."""
    authorities: set[bytes] = set()
    for now in life(world, days=500, step=4 * DAY + limits.CA_STAGED_SECONDS):
        seen = []
        for at in (now + 1_800, now + limits.CA_STAGED_SECONDS):  # what has just been changed meets what was before
            seen.append((world.data("modeltrust-webhook-tls")["tls.crt"], world.bundles()[0]))
            world.certificates.reconcile(at)
            seen.append((world.data("modeltrust-webhook-tls")["tls.crt"], world.bundles()[0]))
            pairs = set(itertools.product({leaf for leaf, _ in seen}, {bundle for _, bundle in seen}))
            assert all(verifies(leaf, bundle, at) for leaf, bundle in pairs)
        authorities |= set(believed(seen[-1][1]))
        assert len(believed(seen[-1][1])) <= 2
    assert len(authorities) == 3


def test_every_leaf_and_its_verifiers_survive_a_change_of_authority(world: World) -> None:
    for now in life(world, days=300, step=6 * DAY):
        for name in LEAVES:
            for other in LEAVES:
                assert verifies(world.data(name)["tls.crt"], world.data(other)["ca.crt"], now, client=name.endswith("client"))


def test_the_next_authority_is_believed_before_it_signs_and_the_one_before_for_twice_a_leafs_life(world: World) -> None:
    world.certificates.reconcile(NOW)
    old = world.data(AUTHORITY)["ca.crt"]
    staged = NOW + limits.CA_SECONDS * 2 // 3

    world.certificates.reconcile(staged)
    assert world.data(AUTHORITY)["ca.crt"] == old
    following = world.data(AUTHORITY)["next.crt"]
    assert world.bundles()[0] == old + following

    world.certificates.reconcile(staged + limits.CA_STAGED_SECONDS - 1)
    assert world.data(AUTHORITY)["ca.crt"] == old

    promoted = staged + limits.CA_STAGED_SECONDS
    world.certificates.reconcile(promoted)
    assert world.data(AUTHORITY)["ca.crt"] == following
    assert "next.key" not in world.data(AUTHORITY)
    assert world.bundles()[0] == following + old
    assert verifies(world.data("modeltrust-webhook-tls")["tls.crt"], following, promoted)

    world.certificates.reconcile(promoted + 2 * limits.LEAF_SECONDS - 1)
    assert world.bundles()[0] == following + old
    world.certificates.reconcile(promoted + 2 * limits.LEAF_SECONDS)
    assert world.bundles()[0] == following


def test_an_authority_that_is_not_believed_everywhere_does_not_sign(world: World) -> None:
    world.certificates.reconcile(NOW)
    staged = NOW + limits.CA_SECONDS * 2 // 3
    world.certificates.reconcile(staged)
    old = world.data(AUTHORITY)["ca.crt"]
    world.change(clientConfig={"caBundle": base64.b64encode(old).decode()})  # an old backup, applied by GitOps

    world.certificates.reconcile(staged + limits.CA_STAGED_SECONDS)

    assert world.data(AUTHORITY)["ca.crt"] == old
    assert world.bundles()[1] == old + world.data(AUTHORITY)["next.crt"]
    world.certificates.reconcile(staged + limits.CA_STAGED_SECONDS + 60)
    assert world.data(AUTHORITY)["ca.crt"] != old


@pytest.mark.parametrize("bundle", ["", "bm9uc2Vuc2U=", "§"])
def test_f83_a_bundle_that_was_emptied_or_spoilt_is_written_again(world: World, bundle: str) -> None:
    world.certificates.reconcile(NOW)
    good = world.bundles()[0]
    world.change(clientConfig={"caBundle": bundle})

    world.certificates.reconcile(NOW + 60)

    assert world.bundles() == [good, good]
    assert world.events[-1] == ("CABundleWritten", "wrote caBundle of validatingwebhookconfigurations/modeltrust")


def test_f108_a_break_glass_is_reported_for_as_long_as_it_lasts_and_never_set_back(world: World) -> None:
    world.certificates.reconcile(NOW)
    world.change(failurePolicy="Ignore")
    writes = len(world.api.writes)

    for minute in range(1, 4):
        world.certificates.reconcile(NOW + minute * 60)

    assert world.drifts[-3:] == [("closed.admission.modeltrust.dev has failurePolicy Ignore, expected Fail",)] * 3
    assert len(world.api.writes) == writes
    world.change(failurePolicy="Fail")
    world.certificates.reconcile(NOW + 300)
    assert world.drifts[-1] == ()


def test_f108_the_bundle_is_renewed_during_a_break_glass_and_the_policy_left_as_it_is(world: World) -> None:
    world.change(failurePolicy="Ignore", namespaceSelector={"matchLabels": {"a": "b"}}, rules=[{"x": 1}], timeoutSeconds=1)
    before = world.cluster.find(CONFIGURATIONS, "modeltrust")
    assert before is not None

    world.certificates.reconcile(NOW)

    after = world.cluster.find(CONFIGURATIONS, "modeltrust")
    assert after is not None
    for old, new in zip(before["webhooks"], after["webhooks"], strict=True):
        assert new["clientConfig"].pop("caBundle")
        assert old == new


def test_a_configuration_that_is_gone_is_reported_and_not_made(world: World) -> None:
    world.cluster.remove(CONFIGURATIONS, "modeltrust")

    world.certificates.reconcile(NOW)

    assert world.drifts == [("validatingwebhookconfigurations/modeltrust is not there",)]
    assert world.cluster.find(CONFIGURATIONS, "modeltrust") is None


def test_the_mutating_configuration_gets_the_bundle_too_and_foreign_ones_never(world: World) -> None:
    world.cluster.put(MUTATING, configuration())
    world.cluster.put(CONFIGURATIONS, configuration("somebody-elses"))

    world.certificates.reconcile(NOW)

    ours, foreign = world.cluster.find(MUTATING, "modeltrust"), world.cluster.find(CONFIGURATIONS, "somebody-elses")
    assert ours is not None
    assert foreign is not None
    assert base64.b64decode(ours["webhooks"][0]["clientConfig"]["caBundle"]) == world.bundles()[0]
    assert "caBundle" not in foreign["webhooks"][0]["clientConfig"]


@pytest.mark.parametrize("name", LEAVES)
def test_a_secret_that_was_deleted_is_made_again(world: World, name: str) -> None:
    world.certificates.reconcile(NOW)
    world.cluster.remove(SECRETS, name)

    world.certificates.reconcile(NOW + 60)

    assert verifies(world.data(name)["tls.crt"], world.bundles()[0], NOW + 60, client=name.endswith("client"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tls.crt", b""),
        ("tls.crt", b"nonsense"),
        ("tls.key", b"nonsense"),
        ("tls.key", b""),
        ("ca.crt", b""),
        ("ca.crt", b"nonsense"),
    ],
)
def test_a_secret_that_was_spoilt_is_mended(world: World, key: str, value: bytes) -> None:
    world.certificates.reconcile(NOW)
    secret = world.cluster.find(SECRETS, "modeltrust-webhook-tls")
    assert secret is not None
    secret["data"][key] = base64.b64encode(value).decode()
    world.cluster.put(SECRETS, secret)

    world.certificates.reconcile(NOW + 60)

    data = world.data("modeltrust-webhook-tls")
    assert verifies(data["tls.crt"], data["ca.crt"], NOW + 60)
    assert data["ca.crt"] == world.bundles()[0]


def test_certificates_swapped_between_secrets_are_issued_anew(world: World) -> None:
    world.certificates.reconcile(NOW)
    secrets = {name: world.cluster.find(SECRETS, name) for name in LEAVES}
    for name, other in itertools.pairwise([*LEAVES, LEAVES[0]]):
        taken, given = secrets[name], secrets[other]
        assert taken is not None
        assert given is not None
        world.cluster.put(SECRETS, {**taken, "data": given["data"]})

    world.certificates.reconcile(NOW + 60)

    for name in LEAVES:
        assert verifies(world.data(name)["tls.crt"], world.bundles()[0], NOW + 60, client=name.endswith("client"))


def test_a_foreign_certificate_in_our_secret_does_not_stay(world: World) -> None:
    world.certificates.reconcile(NOW)
    other = World()
    other.certificates.reconcile(NOW)
    foreign = other.cluster.find(SECRETS, "modeltrust-webhook-tls")
    ours = world.cluster.find(SECRETS, "modeltrust-webhook-tls")
    assert foreign is not None
    assert ours is not None
    world.cluster.put(SECRETS, {**ours, "data": foreign["data"]})

    world.certificates.reconcile(NOW + 60)

    assert verifies(world.data("modeltrust-webhook-tls")["tls.crt"], world.bundles()[0], NOW + 60)


@pytest.mark.parametrize("loss", ["deleted", "unreadable", "foreign key", "expired"])
def test_a_lost_authority_is_replaced_and_what_it_signed_serves_on(world: World, loss: str) -> None:
    world.certificates.reconcile(NOW)
    served = world.data("modeltrust-webhook-tls")["tls.crt"]
    secret = world.cluster.find(SECRETS, AUTHORITY)
    assert secret is not None
    now = NOW + 60
    if loss == "deleted":
        world.cluster.remove(SECRETS, AUTHORITY)
    elif loss == "expired":
        now = NOW + limits.CA_SECONDS + DAY  # the operator was away for a year
    else:
        spoilt = b"nonsense" if loss == "unreadable" else world.data("modeltrust-webhook-tls")["tls.key"]
        world.cluster.put(SECRETS, {**secret, "data": {**secret["data"], "ca.key": base64.b64encode(spoilt).decode()}})

    world.certificates.reconcile(now)

    assert loss == "expired" or verifies(served, world.bundles()[0], now)
    assert verifies(world.data("modeltrust-webhook-tls")["tls.crt"], world.bundles()[0], now)
    assert len(believed(world.bundles()[0])) == (1 if loss == "expired" else 2)


def test_losing_the_authority_again_and_again_never_lets_the_bundle_grow_without_bound(world: World) -> None:
    for minute in range(12):
        world.certificates.reconcile(NOW + minute * 60)
        world.cluster.remove(SECRETS, AUTHORITY)

    assert len(believed(world.bundles()[0])) <= limits.CA_BELIEVED + 1


@pytest.mark.parametrize("writes", range(6))
def test_a_failure_after_any_write_is_made_good_by_the_next_leader(world: World, writes: int) -> None:
    world.api.fails_after = writes
    try:
        world.certificates.reconcile(NOW)
    except UnavailableError:
        world.api.fails_after = None

    world.fresh().reconcile(NOW + 60)

    for name in LEAVES:
        for bundle in world.bundles():
            assert verifies(world.data(name)["tls.crt"], bundle, NOW + 60, client=name.endswith("client"))


def test_two_leaders_at_once_do_not_make_two_authorities(world: World) -> None:
    class Late(Direct):
        def create_object(self, path: str, value: Mapping[str, Any]) -> Object | None:
            if not self.writes:
                self.writes.append(("the other one is faster", path))
                world.fresh().reconcile(NOW)
            return super().create_object(path, value)

    late = Certificates(Late(world.cluster), NAMESPACE, drifted=world.drifts.append, event=lambda *_: None)
    with pytest.raises(ConflictError):
        late.reconcile(NOW)

    late.reconcile(NOW + 60)
    assert len(believed(world.bundles()[0])) == 1


def test_a_change_by_somebody_in_between_is_not_overwritten(world: World) -> None:
    class Slow(Direct):
        def merge_patch(self, path: str, value: Mapping[str, Any], *, manager: str) -> Object:
            world.change(failurePolicy="Ignore")
            return super().merge_patch(path, value, manager=manager)

    slow = Certificates(Slow(world.cluster), NAMESPACE, drifted=world.drifts.append, event=lambda *_: None)

    with pytest.raises(ConflictError):
        slow.reconcile(NOW)

    found = world.cluster.find(CONFIGURATIONS, "modeltrust")
    assert found is not None
    assert found["webhooks"][1]["failurePolicy"] == "Ignore"


def test_a_clock_that_was_a_year_ahead_is_made_good(world: World) -> None:
    world.certificates.reconcile(NOW + 365 * DAY)

    world.certificates.reconcile(NOW)

    data = world.data("modeltrust-webhook-tls")
    assert verifies(data["tls.crt"], world.bundles()[0], NOW)


def test_the_secrets_go_with_the_release(world: World) -> None:
    world.certificates.reconcile(NOW)

    for name in (AUTHORITY, *LEAVES):
        secret = world.cluster.find(SECRETS, name)
        assert secret is not None
        assert secret["metadata"]["ownerReferences"] == [
            {"apiVersion": "v1", "kind": "ServiceAccount", "name": "modeltrust-operator", "uid": "u"}
        ]


def test_no_key_is_shown_in_events_or_representations(world: World) -> None:
    world.certificates.reconcile(NOW)

    shown = repr(world.events) + repr(world.certificates.__dict__)
    assert "PRIVATE" not in shown
    assert world.data(AUTHORITY)["ca.key"].splitlines()[1].decode() not in shown


def test_the_end_of_every_certificate_is_known(world: World) -> None:
    world.certificates.reconcile(NOW)

    assert world.certificates.ends == dict.fromkeys(LEAVES, NOW + limits.LEAF_SECONDS)
