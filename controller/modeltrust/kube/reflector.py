"""One kind, mirrored: a paged list, then a watch, for ever. It feeds the same store as the folders do.

The rules, each learnt from an outage: a list replaces everything at once, so that what was deleted vanishes; a list that failed
is no empty list; bookmarks prove that silence is not a stall, but none comes to a watch that begins where the API server's cache
stands until that moves on (etcd tells it every ten minutes, where nobody told etcd otherwise); 410 comes as a status or inside the
stream; back-off has full jitter; whatever goes wrong, the kind only grows stale, and readiness says so.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError, UnavailableError
from modeltrust.kube.client import ApiServer, GoneError
from modeltrust.store.sink import Extra, K_contra, Kind, Sink

_GONE = 410
_VERSION_DIGITS = 20  # etcd's revisions are 64-bit numbers


K = TypeVar("K", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Resource(Generic[K]):
    """What is mirrored.

    Attributes:
        kind: as the sink knows it.
        path: of the collection at the API server.
    """

    kind: K
    path: str


_OURS = "/apis/modeltrust.dev/v1alpha1"
RESOURCES = (
    Resource(Kind.NAMESPACES, "/api/v1/namespaces"),
    Resource(Kind.POLICIES, f"{_OURS}/modelpolicies"),
    Resource(Kind.SIGNERS, f"{_OURS}/trustedsigners"),
    Resource(Kind.EXEMPTIONS, f"{_OURS}/policyexemptions"),
    Resource(Kind.REVOCATIONS, f"{_OURS}/modelrevocations"),
    Resource(Kind.MAPPINGS, f"{_OURS}/modelreferencemappings"),
    Resource(Kind.SUITES, f"{_OURS}/evaluationsuites"),
    Resource(Kind.ATTESTATIONS, f"{_OURS}/modelattestations"),
)
SOURCES = Resource(Extra.SOURCES, f"{_OURS}/modelsources")


class Watcher(Protocol[K_contra]):
    """Who wants to know how a reflector fares: for metrics and the log."""

    def confirmed(self, kind: K_contra) -> None:
        """The kind is complete and current as of now."""
        ...

    def failed(self, kind: K_contra, error: Exception) -> None:
        """One attempt ended; the next one follows."""
        ...


class _ListMeta(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion")
    following: str | None = msgspec.field(name="continue", default=None)


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[dict[str, Any]] | None = None


class _Event(msgspec.Struct):
    type: str
    object: dict[str, Any]


_LIST = msgspec.json.Decoder(_List)
_EVENT = msgspec.json.Decoder(_Event)


class Reflector(Generic[K]):
    """Mirrors one resource into a sink until it is stopped; runs in a thread of its own."""

    def __init__(  # noqa: PLR0913 - who mirrors what into where, and how it waits
        self,
        *,
        api: ApiServer,
        resource: Resource[K],
        sink: Sink[K],
        watcher: Watcher[K],
        stop: threading.Event,
        uniform: Callable[[float, float], float],
        rest: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin without contacting anybody.

        Args:
            api: where to look.
            resource: what to mirror.
            sink: where to put it.
            watcher: told how it goes.
            stop: ends ``run``, at the next event or time-out at the latest.
            uniform: a random number between two bounds.
            rest: called after each object, where other threads may want to get on.
        """
        self._api = api
        self._rest = rest
        self._resource = resource
        self._sink = sink
        self._watcher = watcher
        self._stop = stop
        self._uniform = uniform
        # Two minutes without a sign are too many for some: once a watch fell silent for one, the next might be, too.
        self._resumes = resource.kind not in limits.STALE_SECONDS
        self._failures = 0
        self._version = ""  # where the mirror stands; empty: nowhere, so list

    def run(self) -> None:
        """List and watch until stopped; never raises."""
        while not self._stop.is_set():
            try:
                if self._version:
                    self._watch()
                else:
                    self._version = self._list()
            except GoneError as error:
                self._version = ""
                self._back_off(error)
            except Exception as error:  # noqa: BLE001 - a reflector that dies silently would serve old trust for ever
                if not (self._resumes and isinstance(error, ModelTrustError)):
                    self._version = ""  # start from a complete list: of a bug, the sink may have taken half
                self._back_off(error)

    def _list(self) -> str:
        """One complete list into the sink; returns the version that it stands at.

        The sink takes the pages one by one, so that no list is ever held whole, and keeps what it has when one fails.
        """
        reached = ""

        def pages() -> Iterator[dict[str, Any]]:
            nonlocal reached
            parameters, count = {"limit": str(limits.LIST_PAGE_OBJECTS)}, 0
            while True:
                page = self._page(parameters)
                count += len(page.items or ())
                if count > limits.LIST_OBJECTS:
                    raise LimitExceededError(f"got more than {limits.LIST_OBJECTS} {self._resource.kind.value}")
                for value in page.items or ():
                    yield value
                    self._rest()
                reached = page.metadata.resource_version
                if not page.metadata.following:
                    return
                parameters["continue"] = page.metadata.following

        self._sink.replace(self._resource.kind, pages())
        self._well()
        return reached

    def _page(self, parameters: dict[str, str]) -> _List:
        body = self._api.get(self._resource.path, parameters)
        try:
            return _LIST.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedError(f"the list of {self._resource.kind.value} makes no sense: {error}") from error

    def _watch(self) -> None:
        """Events into the sink until the server ends the watch."""
        seconds = int(self._uniform(*limits.WATCH_SECONDS))
        parameters = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        told = False
        for line in self._api.watch(self._resource.path, parameters, silence=limits.WATCH_SILENCE_SECONDS):
            self._version = self._event(line)
            self._well()
            self._rest()
            told = True
            if self._stop.is_set():
                return
        if not told:  # a server that ends every watch at once must not be asked in a tight loop
            raise UnavailableError(f"the watch of {self._resource.kind.value} ended without an event")

    def _event(self, line: bytes) -> str:
        try:
            event = _EVENT.decode(line)
            metadata = event.object.get("metadata") or {}
            if _before(str(metadata.get("resourceVersion", "")), self._version):
                raise GoneError(f"the history of {self._resource.kind.value} went back: the cluster was restored from a backup")
            match event.type:
                case "ADDED" | "MODIFIED":
                    self._sink.upsert(self._resource.kind, event.object)
                case "DELETED":
                    self._sink.delete(self._resource.kind, metadata["name"])
                case "BOOKMARK":
                    pass
                case "ERROR" if event.object.get("code") == _GONE:
                    raise GoneError(f"the watch of {self._resource.kind.value} has expired")
                case _:
                    raise MalformedError(f"got a watch event of type {event.type!r} for {self._resource.kind.value}")
            return str(metadata["resourceVersion"])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"a watch event of {self._resource.kind.value} makes no sense: {error}") from error

    def _well(self) -> None:
        self._failures = 0
        self._watcher.confirmed(self._resource.kind)

    def _back_off(self, error: Exception) -> None:
        self._failures += 1
        self._watcher.failed(self._resource.kind, error)
        shortest, longest = limits.BACK_OFF_SECONDS
        bound = min(longest, shortest * 2 ** min(self._failures, 10))
        self._stop.wait(self._uniform(0 if self._failures > 1 else shortest / 2, bound))


def _before(version: str, known: str) -> bool:
    """Whether a version is older than one that was seen: after a restore the mirror holds what is no longer there."""
    return version.isdecimal() and known.isdecimal() and int(version[:_VERSION_DIGITS]) < int(known[:_VERSION_DIGITS])
