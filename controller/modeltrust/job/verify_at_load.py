"""`modeltrust job verify-at-load DIR… --digest sha256:…`: are the bytes in these folders the ones that were attested?

Runs as the last init container of a Pod (design/admission.md, "Verify-at-load"), so it imports the standard library, the domain
and one source, and nothing that parses what the bytes mean. Progress is one JSON line each on stdout, which is the container's log.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest, content_digest
from modeltrust.domain.errors import MalformedError, ModelTrustError, quote
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.sources.filesystem import FolderSource


class Exit(IntEnum):
    """Fixed exit codes: a Pod's status shows nothing else of why it does not start."""

    SAME = 0
    INTERNAL = 1
    USAGE = 2
    DIFFERENT = 11  # other bytes, other files, or something that is no plain file
    UNREADABLE = 12  # missing, unreadable, or changing while it is read


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


class _UsageError(Exception):
    """The arguments make no sense."""


def main(arguments: list[str], *, clock: Callable[[], float] = time.monotonic) -> int:
    """Compare each folder with its content digest, in the order in which both are given; the first that differs ends it.

    Args:
        arguments: after ``job verify-at-load``.
        clock: seconds, for progress only.

    Returns:
        One of the fixed exit codes; the last line of the log says why.
    """
    log = _Log(clock)
    try:
        for folder, expected in _parse(arguments):
            found = _compare(folder, expected, log)
            if found is not Exit.SAME:
                return int(found)
        return int(Exit.SAME)
    except _UsageError as error:
        log.write("usage", message=str(error))
        return int(Exit.USAGE)
    except MalformedError as error:
        log.write("different", message=str(error))
        return int(Exit.DIFFERENT)
    except ModelTrustError as error:
        log.write("unreadable", message=str(error))
        return int(Exit.UNREADABLE)
    except Exception as error:  # noqa: BLE001 - whatever happens, the Pod must not start and must say why
        log.write("internal error", message=f"{type(error).__name__}: {quote(error)}")
        return int(Exit.INTERNAL)


def _parse(arguments: list[str]) -> list[tuple[Path, ContentDigest]]:
    parser = _Parser(prog="modeltrust job verify-at-load", description=__doc__, add_help=False)
    parser.add_argument("folders", nargs="+", metavar="DIR")
    parser.add_argument("--digest", action="append", required=True, dest="digests", metavar="sha256:…")
    options = parser.parse_args(arguments)
    try:
        digests = [ContentDigest.parse(digest) for digest in options.digests]
    except MalformedError as error:
        raise _UsageError(f"--digest: {error}") from error
    if len(digests) != len(options.folders):
        raise _UsageError(f"got {len(options.folders)} folders and {len(digests)} digests, expected one digest for each folder")
    return list(zip(map(Path, options.folders), digests, strict=True))


def _compare(folder: Path, expected: ContentDigest, log: "_Log") -> Exit:
    log.write("started", folder=str(folder), expected=str(expected))
    # A link on the way would lead to other bytes in the server's container, where other volumes are mounted.
    if os.path.realpath(folder) != os.path.abspath(folder):  # noqa: PTH100 - Path.absolute keeps ".."
        raise MalformedError(f"got {quote(folder)} behind a link, expected plain folders all the way")
    listing = FolderSource(folder, progress=log.progress).list()
    actual = content_digest((entry.path, _sha256(entry)) for entry in listing.files)
    same = actual == expected
    log.write("same" if same else "different", actual=str(actual), expected=str(expected), **_size(listing))
    return Exit.SAME if same else Exit.DIFFERENT


def _sha256(entry: FileEntry) -> str:
    if entry.kind is not FileKind.FILE or entry.sha256 is None:
        raise MalformedError(f"got {entry.kind.value} {quote(entry.path)}, expected plain files only")
    return entry.sha256


def _size(listing: SourceListing) -> dict[str, int]:
    return {"files": len(listing.files), "bytes": sum(entry.size for entry in listing.files)}


class _Log:
    """One JSON line per event; progress at most every few seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = self._told = clock()
        self._bytes = 0

    def write(self, event: str, **fields: Any) -> None:
        seconds = round(self._clock() - self._started, 3)
        sys.stdout.write(json.dumps({"event": event, "seconds": seconds, **fields}, ensure_ascii=True) + "\n")
        sys.stdout.flush()

    def progress(self, count: int) -> None:
        self._bytes += count
        if self._clock() - self._told >= limits.PROGRESS_SECONDS:
            self._told = self._clock()
            self.write("hashing", bytes=self._bytes)
