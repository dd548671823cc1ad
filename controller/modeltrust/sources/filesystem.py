"""A model in a local folder: every byte is read and hashed here, so the assurance is BytesHashed.

Links are never followed: a symlink is listed as one, and formats refuses it. (A snapshot in a Hugging Face cache is nothing but
symlinks; ``hf download --local-dir`` or ``cp -rL`` makes a folder of files.) A file with several hard links is a file: its bytes
are read like any other's, and whoever could write through the other name could write through this one. What changes between the
first look and the last is refused, not guessed at.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError, quote
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.reference import NO_REVISION
from modeltrust.sources.interface import Progress

SIGNATURE_NAME = "model.sig"  # the OMS convention (facts: model-signing's default)
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe put there meanwhile must not block


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What must not change while a file is read; ctime cannot be set back by whoever writes the file."""

    device: int
    inode: int
    mode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> "_Stamp":
        return cls(status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def kind(self) -> FileKind:
        if stat.S_ISREG(self.mode):
            return FileKind.FILE
        return FileKind.SYMLINK if stat.S_ISLNK(self.mode) else FileKind.SPECIAL


@dataclass(slots=True)
class FolderSource:
    """One model in one folder; implements ``domain.source.Source``.

    Attributes:
        folder: the model's folder; may itself be reached through a link, since the caller names it.
        signature: a bundle elsewhere, instead of ``model.sig`` in the folder.
        progress: told as bytes are hashed.
        workers: threads, never more than processors; one file is hashed by one thread.
    """

    folder: Path
    _: KW_ONLY
    signature: Path | None = None
    progress: Progress | None = None
    workers: int = limits.HASH_WORKERS
    _listed: dict[str, _Stamp] | None = field(init=False, repr=False, default=None)

    def list(self) -> SourceListing:
        """Every file with its size and, for ordinary files, the sha256 of its bytes.

        Raises:
            NotFoundError: there is no such folder.
            UnavailableError: something cannot be read, or changed while it was read.
            MalformedError: a name is not UTF-8.
            LimitExceededError: too many files, or a path too long or too deep.
        """
        with self._root() as root:
            try:
                stamps = _walk(root)
                digests = _Hashing(root, stamps, self.progress).run(self.workers)
                unchanged = _walk(root) == stamps
            except NotFoundError as error:
                raise UnavailableError(f"{quote(self.folder)} changed while it was read") from error
            if not unchanged:
                raise UnavailableError(f"{quote(self.folder)} changed while it was read")
        self._listed = {path: stamp for path, stamp in stamps.items() if not stat.S_ISDIR(stamp.mode)}
        files = tuple(FileEntry(path, s.size, digests.get(path), kind=s.kind) for path, s in sorted(self._listed.items()))
        return SourceListing(None, NO_REVISION, files, bytes_read=True)

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of an ordinary file; after ``list``, only of the very file that was listed.

        Raises:
            NotFoundError: no such file, or no ordinary one.
            UnavailableError: it cannot be read, or is not what was listed.
            MalformedError: a negative range.
        """
        if start < 0 or length < 0:
            raise MalformedError(f"got start {start} and length {length}, expected none below 0")
        with self._root() as root, _opened(root, path) as descriptor:
            stamp = _Stamp.of(os.fstat(descriptor))
            if self._listed is not None and self._listed.get(path) != stamp:
                raise UnavailableError(f"{quote(path)} changed after it was listed")
            data = _read_range(descriptor, start, min(length, max(0, stamp.size - start)))
            if _Stamp.of(os.fstat(descriptor)) != stamp or len(data) != min(length, max(0, stamp.size - start)):
                raise UnavailableError(f"{quote(path)} changed while it was read")
        return data

    def signatures(self) -> tuple[bytes, ...]:
        """The bundle ``model.sig``, or the one named; empty where the folder has none.

        Raises:
            NotFoundError: the named bundle is not there.
            UnavailableError: it cannot be read.
            MalformedError: it is a link or no ordinary file.
            LimitExceededError: it is larger than any bundle.
        """
        if self.signature is not None:
            return (_read_bundle(self.signature),)
        with self._root() as root:
            try:
                status = os.stat(SIGNATURE_NAME, dir_fd=root, follow_symlinks=False)
            except FileNotFoundError:
                return ()
            except OSError as error:
                raise UnavailableError(f"cannot read {SIGNATURE_NAME}: {error.strerror}") from error
            if not stat.S_ISREG(status.st_mode):
                raise MalformedError(f"got {SIGNATURE_NAME} that is a link or no ordinary file, expected a file")
        if status.st_size > limits.BUNDLE_BYTES:
            raise LimitExceededError(f"got {SIGNATURE_NAME} of {status.st_size} bytes, expected at most {limits.BUNDLE_BYTES}")
        return (self.read(SIGNATURE_NAME, 0, limits.BUNDLE_BYTES),)

    @contextmanager
    def _root(self) -> Iterator[int]:
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(f"got {quote(self.folder)}, expected a folder") from error
        except (OSError, ValueError) as error:
            raise UnavailableError(f"cannot open {quote(self.folder)}: {_why(error)}") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@dataclass(slots=True)
class _Hashing:
    """One pass over all ordinary files with a pool of threads; hashlib and read release the interpreter lock."""

    root: int
    stamps: dict[str, _Stamp]
    progress: Progress | None
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, workers: int) -> dict[str, str]:
        files = sorted((p for p, s in self.stamps.items() if s.kind is FileKind.FILE), key=lambda p: -self.stamps[p].size)
        pool = ThreadPoolExecutor(max_workers=max(1, min(workers, os.cpu_count() or 1)), thread_name_prefix="hash")
        try:
            return dict(zip(files, pool.map(self._hash, files), strict=True))
        finally:
            self.stopped.set()  # an interrupt must not wait for a 100 GB file
            pool.shutdown(cancel_futures=True)

    def _hash(self, path: str) -> str:
        expected = self.stamps[path]
        with _opened(self.root, path) as descriptor:
            if _Stamp.of(os.fstat(descriptor)) != expected:
                raise UnavailableError(f"{quote(path)} changed while it was read")
            digest, size = self._digest(descriptor, path)
            if size != expected.size or _Stamp.of(os.fstat(descriptor)) != expected:
                raise UnavailableError(f"{quote(path)} changed while it was read")
        return digest

    def _digest(self, descriptor: int, path: str) -> tuple[str, int]:
        # read into one buffer, not mmap: a file cut short under a mapping kills the process with SIGBUS
        hasher, size = hashlib.sha256(), 0
        buffer = memoryview(bytearray(limits.HASH_CHUNK_BYTES))
        try:
            while not self.stopped.is_set() and (count := os.readv(descriptor, [buffer])):
                hasher.update(buffer[:count])
                size += count
                self._advance(count)
                if size > self.stamps[path].size:
                    break
        except OSError as error:
            raise UnavailableError(f"cannot read {quote(path)}: {_why(error)}") from error
        return hasher.hexdigest(), size

    def _advance(self, count: int) -> None:
        if self.progress is not None:
            with self.lock:
                self.progress(count)


def _walk(root: int) -> dict[str, _Stamp]:
    """Every entry below an open folder, folders included, without following a link."""
    found: dict[str, _Stamp] = {}
    pending = [""]
    while pending:
        folder = pending.pop()
        for path, stamp in _entries(root, folder):
            found[path] = stamp
            if len(found) > limits.FILES:
                raise LimitExceededError(f"got more than {limits.FILES} files and folders")
            if stat.S_ISDIR(stamp.mode):
                pending.append(path)
    return found


def _entries(root: int, folder: str) -> Iterator[tuple[str, _Stamp]]:
    try:
        with _opened(root, folder, _FOLDER_FLAGS) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                _check(path)
                yield path, _Stamp.of(entry.stat(follow_symlinks=False))
    except OSError as error:
        raise UnavailableError(f"cannot read folder {quote(folder or '.')}: {_why(error)}") from error


def _check(path: str) -> None:
    if len(path) > limits.PATH_CHARACTERS or path.count("/") >= limits.PATH_PARTS:
        raise LimitExceededError(
            f"got {quote(path)}, expected at most {limits.PATH_CHARACTERS} characters and {limits.PATH_PARTS} parts"
        )
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError(f"got file name {quote(path)}, expected UTF-8") from error


@contextmanager
def _opened(root: int, path: str, flags: int = _FILE_FLAGS) -> Iterator[int]:
    """Open below a folder part by part, so that no link in the middle leads out of it."""
    parts = path.split("/") if path else ["."]
    if path and any(part in {"", ".", ".."} for part in parts):
        raise NotFoundError(f"got {quote(path)}, expected the path of a file in the folder")
    descriptor = os.dup(root)
    try:
        for part in parts[:-1]:
            descriptor = _step(descriptor, part, _FOLDER_FLAGS, path)
        descriptor = _step(descriptor, parts[-1], flags, path)
        if flags == _FILE_FLAGS and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotFoundError(f"{quote(path)} is no ordinary file")
        yield descriptor
    finally:
        os.close(descriptor)


def _step(descriptor: int, part: str, flags: int, path: str) -> int:
    try:
        following = os.open(part, flags, dir_fd=descriptor)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no file {quote(path)}") from error
    except (OSError, ValueError) as error:
        raise UnavailableError(f"cannot open {quote(path)}: {_why(error)}") from error
    os.close(descriptor)
    return following


def _read_range(descriptor: int, start: int, length: int) -> bytes:
    chunks, left = [], length
    try:
        while left and (chunk := os.pread(descriptor, min(left, limits.HASH_CHUNK_BYTES), start)):
            chunks.append(chunk)
            start, left = start + len(chunk), left - len(chunk)
    except OSError as error:
        raise UnavailableError(f"cannot read: {_why(error)}") from error
    return b"".join(chunks)


def _read_bundle(path: Path) -> bytes:
    try:
        # Not blocking, or opening a pipe would wait for a writer for ever; /dev/stdin and the like are no files either.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotFoundError(f"got {quote(path)}, expected a signature bundle")
            data = file.read(limits.BUNDLE_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise NotFoundError(f"got {quote(path)}, expected a signature bundle") from error
    except (OSError, ValueError) as error:
        raise UnavailableError(f"cannot read {quote(path)}: {_why(error)}") from error
    if len(data) > limits.BUNDLE_BYTES:
        raise LimitExceededError(f"got a signature bundle larger than {limits.BUNDLE_BYTES} bytes: {quote(path)}")
    return data


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it cannot be opened"
