"""`modeltrust job fetch DIR --order FILE --digest sha256:…`: put exactly the attested bytes of one model into an empty folder.

The init container of an evaluation's engine: the engine then needs no way out of the cluster, and what is evaluated is what the
statement is about (attack H15). Nothing is kept that is not the whole: the content digest is computed from what lies in the folder.
"""

import argparse
import json
import sys
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from modeltrust.api.work import decode_order
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest, check_path
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, ModelTrustError, UnavailableError, quote
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.source import Source
from modeltrust.domain.work import Order, SourceAccess
from modeltrust.job import verify_at_load
from modeltrust.wiring.confinement import Confine, confine
from modeltrust.wiring.examination import contacted_ports, open_source
from modeltrust.wiring.landlock import keeps_ports


class Exit(IntEnum):
    """Fixed exit codes, those of verify-at-load where they mean the same."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    DIFFERENT = 11  # other bytes than were attested, or something that is no plain file
    UNREADABLE = 12  # the source does not answer, or the disk is full


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInputError(message)


def main(arguments: list[str], *, confine: Confine = confine) -> int:
    """Fetch one model.

    Args:
        arguments: after ``job fetch``.
        confine: holds the process before it reads anything foreign.

    Returns:
        One of the fixed exit codes; the last line on stdout says why.
    """
    try:
        folder, order, digest, loopback = _parse(arguments)
        access = _access(order)
        _begin(folder)
        seconds, ports = limits.EXAMINER_BYTES_CPU_SECONDS, contacted_ports([access])
        confined = confine(cpu_seconds=seconds, writes=[folder], connects=ports)
        _say("started", model=order.identity.key, confined=confined, ports_kept=keeps_ports())
        with open_source(order.identity, access, allow_loopback=loopback) as source:
            _fetch(source, folder)
    except InvalidInputError as error:
        return _end(Exit.USAGE, error)
    except (MalformedError, LimitExceededError) as error:
        return _end(Exit.DIFFERENT, error)
    except (ModelTrustError, OSError) as error:
        return _end(Exit.UNREADABLE, error)
    except Exception as error:  # noqa: BLE001 - whatever happens, the engine must not start and the log must say why
        return _end(Exit.INTERNAL, error)
    return verify_at_load.main([str(folder), "--digest", str(digest)])


def _parse(arguments: list[str]) -> tuple[Path, Order, ContentDigest, bool]:
    parser = _Parser(prog="modeltrust job fetch", description=__doc__, add_help=False)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--order", metavar="FILE", required=True, type=Path)
    parser.add_argument("--digest", metavar="sha256:…", required=True)
    parser.add_argument("--allow-loopback", action="store_true")
    options = parser.parse_args(arguments)
    try:
        with options.order.open("rb") as stream:
            order = decode_order(stream.read(limits.ORDER_BYTES + 1))
        return Path(options.folder), order, ContentDigest.parse(options.digest), options.allow_loopback
    except (OSError, MalformedError) as error:
        raise InvalidInputError(
            str(error) if isinstance(error, MalformedError) else f"cannot read {quote(options.order)}"
        ) from error


def _access(order: Order) -> SourceAccess:
    if order.source is None:
        raise InvalidInputError("got an order without a source")
    return order.source


def _begin(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidInputError(f"got {quote(folder)} with files in it, expected an empty folder")


def _fetch(source: Source, folder: Path) -> None:
    listing = source.list()
    _check(listing)
    for entry in listing.files:
        _write(source, entry, folder)


def _check(listing: SourceListing) -> None:
    """Before anything is written: no path leads out of the folder, and none onto another."""
    seen: set[str] = set()
    for entry in listing.files:
        check_path(entry.path)
        if entry.kind is not FileKind.FILE:
            raise MalformedError(f"got {entry.kind.value} {quote(entry.path)}, expected plain files only")
        if entry.path.casefold() in seen:
            raise MalformedError(f"got {quote(entry.path)} twice but for the case of its letters")
        seen.add(entry.path.casefold())


def _write(source: Source, entry: FileEntry, folder: Path) -> None:
    path = folder / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as stream:
        for start in range(0, entry.size, limits.READ_BYTES):
            length = min(limits.READ_BYTES, entry.size - start)
            data = source.read(entry.path, start, length)
            if len(data) != length:
                raise UnavailableError(f"got {len(data)} bytes of {quote(entry.path)} from {start}, expected {length}")
            stream.write(data)


def _say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _end(code: Exit, error: Exception) -> int:
    message = str(error) if isinstance(error, ModelTrustError) else f"{type(error).__name__}: {quote(error)}"
    sys.stdout.write(f"{message}\n")
    return int(code)
