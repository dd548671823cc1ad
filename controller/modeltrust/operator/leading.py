"""What only the holder of the Lease does: wait until everything is seen, have a key, then reconcile."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError, quote
from modeltrust.domain.globs import Glob
from modeltrust.kube import paths
from modeltrust.operator.attestations import PLURAL, Result
from modeltrust.operator.index import Entry, Index
from modeltrust.operator.queue import Key, Queue
from modeltrust.store.sink import Kind, Object
from modeltrust.telemetry import OperatorTelemetry

_SYNC_SECONDS = 0.2  # between two looks at whether everything is there
_TALLY_SECONDS = 30.0  # many models signed by one signer, one look at the signer
_PATTERNS = {  # where a kind says which models it concerns
    Kind.SIGNERS: ("scope", "models"),
    Kind.POLICIES: ("match", "models"),
    Kind.REVOCATIONS: ("models",),
}


class Part(Protocol):
    """What runs while this process leads."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End."""
        ...


class Leading:
    """Starts the parts in their order, and looks after the keys and other rounds until stopped."""

    def __init__(
        self,
        *,
        unready: Callable[[], tuple[str, ...]],
        rounds: Mapping[str, Callable[[], object]],
        parts: tuple[Part, ...],
        telemetry: OperatorTelemetry,
    ) -> None:
        """Begin with nothing started.

        Args:
            unready: what of the cluster is not seen yet.
            rounds: done again and again; each must have succeeded once before the parts start. May raise ModelTrustError.
            parts: in the order of starting.
            telemetry: counts and logs.
        """
        self._unready = unready
        self._rounds = rounds
        self._parts = parts
        self._telemetry = telemetry
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leading", daemon=True)
        self._started: list[Part] = []

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the parts, the last first."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limits.OPERATOR_STOP_SECONDS)
        while self._started:
            self._started.pop().stop()

    def _run(self) -> None:
        while self._unready():
            if self._stopping.wait(_SYNC_SECONDS):
                return
        while [name for name in self._rounds if not self._round(name)]:
            if self._stopping.wait(limits.LEASE_RETRY_SECONDS):
                return
        for part in self._parts:
            if self._stopping.is_set():
                return
            part.start()
            self._started.append(part)
        self._telemetry.log("leading")
        while not self._stopping.wait(limits.OPERATOR_POLL_SECONDS):
            for name in self._rounds:
                self._round(name)

    def _round(self, name: str) -> bool:
        try:
            self._rounds[name]()
        except ModelTrustError as error:
            self._telemetry.log("round-put-off", round=name, why=quote(error, 300))
            return False
        except Exception as error:  # noqa: BLE001 - a thread that dies would never look at the keys again
            self._telemetry.failed("round-error", error, round=name)
            return False
        return True


class Changes:
    """From what changed to what must be looked at."""

    def __init__(self, queue: Queue, index: Index) -> None:
        """Join the parts.

        Args:
            queue: takes keys.
            index: which objects there are.
        """
        self._queue = queue
        self._index = index
        self._signed_by: dict[str, frozenset[str]] = {}
        self._changing = threading.Lock()

    def watched(self, plural: str, body: Mapping[str, Any], event: str) -> None:
        """One object, from a watch.

        Args:
            plural: of its kind.
            body: the object.
            event: ``ADDED`` …; empty where it was found by listing.
        """
        metadata = body["metadata"]
        key = (plural, str(metadata["name"]))
        if plural == "evaluationsuites" and self._asks_otherwise(key, body, event):
            self.all()
        if event == "DELETED":
            self._index.gone(key)
            self._queue.add(key)
            self._tally(key[1], frozenset()) if plural == PLURAL else None
            return
        if self._index.seen(key, _entry(body)) or not event:
            self._queue.add(key, urgent=bool(event))

    def _asks_otherwise(self, key: Key, body: Mapping[str, Any], event: str) -> bool:
        """Whether a suite that was known is gone or asks something else now; what was never known has no verdicts yet."""
        before = self._index.find(key)
        return before is not None and (event == "DELETED" or before.generation != _entry(body).generation)

    def mirrored(self, kind: Kind, value: Object | None) -> None:
        """A signer, policy or revocation changed what may be found, or said, about models."""
        where = _PATTERNS.get(kind)
        if where is None:
            return
        if value is None:
            self.all()
        else:
            self.models(_globs(value, where))

    def models(self, globs: tuple[Glob, ...]) -> None:
        """Look at the attestations of models that match."""
        for key in self._index.matching(PLURAL, globs):
            self._queue.add(key, urgent=False)

    def all(self) -> None:
        """Look at every attestation."""
        for key in self._index.of(PLURAL):
            self._queue.add(key, urgent=False)

    def looked(self, key: Key, result: Result) -> None:
        """One look came to an end: signers are told how much counts for them."""
        if key[0] == PLURAL and result.outcome in ("attested", "gone"):
            self._tally(key[1], result.signed_by)

    def signed_by(self, signer: str) -> int:
        """How many models a signer's signatures count for."""
        with self._changing:
            return sum(signer in names for names in self._signed_by.values())

    def _tally(self, name: str, signers: frozenset[str]) -> None:
        with self._changing:
            before = self._signed_by.get(name, frozenset())
            if signers:
                self._signed_by[name] = signers
            else:
                self._signed_by.pop(name, None)
        for signer in before ^ signers:
            self._queue.plan(("trustedsigners", signer), _TALLY_SECONDS)


def relist(api: Any, queue: Queue, plurals: tuple[str, ...]) -> None:
    """Where keys found no room: list every object again, once there is room.

    Raises:
        ModelTrustError: a list could not be had; keys are dropped again, so that it is tried again.
    """
    for plural in plurals:
        for value in api.list_objects(paths.ours(plural)):
            queue.add((plural, value["metadata"]["name"]), urgent=False)


def _entry(body: Mapping[str, Any]) -> Entry:
    metadata = body["metadata"]
    marks = hash(repr((sorted((metadata.get("labels") or {}).items()), sorted((metadata.get("annotations") or {}).items()))))
    spec = body.get("spec")
    model = spec.get("model") if isinstance(spec, Mapping) else None
    return Entry(
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation", 0)),
        model=str(model).partition("@")[0] if isinstance(model, str) else "",
        marks=marks,
    )


def _globs(value: Object, where: tuple[str, ...]) -> tuple[Glob, ...]:
    found: Any = value.get("spec")
    for name in where:
        found = found.get(name) if isinstance(found, Mapping) else None
    globs = []
    for text in found[: limits.API_REVOKED] if isinstance(found, list) else ():
        try:
            globs.append(Glob(text))
        except (ModelTrustError, TypeError, AttributeError):
            continue
    return tuple(globs)
