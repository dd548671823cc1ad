"""An API server in memory with collections, versions, patches and watches; what a real one refuses, it refuses."""

import copy
import itertools
import json
import queue
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from modeltrust.kube.access import Access
from tests.support.api_server import Answering, serving

Object = dict[str, Any]
_SUBRESOURCES = ("status", "log")


class ClusterSimulator:
    """Collections by path, such as ``/api/v1/namespaces/a/secrets``.

    Attributes:
        logs: by ``namespace/pod``, what ``/log`` answers.
        faults: (method, part of the path, status) of requests to refuse, each once.
        requests: (method, path) in order.
        page_size: of lists.
        documents: by path, what is answered there as it is: discovery.
        unserved: starts of paths at which there is nothing.
    """

    def __init__(self) -> None:
        self.logs: dict[str, bytes] = {}
        self.faults: list[tuple[str, str, int]] = []
        self.requests: list[tuple[str, str]] = []
        self.page_size = 500
        self.documents: dict[str, Object] = {}
        self.unserved: set[str] = set()
        self._collections: dict[str, dict[str, Object]] = defaultdict(dict)
        self._applied: dict[tuple[str, str, str], set[tuple[str, ...]]] = {}
        self._history: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self._watchers: dict[str, list[queue.Queue[bytes | None]]] = defaultdict(list)
        self._versions = itertools.count(1)
        self._version = 1
        self.lock = threading.RLock()

    # --- for tests -----------------------------------------------------------------------------------------------------------

    def put(self, collection: str, value: Object) -> Object:
        """Create or replace an object, status included."""
        with self.lock:
            before = self._collections[collection].get(value["metadata"]["name"])
            return self._store(collection, before, copy.deepcopy(value))

    def find(self, collection: str, name: str) -> Object | None:
        """An object, or None."""
        with self.lock:
            return copy.deepcopy(self._collections[collection].get(name))

    def all(self, collection: str) -> list[Object]:
        """Every object of a collection."""
        with self.lock:
            return copy.deepcopy(list(self._collections[collection].values()))

    def remove(self, collection: str, name: str) -> None:
        """Delete an object."""
        with self.lock:
            gone = self._collections[collection].pop(name)
            gone["metadata"]["resourceVersion"] = str(self._next())
            self._tell(collection, "DELETED", gone)

    def writes(self) -> list[tuple[str, str]]:
        """Requests that change something."""
        return [request for request in self.requests if request[0] != "GET"]

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Access]:
        """Serve on loopback with TLS."""
        with serving(_Handler, folder, {"cluster": self}, end=self._end_watches) as access:
            yield access

    def _end_watches(self) -> None:
        for watcher in itertools.chain.from_iterable(self._watchers.values()):
            watcher.put(None)

    # --- what the server does ------------------------------------------------------------------------------------------------

    def create(self, collection: str, value: Object) -> tuple[int, Object]:
        """POST."""
        with self.lock:
            if "generateName" in value["metadata"] and "name" not in value["metadata"]:
                value["metadata"]["name"] = value["metadata"]["generateName"] + uuid.uuid4().hex[:5]
            if value["metadata"]["name"] in self._collections[collection]:
                return 409, _status(409, "AlreadyExists")
            value.pop("status", None)
            return 201, self._store(collection, None, value)

    def replace(self, collection: str, name: str, value: Object, sub: str) -> tuple[int, Object]:
        """PUT."""
        with self.lock:
            before = self._collections[collection].get(name)
            if before is None:
                return 404, _status(404, "not found")
            if (
                value["metadata"].get("resourceVersion", before["metadata"]["resourceVersion"])
                != before["metadata"]["resourceVersion"]
            ):
                return 409, _status(409, "the object has been modified")
            return 200, self._store(collection, before, _halved(before, value, sub))

    def merge(self, collection: str, name: str, patch: Object, sub: str) -> tuple[int, Object]:
        """PATCH, RFC 7386."""
        with self.lock:
            before = self._collections[collection].get(name)
            if before is None:
                return 404, _status(404, "not found")
            version = patch.get("metadata", {}).get("resourceVersion")
            if version not in (None, before["metadata"]["resourceVersion"]):
                return 409, _status(409, "the object has been modified")
            return 200, self._store(collection, before, _halved(before, _merged(before, patch), sub))

    def apply(self, collection: str, name: str, value: Object, manager: str, sub: str, *, force: bool) -> tuple[int, Object]:
        """PATCH, server-side apply; lists are leaves."""
        with self.lock:
            before = self._collections[collection].get(name)
            if before is None and sub:
                return 404, _status(404, "not found")
            wanted = dict(_leaves({key: part for key, part in value.items() if key not in ("apiVersion", "kind", "metadata")}))
            wanted |= {("metadata", *path): leaf for path, leaf in _leaves(_own_metadata(value))}
            held = dict(_leaves(before or {}))
            for other, owned in self._owners(collection, name, manager):
                for path in owned & wanted.keys():
                    if held.get(path) != wanted[path]:
                        if not force:
                            return 409, _status(409, f"conflict with {other}: {'.'.join(path)}")
                        owned.discard(path)
            after = copy.deepcopy(before) if before else {"metadata": {"name": name}}
            after |= {"apiVersion": value["apiVersion"], "kind": value["kind"]}
            others = {path for _, owned in self._owners(collection, name, manager) for path in owned}
            for path in self._applied.get((collection, name, manager), set()) - wanted.keys() - others:
                _remove(after, path)
            for path, leaf in wanted.items():
                _set(after, path, leaf)
            self._applied[collection, name, manager] = set(wanted)
            return (200 if before else 201), self._store(collection, before, _halved(before, after, sub) if before else after)

    def delete(self, collection: str, name: str, options: Object) -> tuple[int, Object]:
        """DELETE."""
        with self.lock:
            before = self._collections[collection].get(name)
            if before is None:
                return 404, _status(404, "not found")
            for key, expected in (options.get("preconditions") or {}).items():
                if before["metadata"].get(key) != expected:
                    return 409, _status(409, f"Precondition failed: {key}")
            self.remove(collection, name)
            return 200, _status(200, "deleted")

    def page(self, collection: str, query: dict[str, str]) -> Object:
        """One page of a list."""
        with self.lock:
            items = [value for value in self._collections[collection].values() if _selected(value, query)]
            start, size = int(query.get("continue", 0)), min(self.page_size, int(query.get("limit", self.page_size)))
            metadata: Object = {"resourceVersion": str(self._version)}
            if start + size < len(items):
                metadata["continue"] = str(start + size)
            return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items[start : start + size]}

    @contextmanager
    def subscribed(self, collection: str, version: int) -> Iterator[queue.Queue[bytes | None]]:
        """The events of a collection after a version."""
        watcher: queue.Queue[bytes | None] = queue.Queue()
        with self.lock:
            for at, line in self._history[collection]:
                if at > version:
                    watcher.put(line)
            self._watchers[collection].append(watcher)
        try:
            yield watcher
        finally:
            with self.lock:
                self._watchers[collection].remove(watcher)

    def _owners(self, collection: str, name: str, manager: str) -> list[tuple[str, set[tuple[str, ...]]]]:
        return [
            (other, owned)
            for (place, of, other), owned in self._applied.items()
            if (place, of) == (collection, name) and other != manager
        ]

    def _next(self) -> int:
        self._version = next(self._versions) + 1
        return self._version

    def _store(self, collection: str, before: Object | None, after: Object) -> Object:
        metadata = after["metadata"]
        was = before["metadata"] if before else {}
        metadata["uid"] = was.get("uid") or metadata.get("uid") or str(uuid.uuid4())
        metadata.setdefault("creationTimestamp", "2026-11-24T00:00:00Z")
        metadata["resourceVersion"] = was.get("resourceVersion", "")
        metadata["generation"] = was.get("generation", 1)
        if before is not None:
            if after == before:
                return copy.deepcopy(before)  # a write that changes nothing makes no event
            if any(after.get(key) != before.get(key) for key in (after.keys() | before.keys()) - {"status", "metadata"}):
                metadata["generation"] += 1
        metadata["resourceVersion"] = str(self._next())
        self._collections[collection][metadata["name"]] = after
        self._tell(collection, "ADDED" if before is None else "MODIFIED", after)
        return copy.deepcopy(after)

    def _tell(self, collection: str, event: str, value: Object) -> None:
        line = json.dumps({"type": event, "object": value}).encode() + b"\n"
        self._history[collection].append((self._version, line))
        for watcher in self._watchers[collection]:
            watcher.put(line)


def _status(code: int, message: str) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}


def _selected(value: Object, query: dict[str, str]) -> bool:
    labels = value["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, wanted = term.partition("=")
        if (labels.get(key) != wanted) if equals else (key not in labels):
            return False
    return not query.get("fieldSelector") or query["fieldSelector"] == f"metadata.name={value['metadata']['name']}"


def _halved(before: Object, after: Object, sub: str) -> Object:
    """A write to /status changes the status alone, and every other write does not."""
    after = copy.deepcopy(after)
    if sub == "status":
        return {**copy.deepcopy(before), "status": after.get("status", {})}
    after.pop("status", None)
    return after | ({"status": copy.deepcopy(before["status"])} if "status" in before else {})


def _merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        if part is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), part)
    return result


def _own_metadata(value: Object) -> Object:
    return {key: part for key, part in value["metadata"].items() if key in ("labels", "annotations", "ownerReferences")}


def _leaves(value: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, part in value.items():
        if isinstance(part, dict) and part:
            yield from _leaves(part, (*path, key))
        else:
            yield (*path, key), part


def _set(value: Object, path: tuple[str, ...], leaf: Any) -> None:
    for key in path[:-1]:
        value = value.setdefault(key, {})
    value[path[-1]] = copy.deepcopy(leaf)


def _remove(value: Object, path: tuple[str, ...]) -> None:
    for key in path[:-1]:
        value = value.get(key, {})
    value.pop(path[-1], None)


class _Handler(Answering, BaseHTTPRequestHandler):
    cluster: ClassVar[ClusterSimulator]

    def do_GET(self) -> None:
        if self._refused():
            return
        path, query = self._asked()
        if path in self.cluster.documents:
            self.answer(200, self.cluster.documents[path])
            return
        if any(path.startswith(start) for start in self.cluster.unserved):
            self.answer(404, b"404 page not found")
            return
        if query.get("watch"):
            self._watch(path, int(query.get("resourceVersion") or 0))
            return
        collection, name, sub = _split(path)
        if sub == "log":
            log = self.cluster.logs.get(f"{collection.split('/')[-2]}/{name}")
            self.answer(*((404, b'{"message":"no such pod"}') if log is None else (200, _tail(log, query))))
        elif not name:
            self.answer(200, self.cluster.page(collection, query))
        else:
            found = self.cluster.find(collection, name)
            self.answer(404 if found is None else 200, found or _status(404, f"{name} not found"))

    def do_POST(self) -> None:
        if not self._refused():
            self.answer(*self.cluster.create(self._asked()[0], self._read()))

    def do_PUT(self) -> None:
        if not self._refused():
            collection, name, sub = _split(self._asked()[0])
            self.answer(*self.cluster.replace(collection, name, self._read(), sub))

    def do_PATCH(self) -> None:
        if self._refused():
            return
        path, query = self._asked()
        collection, name, sub = _split(path)
        body = self._read()
        if self.headers["Content-Type"] == "application/apply-patch+yaml":
            answer = self.cluster.apply(collection, name, body, query["fieldManager"], sub, force=query.get("force") == "true")
        elif self.headers["Content-Type"] == "application/merge-patch+json":
            answer = self.cluster.merge(collection, name, body, sub)
        else:
            answer = 415, _status(415, "unsupported media type")
        self.answer(*answer)

    def do_DELETE(self) -> None:
        if not self._refused():
            collection, name, _ = _split(self._asked()[0])
            self.answer(*self.cluster.delete(collection, name, self._read()))

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}

    def _read(self) -> Object:
        value: Object = self._body
        return value

    def _refused(self) -> bool:
        length = int(self.headers.get("Content-Length") or 0)
        self._body = json.loads(self.rfile.read(length)) if length else {}
        self.cluster.requests.append((self.command, self.path))
        if not self.known():
            self.answer(401, _status(401, "Unauthorized"))
            return True
        for fault in self.cluster.faults:
            if fault[0] == self.command and fault[1] in self.path:
                self.cluster.faults.remove(fault)
                self.answer(fault[2], _status(fault[2], "as you wished"))
                return True
        return False

    def _watch(self, collection: str, version: int) -> None:
        with self.cluster.subscribed(collection, version) as watcher:
            self.stream(watcher)


def _tail(log: bytes, query: dict[str, str]) -> bytes:
    lines = log.splitlines(keepends=True)
    return b"".join(lines[-int(query["tailLines"]) :]) if "tailLines" in query else log


def _split(path: str) -> tuple[str, str, str]:
    """(collection, name, subresource) of a path."""
    parts = path.strip("/").split("/")
    prefix = 2 if parts[0] == "api" else 3
    rest = parts[prefix:]
    if rest[0] == "namespaces" and len(rest) > 2:
        prefix, rest = prefix + 2, rest[2:]
    collection = "/" + "/".join(parts[: prefix + 1])
    name = unquote(rest[1]) if len(rest) > 1 else ""
    return collection, name, rest[2] if len(rest) > 2 and rest[2] in _SUBRESOURCES else ""
