"""Pins one manifest: candidates of an edit in the field's own grammar, of which the first counts that reading proves.

An edit that does not make exactly this reference immutable, or changes what anything else means, is never written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from modeltrust.api.edits import Sheet, sheet
from modeltrust.api.manifests import Document, read_manifests
from modeltrust.cli.workloads import subjects
from modeltrust.domain import limits
from modeltrust.domain.errors import (
    InvalidInputError,
    MalformedError,
    ModelTrustError,
    UnavailableError,
)
from modeltrust.domain.reference import Revision
from modeltrust.domain.values import value
from modeltrust.domain.workload import FoundReference, Workload
from modeltrust.policy import fixes
from modeltrust.policy.pinning import expected_pin, is_pinned
from modeltrust.references.extract import Extractor
from modeltrust.wiring.revisions import Resolve

_Key = tuple[int, str, str]  # object, role, reference: one thing that is to be pinned
_BYTE_ORDER_MARK = "\ufeff"


@value
class Pin:
    """What became of one reference.

    Attributes:
        file: where it stands.
        line: of its value, from 1.
        model: canonical reference.
        role: what it is used for.
        before: the revision as it was written; empty for none.
        revision: what it is pinned to; empty where it could not be.
        why: it could not be pinned.
        unknown: nobody could say what to pin it to; asking later may help.
        fix: what to write by hand.
    """

    file: str
    line: int
    model: str
    role: str
    before: str
    revision: str = ""
    why: str = ""
    unknown: bool = False
    fix: str = ""


@dataclass(slots=True)
class Pinned:
    """One file.

    Attributes:
        before: its bytes.
        after: with immutable revisions.
        pins: what became of each reference that floats.
        references: how many there are, pinned ones included.
    """

    before: bytes
    after: bytes
    pins: list[Pin] = field(default_factory=list)
    references: int = 0


class Pinner:
    """Pins files."""

    def __init__(self, extractor: Extractor, resolve: Resolve, namespace: str = "") -> None:
        """Join who reads and who knows.

        Args:
            extractor: reads objects.
            resolve: says what a reference stands for.
            namespace: of objects that state none.
        """
        self._extractor = extractor
        self._resolve = resolve
        self._namespace = namespace

    def pin(self, data: bytes, name: str) -> Pinned:
        """Pin everything in one file that can be.

        Raises:
            InvalidInputError: it is no manifest, or cannot be edited in place.
        """
        documents = read_manifests(data, name)
        text = data.decode("utf-8")
        mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
        text = text.removeprefix(_BYTE_ORDER_MARK)
        done = Pinned(data, data)
        found = self._read(documents)
        done.references = sum(len(workload.references) for workload in found)
        settled: set[_Key] = set()
        while (pending := _floating(found, settled)) is not None and len(settled) < limits.PINS:
            index, reference = pending
            settled.add((index, reference.role.value, reference.reference.text))
            pin, changed = self._one(text, name, documents, index, reference)
            if pin is not None:
                done.pins.append(pin)
            if changed is not None:
                text = changed
                documents = read_manifests(text.encode(), name)
                found = self._read(documents)
        done.after = (mark + text).encode()
        return done

    def _read(self, documents: tuple[Document, ...]) -> list[Workload]:
        read = []
        for subject in subjects(documents, self._namespace):
            try:
                read.append(self._extractor.extract(subject.data, namespace=subject.namespace))
            except MalformedError as error:
                raise InvalidInputError(f"{subject.file}:{subject.line}: {error}") from error
        return read

    def _one(
        self, text: str, name: str, documents: tuple[Document, ...], index: int, found: FoundReference
    ) -> tuple[Pin | None, str | None]:
        page = sheet(text)
        document = documents[index]
        scalar = page.scalar(document, found.locator.partition("#")[0])
        line = text.count("\n", 0, scalar.start) + 1 if scalar is not None else document.line
        pin = Pin(name, line, found.reference.text, found.role.value, found.revision.value)
        if not expected_pin(found.reference.scheme):
            why = f"{found.reference.scheme}:// has no revisions that stay"
            return _but(pin, why=why, fix=fixes.pin(found)), None
        try:
            revision = self._resolve(found)
        except ModelTrustError as error:
            return _but(pin, why=str(error), unknown=isinstance(error, UnavailableError), fix=fixes.pin(found)), None
        if not revision.immutable:
            return _but(pin, why="what it stands for is no immutable revision", unknown=True, fix=fixes.pin(found)), None
        before = self._read(documents)
        for candidate in candidates(page, document, found, revision):
            if candidate is not None and self._proves(candidate, name, before, index, found, revision):
                return _but(pin, revision=revision.value), candidate
        return _but(pin, why="it cannot be written there in place", fix=fixes.pin(found, revision.value)), None

    def _proves(self, text: str, name: str, before: list[Workload], index: int, found: FoundReference, revision: Revision) -> bool:
        """Whether reading the edited text finds this reference pinned, and everything else as it was."""
        try:
            after = self._read(read_manifests(text.encode(), name))
        except (InvalidInputError, MalformedError):
            return False
        if len(after) != len(before):
            return False
        for position, (old, new) in enumerate(zip(before, after, strict=True)):
            was, now = _summary(old), _summary(new)
            if position != index and was != now:
                return False
            if position == index and not _only(was, now, found, revision):
                return False
        return True


def _but(pin: Pin, *, revision: str = "", why: str = "", unknown: bool = False, fix: str = "") -> Pin:
    return Pin(pin.file, pin.line, pin.model, pin.role, pin.before, revision, why, unknown, fix)


def _floating(found: list[Workload], settled: set[_Key]) -> tuple[int, FoundReference] | None:
    for index, workload in enumerate(found):
        for reference in workload.references:
            key = (index, reference.role.value, reference.reference.text)
            if not is_pinned(reference) and key not in settled:
                return index, reference
    return None


_Entry = tuple[str, str, str]


def _summary(workload: Workload) -> tuple[list[_Entry], list[str], list[str]]:
    references = [(found.role.value, found.reference.text, found.revision.value) for found in workload.references]
    return references, [str(entry.reason) for entry in workload.unresolved], [image.reference for image in workload.images]


def _only(was: tuple[Any, Any, Any], now: tuple[Any, Any, Any], found: FoundReference, revision: Revision) -> bool:
    """Whether nothing changed but this model's revision; what is loaded along with it may follow."""
    mine = (found.role.value, found.reference.text, revision.value)
    if mine not in now[0] or was[1:] != now[1:] or len(was[0]) != len(now[0]):
        return False
    same = [new for old, new in zip(was[0], now[0], strict=True) if old != new]
    return all(new[1:] == mine[1:] for new in same)


def candidates(page: Sheet, document: Document, found: FoundReference, revision: Revision) -> Iterator[str | None]:
    """Edited texts, the likeliest first; None for those that the text's form does not allow."""
    written = fixes.pin(found, revision.value)
    pointer, _, inner = found.locator.partition("#")
    scalar = page.scalar(document, pointer)
    if scalar is None:
        yield from _member(page, document, pointer, revision)
        return
    if not written.startswith("--"):
        yield page.replaced(scalar, found.raw, written)
    flag = written.partition(" ")[0] if written.startswith("--") else "--revision"
    if inner:
        stated = re.compile(rf"({re.escape(flag)}[= ]+)\S+")
        source = page.text[scalar.start : scalar.end]
        for match in stated.finditer(source):
            yield page.replaced(scalar, match[0], f"{match[1]}{revision.value}") if scalar.style else None
        yield page.replaced(scalar, found.raw, f"{found.raw} {flag} {revision.value}") if scalar.style else None
        return
    yield from _beside(page, document, pointer, flag, revision)
    behind = page.scalar(document, _last_word(document, pointer, found))
    yield None if behind is None else page.inserted(behind, f"{flag}={revision.value}")


def _last_word(document: Document, pointer: str, found: FoundReference) -> str:
    """Of ``--model NAME`` the option is what is found; the next option may only stand behind its value."""
    folder, _, last = pointer.rpartition("/")
    word = _at(document.value, pointer)
    if isinstance(word, str) and word.startswith("-") and found.raw not in word and last.isdecimal():
        return f"{folder}/{int(last) + 1}"
    return pointer


def _beside(page: Sheet, document: Document, pointer: str, flag: str, revision: Revision) -> Iterator[str | None]:
    """An option, or a variable, that holds the revision in the same list."""
    folder, _, last = pointer.rpartition("/")
    if last == "value":  # of a variable: its neighbours are one level up
        folder = folder.rpartition("/")[0]
    listed = _at(document.value, folder)
    for number, entry in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(entry, str) and entry == flag and number + 1 < len(listed):
            yield _whole(page, document, f"{folder}/{number + 1}", listed[number + 1], revision.value)
        elif isinstance(entry, str) and entry.startswith(f"{flag}="):
            yield _whole(page, document, f"{folder}/{number}", entry, f"{flag}={revision.value}")
        elif isinstance(entry, dict) and "REVISION" in str(entry.get("name")) and isinstance(entry.get("value"), str):
            yield _whole(page, document, f"{folder}/{number}/value", entry["value"], revision.value)


def _member(page: Sheet, document: Document, pointer: str, revision: Revision) -> Iterator[str | None]:
    """A reference put together from several fields: one of them is its revision."""
    holder = _at(document.value, pointer)
    for key in ("revision", "modelRevision"):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            yield _whole(page, document, f"{pointer}/{key}", holder[key], revision.value)


def _whole(page: Sheet, document: Document, pointer: str, old: Any, new: str) -> str | None:
    scalar = page.scalar(document, pointer)
    return None if scalar is None or not isinstance(old, str) or not old else page.replaced(scalar, old, new)


def _at(found: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, dict):
            found = found.get(key)
        else:
            return None
    return found
