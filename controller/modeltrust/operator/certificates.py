"""Certificates that renew themselves: of the webhook, of the worker, and of the operator as the worker's client.

Only the leader calls this. Every call compares what is with what should be, and writes differences alone: the authority first, then
whom it is believed by, then what it signed. Of the webhook configurations it writes ``caBundle`` and nothing else; a failurePolicy
set to Ignore by hand (the break-glass) is reported for as long as it lasts, and never set back (fault F108).
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from modeltrust.domain import limits
from modeltrust.domain.errors import NotFoundError
from modeltrust.kube import paths
from modeltrust.kube.client import ConflictError
from modeltrust.operator.certificate_authority import Authorities, Leaf, Pair, believed, ends, evolve, issue, stale

Object = dict[str, Any]

AUTHORITY = "modeltrust-ca"
_REGISTRATION = "admissionregistration.k8s.io/v1"
_CONFIGURATIONS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
_NAME = "modeltrust"
CONFIGURATION = paths.group(_REGISTRATION, _CONFIGURATIONS[0], _NAME)
_FAILS_CLOSED = "closed.admission.modeltrust.dev"
_MANAGER = "modeltrust-certificates"
_TLS = "kubernetes.io/tls"
_WEBHOOK = "modeltrust-webhook-tls"


class Objects(Protocol):
    """What is asked of the API server; ``kube.client.ApiServer`` is one."""

    def get_object(self, path: str) -> Object:
        """One object; NotFoundError where there is none."""
        ...

    def create_object(self, path: str, value: Mapping[str, Any]) -> Object | None:
        """Create one; None where one of this name exists."""
        ...

    def replace(self, path: str, value: Mapping[str, Any]) -> Object:
        """Replace one of exactly this version."""
        ...

    def merge_patch(self, path: str, value: Mapping[str, Any], *, manager: str) -> Object:
        """Change some fields, lists as a whole."""
        ...


class Certificates:
    """Keeps three certificates and their authority current.

    Attributes:
        ends: unix seconds at which each certificate ends, by the name of its Secret, as of the last call.
    """

    def __init__(
        self,
        api: Objects,
        namespace: str,
        *,
        drifted: Callable[[tuple[str, ...]], object],
        event: Callable[[str, str], object],
        owner: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin without asking anybody.

        Args:
            api: the API server.
            namespace: of the release.
            drifted: told, after each call, everything in which our webhook configurations are not as the chart made them.
            event: told (reason, sentence) of what was renewed or repaired, once each.
            owner: an ownerReference, so that an uninstall takes the Secrets along.
        """
        self._api = api
        self._namespace = namespace
        self._drifted = drifted
        self._event = event
        self._owner = owner
        self.ends: dict[str, int] = {}

    def reconcile(self, now: int) -> int:
        """Look at everything, write what differs.

        Args:
            now: unix seconds.

        Returns:
            When to call again, in unix seconds.

        Raises:
            ConflictError: somebody else wrote at the same time; call again.
            UnavailableError: the API server refuses, or does not answer.
        """
        stored = self._find(self._secret(AUTHORITY))
        state = _authorities(stored)
        configurations = {plural: self._find(_configuration(plural)) for plural in _CONFIGURATIONS}
        leaves = {name: self._find(self._secret(name)) for name in self._leaves()}
        published = state is not None and state.following is not None and _published(state.following, configurations, leaves)
        wanted = evolve(state, now, published=published, believed_so_far=_data(leaves[_WEBHOOK]).get("ca.crt", b""))
        if wanted != state:
            self._store(AUTHORITY, stored, _authority_data(wanted), "Opaque")
            self._event(
                "CertificateAuthorityChanged", f"{len(believed(wanted.bundle))} authorities are believed; {_change(state, wanted)}"
            )
        self._drifted(tuple(why for plural in _CONFIGURATIONS for why in self._believe(plural, configurations[plural], wanted)))
        for name, leaf in self._leaves().items():
            self._renew(name, leaf, leaves[name], wanted, now)
        return now + limits.CERTIFICATES_SECONDS

    def _leaves(self) -> dict[str, Leaf]:
        def names(host: str) -> tuple[str, ...]:
            return (f"{host}.{self._namespace}.svc", f"{host}.{self._namespace}.svc.cluster.local")

        return {
            _WEBHOOK: Leaf("modeltrust-webhook", names("modeltrust-webhook")),
            "modeltrust-worker-tls": Leaf("modeltrust-worker", names("modeltrust-worker")),
            "modeltrust-worker-client": Leaf("modeltrust-operator", names("modeltrust-operator"), client=True),
        }

    def _renew(self, name: str, leaf: Leaf, stored: Object | None, authorities: Authorities, now: int) -> None:
        data = _data(stored)
        pair = _pair(data, "tls")
        why = stale(pair, leaf, authorities.current, now)
        if why or pair is None:
            pair = issue(authorities.current, leaf, now)
        wanted = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authorities.bundle}
        if why or wanted != data:
            self._store(name, stored, wanted, _TLS)
        if why:
            self._event("CertificateRenewed", f"issued the certificate of Secret {name}: {why}")
        self.ends[name] = ends(pair.certificate)

    def _believe(self, plural: str, configuration: Object | None, authorities: Authorities) -> Sequence[str]:
        """Write our bundle into one configuration; returns how else it differs from the chart's."""
        if configuration is None:
            return [f"{plural}/{_NAME} is not there"] if plural == _CONFIGURATIONS[0] else []
        bundle = base64.b64encode(authorities.bundle).decode()
        webhooks = configuration.get("webhooks") or []
        found = [webhook["clientConfig"].get("caBundle", "") for webhook in webhooks]
        if any(value != bundle for value in found):
            changed = [{**webhook, "clientConfig": {**webhook["clientConfig"], "caBundle": bundle}} for webhook in webhooks]
            patch = {"metadata": {"resourceVersion": configuration["metadata"]["resourceVersion"]}, "webhooks": changed}
            self._api.merge_patch(_configuration(plural), patch, manager=_MANAGER)
            self._event("CABundleWritten", f"wrote caBundle of {plural}/{_NAME}")
        return [
            f"{webhook['name']} has failurePolicy {webhook.get('failurePolicy')}, expected Fail"
            for webhook in webhooks
            if webhook["name"] == _FAILS_CLOSED and webhook.get("failurePolicy") != "Fail"
        ]

    def _store(self, name: str, stored: Object | None, data: Mapping[str, bytes], kind: str) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        if stored is not None:
            self._api.replace(self._secret(name), {**stored, "data": encoded})
            return
        metadata: Object = {"name": name, "namespace": self._namespace, "labels": {"app.kubernetes.io/name": "modeltrust"}}
        if self._owner is not None:
            metadata["ownerReferences"] = [dict(self._owner)]
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": encoded}
        if self._api.create_object(paths.core("secrets", namespace=self._namespace), secret) is None:
            raise ConflictError(f"Secret {name} has just been created by somebody else")

    def _find(self, path: str) -> Object | None:
        try:
            return self._api.get_object(path)
        except NotFoundError:
            return None

    def _secret(self, name: str) -> str:
        return paths.core("secrets", name, namespace=self._namespace)


def _configuration(plural: str) -> str:
    return paths.group(_REGISTRATION, plural, _NAME)


def _data(secret: Object | None) -> dict[str, bytes]:
    """The values of a Secret; what is no base64 counts as absent."""
    found = {}
    for key, value in ((secret or {}).get("data") or {}).items():
        try:
            found[str(key)] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue
    return found


def _pair(data: Mapping[str, bytes], prefix: str) -> Pair | None:
    certificate, key = data.get(f"{prefix}.crt", b""), data.get(f"{prefix}.key", b"")
    return Pair(certificate, key) if certificate and key else None


def _authorities(secret: Object | None) -> Authorities | None:
    data = _data(secret)
    current = _pair(data, "ca")
    if current is None:
        return None
    promoted = data.get("promoted", b"")
    since = int(promoted) if promoted.isdigit() else 0
    return Authorities(current, _pair(data, "next"), data.get("previous.crt", b""), since)


def _authority_data(state: Authorities) -> dict[str, bytes]:
    data = {"ca.crt": state.current.certificate, "ca.key": state.current.key, "promoted": str(state.promoted).encode()}
    if state.following is not None:
        data |= {"next.crt": state.following.certificate, "next.key": state.following.key}
    return data | ({"previous.crt": state.previous} if state.previous else {})


def _published(following: Pair, configurations: Mapping[str, Object | None], leaves: Mapping[str, Object | None]) -> bool:
    """Whether everybody who verifies a certificate of ours has been told of an authority."""
    told = [_data(leaf).get("ca.crt", b"") for leaf in leaves.values()]
    for configuration in filter(None, configurations.values()):
        bundles = {webhook["name"]: webhook["clientConfig"].get("caBundle", "") for webhook in configuration.get("webhooks") or []}
        read = _data({"data": bundles})
        told += [read.get(name, b"") for name in bundles]
    return all(following.certificate in bundle for bundle in told)


def _change(before: Authorities | None, after: Authorities) -> str:
    if before is None or after.current not in (before.current, before.following):
        return "there was none that could sign"
    if after.current != before.current:
        return "the next one signs from now on"
    if after.following != before.following:
        return "the next one is believed from now on, and signs later"
    return "the one before is believed no more"
