"""Reading what people name on the command line: files, folders, standard input; and writing without leaving halves."""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modeltrust.api.manifests import Document, read_manifests
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.store.files import ATTESTORS_FILE

_SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "-"


def read_file(path: Path, *, max_bytes: int, what: str) -> bytes:
    """The bytes of one regular file.

    Args:
        path: which file.
        max_bytes: refuse more.
        what: what it should be, for the message.

    Raises:
        InvalidInputError: missing, unreadable, not a regular file, or too large.
    """
    try:
        # Not blocking, or opening a pipe would wait for a writer for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise InvalidInputError(f"got {quote(path)}, expected a file with {what}")
            data = stream.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidInputError(f"cannot read {quote(path)} ({what}): {why}") from error
    if len(data) > max_bytes:
        raise InvalidInputError(f"got more than {max_bytes} bytes in {quote(path)}, expected {what}")
    return data


def documents(names: tuple[str, ...], *, trust: bool = False) -> tuple[Document, ...]:
    """All manifests in the given files and folders, as kubectl reads them.

    Args:
        names: of files and folders, ``-`` for standard input.
        trust: whether a folder is a trust folder, whose attestors.yaml is no manifest.

    Raises:
        InvalidInputError: something cannot be read or is no manifest; names the file and line.
    """
    found: list[Document] = []
    for name in names:
        if name == STANDARD_INPUT:
            data = sys.stdin.buffer.read(limits.MANIFEST_BYTES + 1)
            if len(data) > limits.MANIFEST_BYTES:
                raise InvalidInputError(f"got more than {limits.MANIFEST_BYTES} bytes on standard input, expected manifests")
            found.extend(read_manifests(data, STANDARD_INPUT))
        else:
            for path in expand(Path(name)):
                if trust and path == Path(name) / ATTESTORS_FILE:
                    continue
                found.extend(read_manifests(read_file(path, max_bytes=limits.MANIFEST_BYTES, what="manifests"), str(path)))
    return tuple(found)


def expand(path: Path) -> Iterator[Path]:
    """The manifests that a name stands for: itself, or those of a folder.

    Raises:
        InvalidInputError: a folder without any.
    """
    if not is_folder(path):
        yield path
        return
    paths = sorted(entry for entry in path.rglob("*") if entry.suffix in _SUFFIXES and entry.is_file())
    if not paths:
        raise InvalidInputError(f"got the folder {quote(path)} without {', '.join(_SUFFIXES)} files, expected manifests")
    yield from paths


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that no file can have names none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def folder(name: str) -> Path:
    """A folder that exists.

    Raises:
        InvalidInputError: it is missing or something else.
    """
    path = Path(name)
    if not is_folder(path):
        raise InvalidInputError(f"got {quote(name)}, expected a folder")
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        InvalidInputError: it cannot be written.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InvalidInputError(f"cannot write {quote(path)}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(temporary).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise InvalidInputError(f"cannot write {quote(path)}: {error.strerror}") from error
