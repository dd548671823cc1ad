"""How long a revocation takes until every replica of the webhook denies: each is asked again and again from a thread of its own."""

import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from typing import Any

from e2e.control_plane import LOOPBACK, ControlPlane
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo import objects
from modeltrust.kube import paths
from modeltrust.kube.access import from_kubeconfig
from modeltrust.kube.client import ApiServer

Object = dict[str, Any]
_SECONDS = 30.0
_PAUSE = 0.005  # between two questions to one replica: what is measured is at most this much too long


@dataclass(slots=True)
class Asking:
    """One replica, asked over one connection.

    Attributes:
        webhook: the process.
        review: what it is asked.
    """

    webhook: WebhookProcess
    review: bytes
    _link: HTTPSConnection = field(init=False)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=str(self.webhook.ca))
        self._link = HTTPSConnection(LOOPBACK, self.webhook.port, context=context, timeout=_SECONDS)

    def close(self) -> None:
        """End the connection."""
        self._link.close()

    def allowed(self) -> bool:
        """Its answer now."""
        try:
            self._link.request("POST", "/validate?timeout=10s", self.review, {"Content-Type": "application/json"})
            data = self._link.getresponse().read()
        except (HTTPException, OSError):
            self._link.close()
            raise
        return bool(json.loads(data)["response"]["allowed"])

    def until(self, *, allowed: bool) -> float:
        """Ask until the answer is this one; returns when it was, in seconds of ``perf_counter``."""
        deadline = time.perf_counter() + _SECONDS
        while self.allowed() is not allowed:
            if time.perf_counter() > deadline:
                raise AssertionError(f"a replica did not come to say allowed={allowed} within {_SECONDS:.0f} s")
            time.sleep(_PAUSE)
        return time.perf_counter()


@dataclass(frozen=True, slots=True)
class Round:
    """One revocation.

    Attributes:
        what: was revoked.
        seconds: from the request to the API server until each replica denied.
    """

    what: str
    seconds: tuple[float, ...]


def rounds(plane: ControlPlane, replicas: tuple[Asking, ...], revocations: dict[str, Object], signer: Object) -> Iterator[Round]:
    """Revoke in turn a signer by taking it away, and by each revocation; undone before the next one. Without end.

    Args:
        plane: the control plane.
        replicas: all of them admit now.
        revocations: the spec of each ModelRevocation, by what it revokes.
        signer: the TrustedSigner without which the model is not admitted.
    """
    api = ApiServer(from_kubeconfig(plane.admin))
    signers, place = paths.ours("trustedsigners"), paths.ours("modelrevocations")
    name = str(signer["metadata"]["name"])

    def take() -> None:
        api.delete(paths.ours("trustedsigners", name))

    def give() -> None:
        api.create_object(signers, signer)

    turns: list[tuple[str, Callable[[], object], Callable[[], object]]] = [("signer", take, give)]
    for what, spec in revocations.items():
        revocation = objects.revocation(f"round-{what}", {"reason": "a round", **spec})
        where = paths.ours("modelrevocations", f"round-{what}")
        turns.append((what, lambda value=revocation: api.create_object(place, value), lambda path=where: api.delete(path)))  # type: ignore[misc] # mypy infers no type for a lambda's default
    for what, revoke, undo in itertools.cycle(turns):
        try:
            made = Round(what, _timed(replicas, revoke))
        finally:
            undo()
        for replica in replicas:
            replica.until(allowed=True)
        yield made


def _timed(replicas: tuple[Asking, ...], revoke: Callable[[], object]) -> tuple[float, ...]:
    found: dict[int, float] = {}

    def ask(number: int) -> None:
        found[number] = replicas[number].until(allowed=False)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(replicas))]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    revoke()
    for thread in threads:
        thread.join()
    if len(found) != len(replicas):
        raise AssertionError(f"got {len(found)} answers of {len(replicas)} replicas")
    return tuple(found[number] - began for number in range(len(replicas)))
