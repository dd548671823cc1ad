"""From one Kubernetes object to its ``Workload``.

Two decoding altitudes: kinds whose rows are closed are decoded into Structs of exactly what is read; everything else is
walked generically. The result never hides anything: what cannot be named is ``Unresolved``, and an object that looks
like inference and yields nothing is refused for that.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, quote
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Unresolved, Workload
from modeltrust.references.actions import Action, actions
from modeltrust.references.annotations import read_content_digests, read_declared
from modeltrust.references.discovery import discover
from modeltrust.references.kinds import Document, KindReader
from modeltrust.references.mappings import Mapped, mappings_of, nothing_mapped
from modeltrust.references.paths import evaluate
from modeltrust.references.pod import Head, Metadata
from modeltrust.references.scan import Scan
from modeltrust.references.schema import KindRow
from modeltrust.references.shapes import Shape
from modeltrust.references.tables import Tables

_HEAD = msgspec.json.Decoder(Head)
_ANY = msgspec.json.Decoder(dict[str, Any])
_NO_METADATA = Metadata()
_NOTHING_DECLARED: frozenset[str] = frozenset()
_NO_DIGESTS: Mapping[str, ContentDigest] = MappingProxyType({})
_HEAD_BYTES = 160
_KIND = re.compile(rb'"kind"\s*:\s*"([A-Za-z]{1,64})"')
_API_VERSION = re.compile(rb'"apiVersion"\s*:\s*"([a-z0-9./-]{1,128})"')


@dataclass(frozen=True, slots=True)
class _Closed:
    names: tuple[str, str]  # apiVersion, kind
    row: KindRow
    shape: Shape
    decoder: "msgspec.json.Decoder[Any]"


class Extractor:
    """Reads objects. Made once; holds nothing that changes.

    Attributes:
        tables: what is known.
    """

    __slots__ = ("_actions", "_load_yaml", "_mapped", "_shapes", "_starts", "tables")

    def __init__(self, tables: Tables, load_yaml: Callable[[str], Any] | None = None) -> None:
        """Compile the rows of every kind.

        Args:
            tables: what is known.
            load_yaml: reads YAML inside string fields, strictly and bounded; raises InvalidInputError. Without it such a
                field is a finding.

        Raises:
            InvalidInputError: a row's path is outside the subset, or a closed kind cannot be decoded by its rows.
        """
        self.tables = tables
        self._load_yaml = load_yaml
        self._mapped = nothing_mapped
        self._actions: dict[int, tuple[Action, ...]] = {}
        self._shapes: dict[tuple[str, str], _Closed] = {}
        for row in {id(row): row for row in tables.kinds.values()}.values():
            self._actions[id(row)] = actions(row)
            if row.closed:
                shape = Shape(row, self._actions[id(row)])
                for names in _names(row):
                    self._shapes[names] = _Closed(names, row, shape, shape.decoder)
        self._starts = {start: closed for names, closed in self._shapes.items() for start in _starts(*names)}

    def taught(self, mapped: Callable[[], Mapped]) -> "Extractor":
        """The same, which looks up mappings, too.

        Args:
            mapped: the mappings as they are at the moment of the question.
        """
        learned = copy.copy(self)
        learned._mapped = mapped  # noqa: SLF001 - of the copy that is being made
        return learned

    def extract(self, document: bytes, *, namespace: str = "") -> Workload:
        """Find everything that an object loads.

        Args:
            document: one object as JSON, as the API server sends it.
            namespace: of the request; the object's own counts when it is empty.

        Raises:
            MalformedError: the bytes are no Kubernetes object of the form that its kind has.
        """
        head, row, closed = self._decoded(document)
        metadata = head.metadata or _NO_METADATA
        where = "" if row is not None and row.cluster else namespace or metadata.namespace or ""
        scan = Scan(self.tables, where)
        declared, digests = _NOTHING_DECLARED, _NO_DIGESTS
        limit: Unresolved | None = None
        try:
            reader = KindReader(scan)
            if metadata.annotations:
                reader.annotated(metadata.annotations, "/metadata/annotations")
            if closed is not None and row is not None:
                reader.run(row, closed.shape.visit(head))
            else:
                self._generic(row, _tree(document), "", reader, scan)
            mapped = self._mapped()
            if mapped and mappings_of(mapped, head.api_version.rpartition("/")[0], head.kind):
                _learn(mapped, _tree(document), "", reader, scan)
            if reader.documents:
                self._documents(reader, scan, 0)
            reader.finish()
            if reader.annotations:
                declared, digests = _ours(scan, reader.annotations)
            if scan.empty:
                _check_empty(scan, row, reader)
        except LimitExceededError as error:
            limit = Unresolved(Reason.LIMIT_EXCEEDED, "", str(error))
        return _workload(scan, head, row, declared, digests, limit)

    def _decoded(self, document: bytes) -> tuple[Head, KindRow | None, _Closed | None]:
        """The head, or the whole object where its kind is closed, and what its kind's rows say: mostly in one pass."""
        guess = self._guess(document)
        if guess is not None:
            try:
                value = guess.decoder.decode(document)
                if (value.api_version, value.kind) == guess.names:
                    return value, guess.row, guess
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # a wrong guess, or malformed: what follows says which
        head = _decode(_HEAD, document)
        group, _, version = head.api_version.rpartition("/")
        row = self.tables.kind(group, version, head.kind)
        closed = self._shapes.get((head.api_version, head.kind))
        return head if closed is None else _decode(closed.decoder, document), row, closed

    def _guess(self, document: bytes) -> _Closed | None:
        # The API server writes kind and apiVersion first; whatever stands there is checked against what was decoded.
        guess = self._starts.get(document[: document.find(b',"metadata"')])
        if guess is not None:
            return guess
        start = document[:_HEAD_BYTES]
        kind, version = _KIND.search(start), _API_VERSION.search(start)
        return None if kind is None or version is None else self._shapes.get((version[1].decode(), kind[1].decode()))

    def _generic(self, row: KindRow | None, value: dict[str, Any], pointer: str, reader: KindReader, scan: Scan) -> None:
        skip: frozenset[str] = frozenset()
        if row is not None:
            hits = [
                (action, place, item)
                for action in self._actions[id(row)]
                for place, item in evaluate(action.path, value, scan, pointer)
            ]
            reader.run(row, hits)
            skip = frozenset(row.skip)
        for what, place, item in discover(value, pointer, scan, skip):
            if what == "podSpec":
                reader.pod_spec(item, place, [])
            else:
                reader.container(item, place, "")

    def _documents(self, reader: KindReader, scan: Scan, depth: int) -> None:
        documents, reader.documents = reader.documents, []
        if documents and depth >= limits.EMBEDDED_DEPTH:
            raise LimitExceededError(f"got objects inside objects deeper than {limits.EMBEDDED_DEPTH} levels")
        for document in documents:
            value = self._loaded(document, reader, scan)
            topic = self.tables.topics[document.topic]
            if not isinstance(value, dict):
                continue
            if topic.manifest:
                group, _, version = str(value.get("apiVersion", "")).rpartition("/")
                row = self.tables.kind(group, version, str(value.get("kind", "")))
                self._generic(row, value, _inside(document), reader, scan)
                _learn(self._mapped(), value, _inside(document), reader, scan)
            else:
                reader.topic(topic, value, document.pointer)
        if reader.documents:
            self._documents(reader, scan, depth + 1)

    def _loaded(self, document: Document, reader: KindReader, scan: Scan) -> Any:
        value = document.value
        if not isinstance(value, str) or not value:
            return value
        scan.charge_yaml(len(value))
        try:
            if self._load_yaml is not None:
                return self._load_yaml(value)
        except InvalidInputError:
            pass
        reader.unreadable(document)
        return None


def _learn(mapped: Mapped, value: dict[str, Any], pointer: str, reader: KindReader, scan: Scan) -> None:
    """What mappings say about an object, after everything that is known without them: they cannot spend its budget."""
    group = str(value.get("apiVersion", "")).rpartition("/")[0]
    for mapping in mappings_of(mapped, group, str(value.get("kind", ""))):
        if mapping.broken:
            message = f"its kind is taught by the ModelReferenceMapping {mapping.name}, which cannot be used: {mapping.broken}"
            scan.problem(Reason.UNRESOLVED_REFERENCE, pointer, message, fix=f"mend the ModelReferenceMapping {mapping.name}")
        for action in mapping.actions:
            reader.taught(action, evaluate(action.path, value, scan, pointer))


def _inside(document: Document) -> str:
    return f"{document.pointer}#" if isinstance(document.value, str) else document.pointer


def _names(row: KindRow) -> Iterator[tuple[str, str]]:
    for version in row.versions:
        for kind in row.kinds:
            yield (f"{row.group}/{version}" if row.group else version), kind


def _starts(version: str, kind: str) -> tuple[bytes, bytes]:
    """How the API server begins an object: as its Go type does for its own kinds, sorted for the others."""
    return f'{{"kind":"{kind}","apiVersion":"{version}"'.encode(), f'{{"apiVersion":"{version}","kind":"{kind}"'.encode()


def _tree(document: bytes) -> dict[str, Any]:
    """The whole object as Python values, unless they would be too many: ``[[],{},…`` costs far more than text (H11)."""
    brackets = document.count(b"{") + document.count(b"[")
    if brackets > limits.OBJECT_BRACKETS:
        raise LimitExceededError(f"got an object with {brackets} brackets, expected at most {limits.OBJECT_BRACKETS}")
    found: dict[str, Any] = _decode(_ANY, document)
    return found


def _decode(decoder: "msgspec.json.Decoder[Any]", document: bytes) -> Any:
    try:
        return decoder.decode(document)
    except msgspec.ValidationError as error:
        raise MalformedError(f"got an object of another form: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"not JSON: {quote(error)}") from error
    except RecursionError as error:
        raise LimitExceededError("got an object that is nested too deep") from error


def _ours(scan: Scan, places: list[tuple[dict[str, str], str]]) -> tuple[frozenset[str], Mapping[str, ContentDigest]]:
    declared: set[str] = set()
    digests: dict[str, ContentDigest] = {}
    for annotations, pointer in places:
        declared |= read_declared(scan, annotations, pointer)
        digests.update(read_content_digests(scan, annotations, pointer))
    return frozenset(declared), digests


def _check_empty(scan: Scan, row: KindRow | None, reader: KindReader) -> None:
    # Empty is refusal: something that looks like inference and names nothing loads something all the same.
    looks = scan.inference or scan.accelerators or (row is not None and row.serving)
    if looks and not reader.completed_elsewhere:
        message = "this looks like inference and names no model"
        fix = "name the model in a field, option or variable that its server reads, or declare it with modeltrust.dev/models"
        scan.problem(Reason.UNRESOLVED_REFERENCE, "", message, fix=fix)


def _workload(
    scan: Scan,
    head: Head,
    row: KindRow | None,
    declared: frozenset[str],
    digests: Mapping[str, ContentDigest],
    limit: Unresolved | None,
) -> Workload:
    metadata = head.metadata or _NO_METADATA
    group, _, version = head.api_version.rpartition("/")
    unresolved = tuple(scan.unresolved.values())
    return Workload(
        group,
        version,
        head.kind,
        scan.namespace,
        metadata.name or (f"{metadata.generate_name}*" if metadata.generate_name else ""),
        references=tuple(scan.references.values()),
        unresolved=unresolved if limit is None else (limit, *unresolved),
        images=tuple(scan.images),
        accelerators=scan.accelerators,
        runtime_loaded=row is not None and row.runtime_loaded,
        declared=declared,
        content_digests=digests,
        inference=scan.inference or scan.accelerators or bool(scan.references) or (row is not None and row.serving),
        placed=tuple(scan.placed),
        paths=tuple(scan.paths),
    )
