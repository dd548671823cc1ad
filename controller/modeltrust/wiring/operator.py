"""What the operator sees of the cluster: the same store that decides, and the ModelSources, fed by reflectors."""

import random
import threading
import time
from collections.abc import Callable, Iterable
from enum import StrEnum

from modeltrust.kube.access import Access
from modeltrust.kube.reflector import SOURCES, Reflector, Watcher
from modeltrust.references.extract import Extractor
from modeltrust.store.sink import Extra, Kind, Object, Sink
from modeltrust.store.store import ATTESTORS, Store
from modeltrust.wiring.admission import believe, new_store
from modeltrust.wiring.cluster import Reflecting

Changed = Callable[[Kind, Object | None], None]


class Observed(Sink[Kind]):
    """Passes everything on to the store, and then tells what changed; never before, or whoever is told would look too early."""

    def __init__(self, store: Sink[Kind], changed: Changed) -> None:
        """Stand before a store.

        Args:
            store: takes everything.
            changed: told (kind, object) of one that is new or changed, and (kind, None) where anything may have changed.
        """
        self._store = store
        self._changed = changed

    def replace(self, kind: Kind, objects: Iterable[Object]) -> None:
        """A complete list."""
        self._store.replace(kind, objects)
        self._changed(kind, None)

    def upsert(self, kind: Kind, value: Object) -> None:
        """One object."""
        self._store.upsert(kind, value)
        self._changed(kind, value)

    def delete(self, kind: Kind, name: str) -> None:
        """One object is gone."""
        self._store.delete(kind, name)
        self._changed(kind, None)


class Mirror(Watcher[Extra]):
    """Keeps a store current, from the moment it is started.

    Attributes:
        store: what decides.
    """

    def __init__(
        self,
        access: Access,
        *,
        sources: Sink[Extra],
        changed: Changed,
        extractor: Extractor,
        unusable: Callable[[Kind, str, str], None],
        failed: Callable[[StrEnum, Exception], None],
    ) -> None:
        """Begin without contacting anybody.

        Args:
            access: to the API server.
            sources: takes the ModelSources.
            changed: see ``Observed``.
            extractor: reads the objects in the tests of mappings.
            unusable: told (kind, name, why) of an object that cannot be used.
            failed: told of every list or watch that ended badly.
        """
        self.store: Store = new_store(unusable, extractor)
        self._failed = failed
        self._sourced = False
        self._stopping = threading.Event()
        self._reflecting = Reflecting(access, store=self.store, clock=time.time, problem=failed, sink=Observed(self.store, changed))
        self._sources = Reflector(
            api=self._reflecting.api,
            resource=SOURCES,
            sink=sources,
            watcher=self,
            stop=self._stopping,
            uniform=random.uniform,
        )

    def start(self) -> None:
        """Begin."""
        self._reflecting.start()
        threading.Thread(target=self._sources.run, name="reflector", daemon=True).start()

    def stop(self) -> None:
        """End with the next event or time-out."""
        self._stopping.set()
        self._reflecting.stop()

    def unready(self) -> tuple[str, ...]:
        """What is not complete or not current yet; whom to believe is asked elsewhere."""
        why = [reason for reason in self.store.unready(time.time()) if not reason.startswith(f"{ATTESTORS}:")]
        return tuple(why if self._sourced else [*why, "sources: not synchronised yet"])

    def believe(self, data: bytes) -> None:
        """Believe the attestors of a trust file from now on.

        Raises:
            ModelTrustError: it is none.
        """
        believe(self.store, data)
        self.store.freshness.confirm(ATTESTORS, time.time())

    def confirmed(self, kind: Extra) -> None:
        """The ModelSources are complete."""
        del kind
        self._sourced = True

    def failed(self, kind: Extra, error: Exception) -> None:
        """One attempt ended."""
        self._failed(kind, error)
