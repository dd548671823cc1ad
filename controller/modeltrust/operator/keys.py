"""The signing keys: in a Secret that only the operator reads, and their public halves in the ConfigMap that the webhook mounts.

No key, and no part of one, ever stands in a log line, an error, an event or a condition.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modeltrust.api.v1alpha1.fields import unix_time
from modeltrust.attestation.keys import attestor_entry, key_id, new_key
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, NotFoundError, quote
from modeltrust.kube import paths
from modeltrust.kube.client import ConflictError, Object
from modeltrust.operator.attestor_list import merged, read_entries, write_entries
from modeltrust.operator.key_ring import Request, Ring, turn
from modeltrust.operator.owner import owner
from modeltrust.operator.writes import Writes
from modeltrust.policy.wording import moment
from modeltrust.verification.attest import load_attestor_key

ROTATE = "modeltrust.dev/rotate-key"  # on the Secret: Planned or Compromised
ATTESTORS_KEY = "attestors.yaml"
_LISTED_AT = "modeltrust.dev/next-key-listed-at"
_SIGNING_AT = "modeltrust.dev/current-key-signing-at"
_MANAGED = "modeltrust.dev/operator-keys"  # on the ConfigMap: ids of keys that are or were ours
_FIELDS = (("current", "current.pem"), ("upcoming", "next.pem"), ("previous", "previous.pem"))
_LABELS = {"app.kubernetes.io/name": "modeltrust", "app.kubernetes.io/component": "operator"}
_MANAGED_KEYS = 64  # ids remembered


@dataclass(frozen=True, slots=True)
class Places:
    """Where the keys are.

    Attributes:
        namespace: of the release.
        secret: name of the Secret.
        config_map: name of the ConfigMap.
    """

    namespace: str
    secret: str
    config_map: str


class Keys:
    """What signs now, and who is believed. ``refresh`` is called by one thread; the rest by any."""

    def __init__(
        self,
        writes: Writes,
        *,
        places: Places,
        audience: str,
        now: Callable[[], int],
        believe: Callable[[bytes], None],
    ) -> None:
        """Begin without a key.

        Args:
            writes: to the API server.
            places: where the keys are.
            audience: of the statements.
            now: unix seconds.
            believe: takes the trust file's bytes whenever it is seen.
        """
        self._writes = writes
        self._namespace = places.namespace
        self._secret = places.secret
        self._config_map = places.config_map
        self._audience = audience
        self._now = now
        self._believe = believe
        self._held: tuple[Any, ...] = ()
        self._ids: frozenset[str] = frozenset()
        self._lost = False  # a key of ours is gone, and the trust file does not say yet until when it counts

    def held(self) -> tuple[Any, ...]:
        """The private keys: the first one signs, all are believed about what they signed. Empty until the first refresh."""
        return self._held

    def ours(self, key: str) -> bool:
        """Whether a key id is one of a key that we hold."""
        return key in self._ids

    def refresh(self) -> bool:
        """Look at the Secret and the ConfigMap, and bring both to where they should be.

        Returns:
            Whether the keys that we hold have changed: statements of a key that is gone must be renewed.

        Raises:
            ModelTrustError: something could not be read or written; what signs stays.
        """
        secret, fresh = self._read_or_create()
        ring = _parse(secret)
        request = _request(secret)
        turned = turn(ring, request=request, now=self._now(), new_key=new_key)
        if turned != ring or request is not Request.NONE:
            secret, ring = self._store(secret, turned), turned
        self._lost = (self._lost or fresh) and request is not Request.COMPROMISED
        complete = self._publish(ring, compromised=request is Request.COMPROMISED)
        self._lost = False
        if ring.upcoming and not (ring.listed_at and complete):
            self._store(secret, _listed(ring, self._now()))
        return self._use(ring)

    def _use(self, ring: Ring) -> bool:
        held = tuple(load_attestor_key(pem) for pem in ring.listed)
        ids = frozenset(key_id(key) for key in held)
        changed = not self._held or bool(self._ids - ids)
        self._held, self._ids = held, ids
        return changed

    def _read_or_create(self) -> tuple[Object, bool]:
        path = paths.core("secrets", self._secret, namespace=self._namespace)
        try:
            secret = self._writes.get_object(path)
        except NotFoundError:
            body = self._owned(_secret_body(self._secret, Ring(current=new_key(), signing_at=self._now())))
            made = self._writes.create_object(paths.core("secrets", namespace=self._namespace), body)
            return (self._writes.get_object(path), False) if made is None else (made, True)
        if secret.get("data"):
            return secret, False
        return self._store(secret, Ring(current=new_key(), signing_at=self._now())), True

    def _store(self, secret: Object, ring: Ring) -> Object:
        body = _secret_body(self._secret, ring)
        metadata = {**secret["metadata"]}
        annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != ROTATE}
        metadata["annotations"] = annotations | body["metadata"]["annotations"]
        path = paths.core("secrets", self._secret, namespace=self._namespace)
        return self._writes.replace(path, {**secret, "metadata": metadata, "data": body["data"]})

    def _owned(self, value: Object) -> Object:
        """What we make goes with the release; what somebody else has made stays theirs."""
        found = owner(self._writes, self._namespace)
        references = [dict(found)] if found is not None else []
        return {**value, "metadata": {**value["metadata"], "ownerReferences": references}}

    def _publish(self, ring: Ring, *, compromised: bool) -> bool:
        """The public halves into the ConfigMap; returns whether they were there already."""
        path = paths.core("configmaps", self._config_map, namespace=self._namespace)
        try:
            found = self._writes.get_object(path)
        except NotFoundError:
            found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self._config_map, "labels": _LABELS}}
        text = str((found.get("data") or {}).get(ATTESTORS_KEY, ""))
        managed = _managed(found)
        ours = [attestor_entry(load_attestor_key(pem), audience=self._audience) for pem in ring.listed]
        now = self._now()
        until = moment(now + limits.STATEMENT_SECONDS) if self._lost else ""
        entries = [entry for entry in read_entries(text) if not (compromised and entry.get("keyId") in managed)]
        wanted = write_entries(merged(entries, ours, managed=managed, until=until, now=moment(now)))
        ids = [*dict.fromkeys([entry["keyId"] for entry in ours] + sorted(managed))][:_MANAGED_KEYS]
        complete = wanted == text and frozenset(ids) == managed
        if not complete:
            self._write_config_map(path, found, wanted, ids)
        self._believe(wanted.encode("utf-8"))
        return complete

    def _write_config_map(self, path: str, found: Object, text: str, ids: list[str]) -> None:
        metadata = {**found["metadata"]}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), _MANAGED: ",".join(ids)}
        value = {**found, "metadata": metadata, "data": {**(found.get("data") or {}), ATTESTORS_KEY: text}}
        if "resourceVersion" in metadata:
            self._writes.replace(path, value)
        elif self._writes.create_object(paths.core("configmaps", namespace=self._namespace), self._owned(value)) is None:
            raise ConflictError(f"the ConfigMap {quote(self._config_map)} appeared while it was being made")


def _secret_body(name: str, ring: Ring) -> Object:
    annotations = {_SIGNING_AT: moment(ring.signing_at)} | {_LISTED_AT: moment(ring.listed_at) if ring.listed_at else ""}
    data = {key: base64.b64encode(pem).decode() for field, key in _FIELDS if (pem := getattr(ring, field))}
    metadata = {"name": name, "labels": _LABELS, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}


def _parse(secret: Object) -> Ring:
    data = secret.get("data") or {}
    annotations = secret["metadata"].get("annotations") or {}
    keys = {field: _pem(data, key) for field, key in _FIELDS}
    if not keys["current"]:
        raise InvalidInputError(f"the Secret has no current.pem; delete it, and a new key is made ({quote(sorted(data))})")
    for pem in keys.values():
        if pem:
            load_attestor_key(pem)
    return Ring(**keys, listed_at=_time(annotations, _LISTED_AT), signing_at=_time(annotations, _SIGNING_AT))


def _pem(data: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(str(data.get(key, "")), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(f"the Secret's {key} is no base64") from None  # the chained error would show part of it


def _time(annotations: Mapping[str, str], key: str) -> int:
    try:
        return unix_time(annotations[key]) if annotations.get(key) else 0
    except InvalidInputError:
        return 0


def _request(secret: Object) -> Request:
    asked = (secret["metadata"].get("annotations") or {}).get(ROTATE, "")
    try:
        return Request(asked)
    except ValueError:
        raise InvalidInputError(f"got {ROTATE}: {quote(asked)} on the Secret, expected Planned or Compromised") from None


def _managed(config_map: Object) -> frozenset[str]:
    stated = (config_map["metadata"].get("annotations") or {}).get(_MANAGED, "")
    return frozenset(filter(None, stated.split(",")))


def _listed(ring: Ring, now: int) -> Ring:
    return Ring(ring.current, ring.upcoming, ring.previous, listed_at=now, signing_at=ring.signing_at)
