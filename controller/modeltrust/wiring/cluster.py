"""The light composition root in a cluster: the same store, fed by reflectors, and the attestors from a mounted file."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from modeltrust.config import WebhookSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, quote
from modeltrust.kube.access import Access, from_kubeconfig, in_cluster
from modeltrust.kube.client import ApiServer
from modeltrust.kube.reflector import RESOURCES, Reflector, Watcher
from modeltrust.policy.policy import Unmatched
from modeltrust.store.files import Problem
from modeltrust.store.sink import Kind, Sink
from modeltrust.store.store import ATTESTORS, Store
from modeltrust.wiring.admission import Live, believe, join, new_extractor, new_store
from modeltrust.wiring.pacing import Pace


class AttestorsFile:
    """Feeds the store with whom to believe, from one watched file. The kubelet exchanges it by a link; every look follows links."""

    def __init__(self, path: Path, *, store: Store, believe: Callable[[bytes], None]) -> None:
        """Begin with nothing seen.

        Args:
            path: of the attestor file.
            store: told when the file was read.
            believe: takes its bytes; raises ModelTrustError and keeps what it had.
        """
        self._path = path
        self._store = store
        self._believe = believe
        self._data: bytes | None = None

    def poll(self, now: float) -> tuple[Problem, ...]:
        """Look once; a file that cannot be used keeps the last good one and confirms nothing, so that the store grows stale."""
        try:
            data = self._read()
            if data != self._data:
                self._believe(data)
                self._data = data
        except (OSError, ModelTrustError) as error:
            why = str(error) if isinstance(error, ModelTrustError) else f"{type(error).__name__}: {quote(error)}"
            return (Problem(self._path.name, why),)
        self._store.freshness.confirm(ATTESTORS, now)
        return ()

    def _read(self) -> bytes:
        with self._path.open("rb") as stream:
            data = stream.read(limits.ATTESTORS_BYTES + 1)
        if len(data) > limits.ATTESTORS_BYTES:
            raise InvalidInputError(f"got more than {limits.ATTESTORS_BYTES} bytes, expected fewer")
        return data


def live_cluster(
    settings: WebhookSettings,
    *,
    unmatched: Unmatched,
    unusable: Callable[[Kind, str, str], None],
    failed: Callable[[Kind, Exception], None],
    report: Callable[[Exception], str],
) -> "tuple[Live, Reflecting]":
    """What decides in a cluster, and what keeps it current once started.

    Args:
        settings: where the attestor file is, and how to reach the API server.
        unmatched: what follows where no enforcing policy covers a model.
        unusable: told (kind, name, why) of an object that cannot be used.
        failed: told of every list or watch that ended badly.
        report: writes down an error of ours; returns the id under which it can be found.

    Raises:
        InvalidInputError: there is no way to the API server.
    """
    if settings.attestors is None:
        raise InvalidInputError("expected an attestor file")
    access = in_cluster() if settings.kubeconfig is None else from_kubeconfig(settings.kubeconfig)
    extractor = new_extractor()
    store = new_store(unusable, extractor)
    attestors = AttestorsFile(settings.attestors, store=store, believe=lambda data: believe(store, data))
    reflecting = Reflecting(access, store=store, clock=time.time, problem=failed)
    live = join(store, attestors, extractor=extractor, unmatched=unmatched, report=report, inject_image=settings.inject_image)
    return live, reflecting


class Reflecting(Watcher[Kind]):
    """One reflector per kind, each in a thread of its own; tells the store what is current.

    Attributes:
        api: the API server.
    """

    def __init__(
        self,
        access: Access,
        *,
        store: Store,
        clock: Callable[[], float],
        problem: Callable[[Kind, Exception], None],
        sink: Sink[Kind] | None = None,
    ) -> None:
        """Begin without contacting anybody.

        Args:
            access: to the API server.
            store: is fed.
            clock: unix seconds.
            problem: told of every attempt that ended badly.
            sink: stands before the store and passes everything on to it; None for the store itself.
        """
        self._store = store
        self._clock = clock
        self._problem = problem
        self._stopping = threading.Event()
        self.api = ApiServer(access)
        self._reflectors = [
            Reflector(
                api=self.api,
                resource=resource,
                sink=sink or store,
                watcher=self,
                stop=self._stopping,
                uniform=random.uniform,
                rest=Pace(limits.MIRROR_PAUSE_SECONDS, hurry=lambda: bool(store.unready(clock()))).rest,
            )
            for resource in RESOURCES
        ]

    def start(self) -> None:
        """Begin."""
        for reflector in self._reflectors:
            threading.Thread(target=reflector.run, name="reflector", daemon=True).start()

    def stop(self) -> None:
        """End with the next event or time-out."""
        self._stopping.set()

    def confirmed(self, kind: Kind) -> None:
        """The kind is complete and current."""
        self._store.freshness.confirm(kind, self._clock())

    def failed(self, kind: Kind, error: Exception) -> None:
        """One attempt ended."""
        self._problem(kind, error)
