"""From one Kubernetes object to its ``Workload``.

Two decoding altitudes: kinds whose rows are closed are decoded into Structs of exactly what is read; everything else is
walked generically. The result never hides anything: what cannot be named is ``Unresolved``, and an object that looks
like inference and yields nothing is refused for that.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, quote
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Unresolved, Workload
from modeltrust.references.actions import Action, actions
from modeltrust.references.annotations import read_content_digests, read_declared
from modeltrust.references.budget import Budget
from modeltrust.references.discovery import discover
from modeltrust.references.findings import Findings
from modeltrust.references.kinds import Document, KindReader
from modeltrust.references.paths import evaluate
from modeltrust.references.pod import Head, Metadata
from modeltrust.references.schema import KindRow
from modeltrust.references.shapes import Shape
from modeltrust.references.tables import OUR_ANNOTATIONS, Tables

_HEAD = msgspec.json.Decoder(Head)
_ANY = msgspec.json.Decoder(dict[str, Any])
_NO_METADATA = Metadata()
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
    """Reads objects. Made once; holds nothing that changes."""

    __slots__ = ("_actions", "_load_yaml", "_shapes", "_tables")

    def __init__(self, tables: Tables, load_yaml: Callable[[str], Any] | None = None) -> None:
        """Compile the rows of every kind.

        Args:
            tables: what is known.
            load_yaml: reads YAML inside string fields, strictly and bounded; raises InvalidInputError. Without it such a
                field is a finding.

        Raises:
            InvalidInputError: a row's path is outside the subset, or a closed kind cannot be decoded by its rows.
        """
        self._tables = tables
        self._load_yaml = load_yaml
        self._actions: dict[int, tuple[Action, ...]] = {}
        self._shapes: dict[tuple[str, str], _Closed] = {}
        for row in {id(row): row for row in tables.kinds.values()}.values():
            self._actions[id(row)] = actions(row)
            if row.closed:
                shape = Shape(row, self._actions[id(row)])
                for names in _names(row):
                    self._shapes[names] = _Closed(names, row, shape, shape.decoder)

    def extract(self, document: bytes, *, namespace: str = "") -> Workload:
        """Find everything that an object loads.

        Args:
            document: one object as JSON, as the API server sends it.
            namespace: of the request; the object's own counts when it is empty.

        Raises:
            MalformedError: the bytes are no Kubernetes object of the form that its kind has.
        """
        head, row, value = self._decoded(document)
        group, _, version = head.api_version.rpartition("/")
        metadata = head.metadata or _NO_METADATA
        where = "" if row is not None and row.cluster else namespace or metadata.namespace or ""
        findings = Findings()
        budget = Budget()
        reader = KindReader(self._tables, findings, budget, where)
        declared: frozenset[str] = frozenset()
        digests: Mapping[str, ContentDigest] = {}
        limit: Unresolved | None = None
        try:
            self._read(row, document, value, metadata, reader, budget)
            declared, digests = _ours(metadata, reader, findings)
            _check_empty(row, reader, findings)
        except LimitExceededError as error:
            limit = Unresolved(Reason.LIMIT_EXCEEDED, "", str(error))
        return _workload(head, group, version, where, row, findings, declared, digests, limit)

    def _decoded(self, document: bytes) -> tuple[Head, KindRow | None, Head | None]:
        """The head, the row of the kind, and the whole object where its kind is closed: mostly in one pass."""
        guess = self._guess(document)
        if guess is not None:
            try:
                value = guess.decoder.decode(document)
                if (value.api_version, value.kind) == guess.names:
                    return value, guess.row, value
            except (msgspec.DecodeError, RecursionError):
                pass  # a wrong guess, or malformed: what follows says which
        head = _decode(_HEAD, document)
        group, _, version = head.api_version.rpartition("/")
        row = self._tables.kind(group, version, head.kind)
        shape = self._shapes.get((head.api_version, head.kind))
        return head, row, None if shape is None else _decode(shape.decoder, document)

    def _guess(self, document: bytes) -> _Closed | None:
        # The API server writes apiVersion and kind first; whatever stands there is checked against what was decoded.
        start = document[:_HEAD_BYTES]
        kind, version = _KIND.search(start), _API_VERSION.search(start)
        return None if kind is None or version is None else self._shapes.get((version[1].decode(), kind[1].decode()))

    def _read(
        self, row: KindRow | None, document: bytes, value: Head | None, metadata: Metadata, reader: KindReader, budget: Budget
    ) -> None:
        if metadata.annotations:
            reader.acting(metadata.annotations, "/metadata/annotations")
        if row is not None and value is not None:
            closed = self._shapes[value.api_version, value.kind]
            reader.run(row, closed.shape.visit(value))
        else:
            self._generic(row, _decode(_ANY, document), "", reader, budget)
        if reader.documents:
            self._documents(reader, budget, 0)

    def _generic(self, row: KindRow | None, value: dict[str, Any], pointer: str, reader: KindReader, budget: Budget) -> None:
        skip: frozenset[str] = frozenset()
        if row is not None:
            hits = [
                (action, place, item)
                for action in self._actions[id(row)]
                for place, item in evaluate(action.path, value, budget, pointer)
            ]
            reader.run(row, hits)
            skip = frozenset(row.skip)
        for what, place, item in discover(value, pointer, budget, skip):
            if what == "podSpec":
                reader.pod_spec(item, place, [])
            else:
                reader.container(item, place, "")

    def _documents(self, reader: KindReader, budget: Budget, depth: int) -> None:
        documents, reader.documents = reader.documents, []
        if documents and depth >= limits.EMBEDDED_DEPTH:
            raise LimitExceededError(f"got objects inside objects deeper than {limits.EMBEDDED_DEPTH} levels")
        for document in documents:
            value = self._loaded(document, reader, budget)
            topic = self._tables.topics[document.topic]
            if not isinstance(value, dict):
                continue
            if topic.manifest:
                group, _, version = str(value.get("apiVersion", "")).rpartition("/")
                row = self._tables.kind(group, version, str(value.get("kind", "")))
                self._generic(row, value, _inside(document), reader, budget)
            else:
                reader.topic(topic, value, document.pointer)
        if reader.documents:
            self._documents(reader, budget, depth + 1)

    def _loaded(self, document: Document, reader: KindReader, budget: Budget) -> Any:
        value = document.value
        if not isinstance(value, str) or not value:
            return value
        budget.charge_yaml(len(value))
        try:
            if self._load_yaml is not None:
                return self._load_yaml(value)
        except InvalidInputError:
            pass
        reader.unreadable(document)
        return None


def _inside(document: Document) -> str:
    return f"{document.pointer}#" if isinstance(document.value, str) else document.pointer


def _names(row: KindRow) -> Iterator[tuple[str, str]]:
    for version in row.versions:
        for kind in row.kinds:
            yield (f"{row.group}/{version}" if row.group else version), kind


def _decode(decoder: "msgspec.json.Decoder[Any]", document: bytes) -> Any:
    try:
        return decoder.decode(document)
    except msgspec.ValidationError as error:
        raise MalformedError(f"got an object of another form: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"not JSON: {quote(error)}") from error
    except RecursionError as error:
        raise LimitExceededError("got an object that is nested too deep") from error


def _ours(metadata: Metadata, reader: KindReader, findings: Findings) -> tuple[frozenset[str], Mapping[str, ContentDigest]]:
    places = list(reader.annotations)
    if metadata.annotations:
        places.insert(0, (metadata.annotations, "/metadata/annotations"))
    declared: set[str] = set()
    digests: dict[str, ContentDigest] = {}
    for annotations, pointer in places:
        if any(key.startswith(OUR_ANNOTATIONS) for key in annotations):
            declared |= read_declared(annotations, pointer, findings)
            digests.update(read_content_digests(annotations, pointer, findings))
    return frozenset(declared), digests


def _check_empty(row: KindRow | None, reader: KindReader, findings: Findings) -> None:
    # Empty is refusal: something that looks like inference and names nothing loads something all the same.
    looks = findings.inference or findings.accelerators or (row is not None and row.serving)
    if looks and findings.empty and not reader.completed_elsewhere:
        message = "this looks like inference and names no model"
        fix = "name the model in a field, option or variable that its server reads, or declare it with modeltrust.dev/models"
        findings.problem(Reason.UNRESOLVED_REFERENCE, "", message, fix=fix)


def _workload(  # noqa: PLR0913, PLR0917 - the parts of the result
    head: Head,
    group: str,
    version: str,
    namespace: str,
    row: KindRow | None,
    findings: Findings,
    declared: frozenset[str],
    digests: Mapping[str, ContentDigest],
    limit: Unresolved | None,
) -> Workload:
    metadata = head.metadata or _NO_METADATA
    generated = f"{metadata.generate_name}*" if metadata.generate_name else ""
    references = tuple(findings.references.values())
    unresolved = tuple(findings.unresolved.values())
    return Workload(
        group=group,
        version=version,
        kind=head.kind,
        namespace=namespace,
        name=metadata.name or generated,
        references=references,
        unresolved=unresolved if limit is None else (limit, *unresolved),
        images=tuple(findings.images),
        accelerators=findings.accelerators,
        runtime_loaded=row is not None and row.runtime_loaded,
        declared=declared,
        content_digests=digests,
        inference=findings.inference or findings.accelerators or bool(references) or (row is not None and row.serving),
    )
