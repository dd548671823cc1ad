"""Asks for the evidence that a decision missed: creates ModelAttestations, in the background, and never many.

A flood of random commits (attack H1) fills the share of one namespace and nothing else: what was asked for holds a place, of a
bounded number for each namespace and in all, until there is a statement or its time has passed. Replicas count for themselves; the
name of an object follows from its model, so that all of them ask for the same one.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from modeltrust.api.attestations import requested_attestation
from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.domain.reference import Identity
from modeltrust.telemetry import Telemetry

PATH = "/apis/modeltrust.dev/v1alpha1/modelattestations"


class Objects(Protocol):
    """Who creates and reads objects of the cluster; ``kube.client.ApiServer`` is the real one."""

    def create(self, path: str, body: bytes) -> bool:
        """Create one; False where one of this name exists.

        Raises:
            ModelTrustError: refused, or no answer.
        """
        ...

    def get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        """The body of one.

        Raises:
            ModelTrustError: refused, or no answer.
        """
        ...


class _Request:
    """One model asked for; mutable, since its answer comes later."""

    __slots__ = ("asked_at", "attempts", "due", "identity", "namespace")

    def __init__(self, identity: Identity, namespace: str, now: float) -> None:
        self.identity = identity
        self.namespace = namespace
        self.asked_at = now
        self.due: float | None = now  # when to try; None: the object is there
        self.attempts = 0


class Requests:
    """A bounded memory of what was asked for, and one thread that asks."""

    def __init__(
        self,
        *,
        objects: Objects,
        known: Callable[[str], bool],
        attested: Callable[[Identity], bool],
        telemetry: Telemetry,
        clock: Callable[[], float],
        uniform: Callable[[float, float], float],
    ) -> None:
        """Begin with nothing asked for.

        Args:
            objects: creates them.
            known: whether a namespace exists.
            attested: whether there is a statement about a model.
            telemetry: counts and logs.
            clock: unix seconds.
            uniform: a random number between two.
        """
        self._objects = objects
        self._known = known
        self._attested = attested
        self._telemetry = telemetry
        self._clock = clock
        self._uniform = uniform
        self._requests: dict[str, _Request] = {}
        self._counts: dict[str, int] = {}
        self._changing = threading.Lock()
        self._stopping = threading.Event()

    def ask(self, namespace: str, identities: Iterable[Identity]) -> None:
        """Take what a decision wants; returns at once, and nothing is sent here.

        Args:
            namespace: of the workload; all that do not exist share the place of one, since whoever reaches the webhook past the
                API server can make them up (H1).
            identities: without a statement, and fit to be asked for.
        """
        place = namespace if self._known(namespace) else ""
        now = self._clock()
        for identity in identities:
            self._telemetry.requested(self._take(place, identity, now))

    def start(self) -> None:
        """Begin to ask."""
        threading.Thread(target=self._run, name="requests", daemon=True).start()

    def stop(self) -> None:
        """End after the creation under way."""
        self._stopping.set()

    def drain(self) -> None:
        """Create what is due, then return. Called by one thread alone."""
        self._forget(self._clock())
        for request in list(self._requests.values()):
            if request.due is not None and request.due <= self._clock():
                self._try(request)
                if self._stopping.wait(limits.REQUEST_PAUSE_SECONDS):
                    break
        waiting = sum(request.due is not None for request in list(self._requests.values()))
        self._telemetry.requests_waiting.set(waiting)

    def _take(self, namespace: str, identity: Identity, now: float) -> str:
        with self._changing:
            if identity.key in self._requests:
                return "repeated"
            count = self._counts.get(namespace, 0)
            if count >= limits.REQUESTS_PER_NAMESPACE:
                return "namespace_full"
            if len(self._requests) >= limits.REQUESTS:
                return "full"
            self._counts[namespace] = count + 1
            self._requests[identity.key] = _Request(identity, namespace, now)
            return "taken"

    def _release(self, request: _Request) -> None:
        with self._changing:
            del self._requests[request.identity.key]
            left = self._counts[request.namespace] - 1
            if left:
                self._counts[request.namespace] = left
            else:
                del self._counts[request.namespace]

    def _forget(self, now: float) -> None:
        for request in list(self._requests.values()):
            lapsed = not 0 <= now - request.asked_at < limits.REQUEST_SECONDS  # a clock set back must not keep it for ever
            if lapsed or self._attested(request.identity):
                self._release(request)

    def _try(self, request: _Request) -> None:
        request.attempts += 1
        document = requested_attestation(
            request.identity, namespace=request.namespace, expires_at=int(request.asked_at + limits.REQUEST_SECONDS)
        )
        name = document["metadata"]["name"]
        try:
            outcome = self._create(name, document)
        except Exception as error:  # noqa: BLE001 - whatever it is, one request must not stop those behind it
            self._put_off(request, name, error)
            return
        request.due = None
        self._telemetry.requested(outcome)
        self._telemetry.log(f"request-{outcome}", name=name, model=request.identity.key, namespace=request.namespace)

    def _create(self, name: str, document: dict[str, Any]) -> str:
        if self._objects.create(PATH, msgspec.json.encode(document)):
            return "created"
        there = msgspec.json.decode(self._objects.get(f"{PATH}/{name}", {}))["spec"]
        same = all(there.get(key) == document["spec"].get(key) for key in ("model", "contentDigest"))
        return "existing" if same else "mismatched"  # M4: somebody took the name for another model, and this one is never verified

    def _put_off(self, request: _Request, name: str, error: Exception) -> None:
        if request.attempts < limits.REQUEST_ATTEMPTS:
            shortest, longest = limits.BACK_OFF_SECONDS
            request.due = self._clock() + self._uniform(shortest, min(longest, shortest * 2.0**request.attempts))
            return
        self._release(request)  # the workload's controller tries again, and then it is asked for again
        self._telemetry.requested("failed")
        why = quote(error) if str(error) else type(error).__name__
        self._telemetry.log("request-failed", name=name, model=request.identity.key, namespace=request.namespace, why=why)

    def _run(self) -> None:
        while not self._stopping.wait(limits.REQUEST_POLL_SECONDS):
            try:
                self.drain()
            except Exception as error:  # noqa: BLE001 - a thread that dies would never ask again
                self._telemetry.failed("background-error", error, task="requests")
