"""Every workload of every kind in the tables, page by page: for the audit and the command line.

Only kinds that the server serves are listed, each in one version, and only kinds whose rows can hold a model: Secrets and
ConfigMaps never. What belongs together (a Deployment, its ReplicaSets and Pods) is one workload, by the chain of owners.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, NotFoundError, UnavailableError, quote
from modeltrust.domain.values import value
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer
from modeltrust.references.mappings import NOTHING_MAPPED, Mapped
from modeltrust.references.schema import KindRow
from modeltrust.references.tables import Tables

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_RESOURCE = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1035 label, as CRDs have it
_NEVER = frozenset({"ConfigMap", "Secret"})  # of the core group: not read, whatever a row may say


@value
class Served:
    """A kind that the server serves and that can name models.

    Attributes:
        group: empty for core.
        version: in which it is listed.
        kind: such as ``Deployment``.
        plural: name of the resource.
        namespaced: or cluster-scoped.
        names: what people call it, lower case: singular, plural, short names, kind.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    names: frozenset[str] = frozenset()

    def path(self, name: str = "", *, namespace: str = "") -> str:
        """Of the collection, or of one object."""
        if not self.group:
            return paths.core(self.plural, name, namespace=namespace)
        return paths.group(f"{self.group}/{self.version}", self.plural, name, namespace=namespace)

    @property
    def api_version(self) -> str:
        """As objects state it."""
        return f"{self.group}/{self.version}" if self.group else self.version


@value
class Link:
    """One object by its name: a workload, or who made it."""

    kind: str
    namespace: str
    name: str
    uid: str


@value
class Item:
    """One object of a list.

    Attributes:
        data: the object as JSON, with its kind.
        link: which one it is.
        owner: the controller that made it, if any.
        finished: it runs nothing any more: an ended Pod or Job, the ReplicaSet of an earlier revision.
    """

    data: bytes
    link: Link
    owner: Link | None
    finished: bool


class _Owner(msgspec.Struct, rename="camel"):
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    uid: str = ""
    namespace: str | None = None
    owner_references: list[_Owner] | None = None


class _Head(msgspec.Struct):
    metadata: _Metadata
    kind: str | None = None
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: msgspec.Raw = msgspec.Raw(b"{}")


class _ListMeta(msgspec.Struct):
    following: str | None = msgspec.field(name="continue", default=None)


class _Page(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


_HEAD = msgspec.json.Decoder(_Head)
_PAGE = msgspec.json.Decoder(_Page)


def discover(api: ApiServer, tables: Tables, mapped: Mapped = NOTHING_MAPPED) -> tuple[Served, ...]:
    """Which kinds of the tables, and of mappings, this server serves, owners before what they make where that is known.

    Raises:
        UnavailableError: the server does not say.
    """
    rows: dict[str, list[KindRow]] = {}
    for row in {id(row): row for row in tables.kinds.values()}.values():
        if row.names_models:
            rows.setdefault(row.group, []).append(row)
    for group, taught in _taught(mapped).items():
        rows.setdefault(group, []).extend(taught)
    return _served(api, rows)


def discover_mapped(api: ApiServer, mapped: Mapped) -> tuple[Served, ...]:
    """Which kinds of mappings this server serves, under every name that it has for them: who writes uses any, listed or not.

    Raises:
        UnavailableError: the server does not say.
    """
    return _served(api, _taught(mapped), every=True) if mapped else ()


def _taught(mapped: Mapped) -> dict[str, list[KindRow]]:
    """Kinds of mappings by group, in no version of their own: those that rows know come first."""
    rows: dict[str, list[KindRow]] = {}
    for group, kind in mapped:
        rows.setdefault(group, []).append(KindRow(group=group, kinds=[kind], versions=[]))
    return rows


def _served(api: ApiServer, rows: dict[str, list[KindRow]], *, every: bool = False) -> tuple[Served, ...]:
    """Each kind once, where it can be listed; with ``every`` under each of its names."""
    found = [found for group, version in _versions(api, rows) for found in _kinds(api, group, version, rows[group], every=every)]
    unique: dict[tuple[str, str, str], Served] = {}
    for served in found:
        unique.setdefault((served.group, served.kind, served.plural if every else ""), served)
    if len(unique) > limits.WORKLOAD_KINDS:
        raise LimitExceededError(f"got {len(unique)} kinds of workloads, expected at most {limits.WORKLOAD_KINDS}")
    return tuple(sorted(unique.values(), key=lambda served: (_STAGES.get(served.kind, 0), served.group, served.kind)))


_STAGES = {"Deployment": 1, "StatefulSet": 1, "DaemonSet": 1, "CronJob": 1, "Job": 2, "ReplicaSet": 2, "Pod": 3}


def _versions(api: ApiServer, rows: dict[str, list[KindRow]]) -> Iterator[tuple[str, str]]:
    """(group, version), for each group those that its rows name first, then the preferred one."""
    if "" in rows:
        yield "", "v1"
    for group in api.get_object("/apis").get("groups") or []:
        name = group["name"]
        if name not in rows:
            continue
        known = {version for row in rows[name] for version in row.versions}
        offered = [group["preferredVersion"]["version"], *(entry["version"] for entry in group["versions"])]
        for version in sorted(dict.fromkeys(offered), key=lambda version: version not in known and "*" not in known):
            yield name, version


def _kinds(api: ApiServer, group: str, version: str, rows: list[KindRow], *, every: bool) -> Iterator[Served]:
    wanted = {kind for row in rows for kind in row.kinds} - (_NEVER if not group else frozenset())
    try:
        listed = api.get_object(f"/apis/{group}/{version}" if group else "/api/v1").get("resources") or []
    except NotFoundError:
        return  # between two questions the group was removed
    try:
        yield from [
            _as_served(group, version, entry)
            for entry in listed
            if entry["kind"] in wanted and _is_resource(entry["name"]) and (every or "list" in entry["verbs"])
        ]
    except (KeyError, TypeError, AttributeError) as error:  # who serves a group writes it
        raise UnavailableError(f"got no list of what {group}/{version} serves: {quote(error)}") from error


def _is_resource(name: object) -> bool:
    """No subresource, and nothing else that no resource is called: rules of webhooks are made of it, and paths."""
    return isinstance(name, str) and _RESOURCE.fullmatch(name) is not None


def _as_served(group: str, version: str, entry: dict[str, Any]) -> Served:
    names = {entry["kind"], entry["name"], entry.get("singularName") or "", *(entry.get("shortNames") or [])}
    called = frozenset(name.lower() for name in names if name)
    return Served(group, version, entry["kind"], entry["name"], bool(entry["namespaced"]), called)


def called(served: Iterable[Served], name: str) -> Served:
    """The kind that people mean by ``deploy``, ``Deployment`` or ``inferenceservices.serving.kserve.io``.

    Raises:
        NotFoundError: no kind that this server serves and that can name models is called so.
        InvalidInputError: several are.
    """
    word, _, group = name.lower().partition(".")
    found = [entry for entry in served if word in entry.names and (not group or group == entry.group)]
    if not found:
        raise NotFoundError(f"got the kind {quote(name)}, expected one that this cluster serves and that can name a model")
    if len(found) > 1:
        spelt = ", ".join(f"{entry.plural}.{entry.group}" for entry in found)
        raise InvalidInputError(f"got the kind {quote(name)}, expected one of {spelt}")
    return found[0]


def objects(api: ApiServer, served: Served, *, namespace: str = "", between: Callable[[], object] = lambda: None) -> Iterator[Item]:
    """Every object of one kind, one page in memory at a time.

    Args:
        api: the API server.
        served: the kind.
        namespace: only there; empty for all.
        between: called after each page that another one follows: the place to wait.

    Raises:
        GoneError: the list expired on the way; what was given is not all.
        RefusedError: not allowed to list them.
        UnavailableError: a page could not be had, or made no sense.
        LimitExceededError: more objects than any collection holds.
    """
    path, query, count = served.path(namespace=namespace), {"limit": str(limits.LIST_PAGE_OBJECTS)}, 0
    while True:
        try:
            page = _PAGE.decode(api.get(path, query))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnavailableError(f"got no list from the API server for {path}: {type(error).__name__}") from error
        count += len(page.items or ())
        if count > limits.LIST_OBJECTS:
            raise LimitExceededError(f"got more than {limits.LIST_OBJECTS} objects in {path}")
        for raw in page.items or ():
            yield item(bytes(raw), served)
        if not page.metadata.following:
            return
        query["continue"] = page.metadata.following
        between()


def item(data: bytes, served: Served) -> Item:
    """One object, with the kind that lists of Kubernetes' own kinds leave out.

    Raises:
        UnavailableError: it is no object.
    """
    try:
        head = _HEAD.decode(data)
        finished = _finished(served, head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnavailableError(f"got an object of kind {served.kind} without a name: {type(error).__name__}") from error
    if head.kind is None:
        start = data.index(b"{") + 1
        data = f'{{"kind":"{served.kind}","apiVersion":"{served.api_version}",'.encode() + data[start:].lstrip()
    metadata = head.metadata
    where = metadata.namespace or ""
    # Whoever writes the object writes these names, too: what no object can be called would go to terminals, events and statuses.
    owners = [owner for owner in metadata.owner_references or () if owner.controller and _is_name(owner)]
    owner = Link(owners[0].kind, where, owners[0].name, owners[0].uid) if owners else None
    return Item(data, Link(served.kind, where, metadata.name, metadata.uid), owner, finished)


def _is_name(owner: _Owner) -> bool:
    return _KIND.fullmatch(owner.kind) is not None and _NAME.fullmatch(owner.name) is not None and bool(owner.uid)


def _finished(served: Served, head: _Head) -> bool:
    if (served.group, served.kind) == ("", "Pod"):
        return _member(head.status, "phase") in {"Succeeded", "Failed"}
    if (served.group, served.kind) == ("batch", "Job"):
        conditions = _member(head.status, "conditions") or []
        return any(entry.get("type") in {"Complete", "Failed"} and entry.get("status") == "True" for entry in conditions)
    if (served.group, served.kind) == ("apps", "ReplicaSet"):
        return bool(head.metadata.owner_references) and _member(head.spec, "replicas") == 0
    return False


def _member(raw: msgspec.Raw, name: str) -> Any:
    decoded = msgspec.json.decode(raw)
    return decoded.get(name) if isinstance(decoded, dict) else None


@dataclass(slots=True)
class Owners:
    """Who made what: the chain from a Pod up to the object that a person wrote."""

    _by_uid: dict[str, Link] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        """Remember who made an object."""
        if item.owner is not None and item.link.uid:
            self._by_uid[item.link.uid] = item.owner

    def root(self, link: Link) -> Link:
        """The topmost known owner; an object that nobody made is its own."""
        for _ in range(limits.OWNER_DEPTH):
            above = self._by_uid.get(link.uid)
            if above is None:
                break
            link = above
        return link
