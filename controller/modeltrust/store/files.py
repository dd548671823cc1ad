"""Feeds the store from a watched folder: for tests, the demo, `check`, and clusters without our CRDs.

A file that cannot be read or parsed keeps the last good state of its objects and confirms nothing, so that the store grows stale
and says so; a list that failed is never an empty one (M9). ConfigMap and Secret mounts work: the kubelet exchanges them by one
symbolic link, and every look follows links.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, UnavailableError, quote
from modeltrust.store.sink import KINDS, Kind, Object, Sink
from modeltrust.store.store import ATTESTORS, name_of

ATTESTORS_FILE = "attestors.yaml"
_SUFFIXES = (".yaml", ".yml", ".json")
_RACY_NANOSECONDS = 2_000_000_000  # a file written this recently can change again within one tick of its time stamp, unseen

_ELSEWHERE = {("modeltrust.dev", "ModelSource")}
# Kinds of a trust folder that say how evidence is gathered; no decision reads them.

_Stamp = tuple[int, int, int]


class Freshness(Protocol):
    """Whom a feed tells that what it fed is complete and current."""

    def confirm(self, kind: str, now: float) -> None:
        """The kind is complete and current as of now."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be used.

    Attributes:
        file: its name below the folder; empty for the folder itself.
        why: one sentence.
    """

    file: str
    why: str


@dataclass(frozen=True, slots=True)
class _File:
    """What a file held when it was last good."""

    stamp: _Stamp
    data: bytes
    objects: tuple[Object, ...]


_Key = tuple[Kind, str]


class Folder:
    """One watched folder. ``poll`` looks once; whoever calls it decides when."""

    def __init__(
        self,
        folder: Path,
        *,
        sink: Sink[Kind],
        freshness: Freshness,
        parse: Callable[[bytes, str], Iterable[Object]],
        attestors: Callable[[bytes | None], None],
    ) -> None:
        """Begin with nothing seen.

        Args:
            folder: watched with its sub-folders; or one file.
            sink: is fed.
            freshness: is told when everything was read.
            parse: (bytes, name) to objects; raises ModelTrustError.
            attestors: takes the bytes of ``attestors.yaml``, or None when there is no such file; raises ModelTrustError and keeps
                what it had.
        """
        self._folder = folder
        self._sink = sink
        self._freshness = freshness
        self._parse = parse
        self._attestors = attestors
        self._files: dict[str, _File] = {}
        self._fed: dict[_Key, Object] = {}
        self._complete = False

    def poll(self, now: float) -> tuple[Problem, ...]:
        """Look once and feed what changed.

        Args:
            now: unix seconds, for freshness and for time stamps that are too young to be believed.

        Returns:
            What could not be used; empty when everything was.
        """
        try:
            listed = dict(self._list())
        except (OSError, ModelTrustError) as error:
            return (Problem("", _sentence(error)),)
        problems = [problem for name in sorted(listed) if (problem := self._read(name, listed[name], now))]
        for name in self._files.keys() - listed.keys():
            del self._files[name]
            if name == ATTESTORS_FILE:
                self._attestors(None)
        problems.extend(self._feed(complete=not problems))
        if not problems:
            for kind in (*Kind, ATTESTORS):
                self._freshness.confirm(kind, now)
        return tuple(problems)

    def _list(self) -> Iterator[tuple[str, _Stamp]]:
        if self._folder.is_file():
            yield self._folder.name, _stamp(self._folder.stat())
            return
        for count, (entry, name) in enumerate(_walk(self._folder, "", limits.TRUST_DEPTH), start=1):
            if count > limits.TRUST_FILES:
                raise UnavailableError(f"got more than {limits.TRUST_FILES} files, expected fewer")
            yield name, _stamp(entry.stat())

    def _read(self, name: str, stamp: _Stamp, now: float) -> Problem | None:
        before = self._files.get(name)
        if before is not None and before.stamp == stamp and now * 1e9 - stamp[1] > _RACY_NANOSECONDS:
            return None
        try:
            data = self._bytes(name)
            if before is not None and before.data == data:
                self._files[name] = _File(stamp, data, before.objects)
                return None
            if name == ATTESTORS_FILE:
                self._attestors(data)
                objects: tuple[Object, ...] = ()
            else:
                objects = tuple(value for value in self._parse(data, name) if not _is_elsewhere(value))
                for value in objects:
                    _key(value)
        except (OSError, ModelTrustError) as error:
            return Problem(name, _sentence(error))
        self._files[name] = _File(stamp, data, objects)
        return None

    def _bytes(self, name: str) -> bytes:
        path = self._folder if self._folder.is_file() else self._folder / name
        with path.open("rb") as stream:
            data = stream.read(limits.MANIFEST_BYTES + 1)
        if len(data) > limits.MANIFEST_BYTES:
            raise InvalidInputError(f"got more than {limits.MANIFEST_BYTES} bytes, expected fewer")
        return data

    def _feed(self, *, complete: bool) -> list[Problem]:
        wanted: dict[_Key, Object] = {}
        problems = []
        for name in sorted(self._files):
            for value in self._files[name].objects:
                key = _key(value)
                if key in wanted:
                    problems.append(Problem(name, f"got a second object of {key[0]} named {quote(key[1])}"))
                wanted.setdefault(key, value)
        if not self._complete and (problems or not complete):
            return problems  # never synchronised: half a list would be an empty one for the other half
        if self._complete:
            self._change(wanted)
        else:
            for kind in Kind:
                self._sink.replace(kind, [value for key, value in wanted.items() if key[0] is kind])
        self._fed, self._complete = wanted, True
        return problems

    def _change(self, wanted: Mapping[_Key, Object]) -> None:
        # What is added comes first: a revocation or a policy that moves between files is never away for a moment.
        for key, value in wanted.items():
            if self._fed.get(key) is not value and self._fed.get(key) != value:
                self._sink.upsert(key[0], value)
        for kind, name in self._fed.keys() - wanted.keys():
            self._sink.delete(kind, name)


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple["os.DirEntry[str]", str]]:
    if depth == 0:
        raise UnavailableError(f"got folders deeper than {limits.TRUST_DEPTH} levels, expected fewer")
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue  # "..data" of a ConfigMap mount is reached through the links beside it; editors leave ".x.swp"
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{name}/", depth - 1)
            elif entry.name.endswith(_SUFFIXES) and (entry.is_file() or not Path(entry.path).exists()):
                yield entry, name  # a link to nowhere fails where it is read; a pipe would never end


def _stamp(state: os.stat_result) -> _Stamp:
    return state.st_ino, state.st_mtime_ns, state.st_size


def _is_elsewhere(value: Object) -> bool:
    return _group_kind(value) in _ELSEWHERE


def _group_kind(value: Object) -> tuple[str, str]:
    return str(value.get("apiVersion", "")).rpartition("/")[0], str(value.get("kind"))


def _key(value: Object) -> _Key:
    kind = KINDS.get(_group_kind(value))
    if kind is None:
        raise InvalidInputError(
            f"got {quote(value.get('apiVersion'))} {quote(value.get('kind'))}, expected one of our kinds or Namespace"
        )
    return kind, name_of(value)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, ModelTrustError) else f"{type(error).__name__}: {quote(error)}"
