"""The layers of one model, unpacked: listed once from their first byte to their last, and read in parts after that.

Nothing is written to a disk and no layer is held in memory. While a layer streams by, its blob, the tar in it, every file and
every chunk of a file are hashed; the blob must be the one that the manifest names. A part that is asked for later comes from what
was kept, or the layer is unpacked again up to it, and what comes is compared with the digest of its chunk: a registry that serves
other bytes the second time is found out before anybody sees them.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.image_folders import SYSTEM_FOLDERS
from modeltrust.sources.inflate import Budget, Compression, unpacked
from modeltrust.sources.interface import Progress
from modeltrust.sources.registry import Repository
from modeltrust.sources.streams import Stream
from modeltrust.sources.tar_members import Member, MemberKind, members

_CHUNK = limits.OCI_CHUNK_BYTES
_SHA256_BYTES = 32
_TAIL_CHUNKS = 2  # the end of a file is looked at, too, and its last chunk may be short


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob and what it is.

    Attributes:
        sha256: 64 hex of the blob.
        size: of the blob, in bytes.
        compression: of the tar in it.
        path: of a blob that is no tar but a file by itself; else empty.
    """

    sha256: str
    size: int
    compression: Compression
    path: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one file.

    Attributes:
        sha256: 64 hex, computed here.
        size: in bytes.
        layer: where they are.
        start: where they begin in the unpacked layer.
        chunks: the sha256 of each chunk, one after the other.
    """

    sha256: str
    size: int
    layer: Layer
    start: int
    chunks: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What one layer holds.

    Attributes:
        entries: in order, files with their bytes.
        diff_id: 64 hex of the tar, as image configurations name it.
    """

    entries: tuple[tuple[Member, Content | None], ...]
    diff_id: str


@dataclass(slots=True)
class Layers:
    """Unpacks layers of one repository.

    Attributes:
        repository: that holds them.
        budget: for everything that is unpacked; a layer that is met twice is unpacked once.
        progress: told how many bytes have been fetched since the last call.
    """

    repository: Repository
    budget: Budget
    _: KW_ONLY
    progress: Progress | None = None
    _unpacked: dict[Layer, Unpacked] = field(init=False, repr=False, default_factory=dict)
    _entries: int = field(init=False, repr=False, default=0)
    _kept: dict[bytes, bytes] = field(init=False, repr=False, default_factory=dict)
    _room: int = field(init=False, repr=False, default=limits.OCI_KEPT_BYTES)
    _again: "OrderedDict[bytes, bytes]" = field(init=False, repr=False, default_factory=OrderedDict)
    _cursor: tuple[Layer, Stream] | None = field(init=False, repr=False, default=None)

    def unpack(self, layer: Layer) -> Unpacked:
        """Everything in a layer.

        Raises:
            UnavailableError: the registry does not answer, or with other bytes than the digest names.
            MalformedError: no tar that everybody unpacks alike, or packed otherwise than its media type says.
            LimitExceededError: it holds or unpacks to too much.
        """
        known = self._unpacked.get(layer)
        if known is None:
            known = self._unpacked[layer] = self._stream(layer)
        return known

    def read(self, content: Content, start: int, length: int) -> bytes:
        """Part of a file, as it was when its layer was unpacked.

        Raises:
            UnavailableError: the registry does not answer, or with other bytes than before.
        """
        end = min(start + length, content.size)
        if end <= start:
            return b""
        first, last = start // _CHUNK, (end - 1) // _CHUNK
        data = b"".join(self._chunk(content, number, last) for number in range(first, last + 1))
        return data[start - first * _CHUNK : end - first * _CHUNK]

    def _stream(self, layer: Layer) -> Unpacked:
        digest = hashlib.sha256()
        tar = unpacked(self._blob(layer, ahead=True), layer.compression) if not layer.path else self._blob(layer, ahead=True)
        stream = Stream(self._counted(tar, digest))
        entries = []
        for member in members(stream) if not layer.path else _alone(layer, stream):
            self._entries += 1
            if self._entries > limits.OCI_ENTRIES:
                raise LimitExceededError(f"got layers with more than {limits.OCI_ENTRIES} entries")
            content = self._content(layer, member, stream) if member.kind is MemberKind.FILE else None
            entries.append((member, content))
        return Unpacked(tuple(entries), digest.hexdigest())

    def _counted(self, pieces: Iterator[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
        for piece in pieces:
            self.budget.take(len(piece))
            digest.update(piece)
            yield piece

    def _content(self, layer: Layer, member: Member, stream: Stream) -> Content:
        whole, chunks = hashlib.sha256(), bytearray()
        for start in range(0, member.size, _CHUNK):
            data = stream.exactly(min(_CHUNK, member.size - start))
            whole.update(data)
            # a second hash only where there is a second chunk
            digest = hashlib.sha256(data).digest() if member.size > _CHUNK else whole.digest()
            chunks += digest
            if member.path.partition("/")[0] not in SYSTEM_FOLDERS:
                self._keep(digest, data, start, member.size)
        return Content(whole.hexdigest(), member.size, layer, member.start, bytes(chunks))

    def _keep(self, digest: bytes, data: bytes, start: int, size: int) -> None:
        """Keep what formats and signatures look at next: small files, and beginnings and ends of others."""
        small = size <= _CHUNK
        edge = start == 0 or start + _TAIL_CHUNKS * _CHUNK >= size
        room = self._room if small or edge else self._room - limits.OCI_KEPT_BYTES // 2
        if (edge or size <= limits.OCI_KEPT_FILE_BYTES) and len(data) <= room and digest not in self._kept:
            self._kept[digest] = data
            self._room -= len(data)

    def _chunk(self, content: Content, number: int, last: int) -> bytes:
        digest = _digest(content, number)
        if digest in self._kept:
            return self._kept[digest]
        if digest not in self._again:
            self._load(content, number, last)
        return self._again[digest]

    def _load(self, content: Content, first: int, last: int) -> None:
        """Unpack chunks again, and believe none of them."""
        last = min(last, first + limits.READ_BYTES // _CHUNK - 1)
        start = first * _CHUNK
        try:
            data = self._bytes(content.layer, content.start + start, min((last + 1) * _CHUNK, content.size) - start)
        except (NotFoundError, MalformedError) as error:
            self._cursor = None
            raise UnavailableError(f"a layer that was unpacked before cannot be unpacked again: {error}") from error
        for number in range(first, last + 1):
            chunk = data[(number - first) * _CHUNK :][:_CHUNK]
            if hashlib.sha256(chunk).digest() != _digest(content, number):
                self._cursor = None
                raise UnavailableError(f"got other bytes of layer sha256:{content.layer.sha256} than when it was listed")
            self._again[_digest(content, number)] = chunk
            while len(self._again) > limits.OCI_AGAIN_CHUNKS:
                self._again.popitem(last=False)

    def _bytes(self, layer: Layer, start: int, length: int) -> bytes:
        if layer.compression is Compression.NONE:
            return _part(self.repository, layer, start, length)
        known = self._cursor
        if known is None or known[0] != layer or known[1].at > start:
            known = self._cursor = (layer, Stream(unpacked(self._blob(layer, ahead=False), layer.compression)))
        stream = known[1]
        stream.skip(start - stream.at)
        return stream.exactly(length)

    def _blob(self, layer: Layer, *, ahead: bool) -> Iterator[bytes]:
        """All bytes of a blob, in pieces; that they were the right ones is known at the end only."""
        digest = hashlib.sha256()
        for piece in _ahead(self.repository, layer) if ahead else _pieces(self.repository, layer):
            digest.update(piece)
            if self.progress is not None:
                self.progress(len(piece))
            yield piece
        if digest.hexdigest() != layer.sha256:
            raise UnavailableError(f"got other bytes for layer sha256:{layer.sha256} than its digest names")


def _alone(layer: Layer, stream: Stream) -> Iterator[Member]:
    yield Member(layer.path, MemberKind.FILE, layer.size, 0, "")
    stream.read(1)  # the end, where the digest is compared


def _digest(content: Content, number: int) -> bytes:
    return content.chunks[number * _SHA256_BYTES : (number + 1) * _SHA256_BYTES]


def _part(repository: Repository, layer: Layer, start: int, length: int) -> bytes:
    if layer.size <= limits.OCI_WHOLE_BLOB_BYTES:
        return repository.blob(layer.sha256, layer.size)[start : start + length]
    return repository.blob_range(layer.sha256, layer.size, start, length)


def _pieces(repository: Repository, layer: Layer) -> Iterator[bytes]:
    for start in range(0, layer.size, limits.READ_BYTES):
        yield _piece(repository, layer, start)


def _ahead(repository: Repository, layer: Layer) -> Iterator[bytes]:
    """As ``_pieces``, the next one fetched while this one is unpacked: for who reads to the end and asks nothing else meanwhile."""
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(_piece, repository, layer, 0) if layer.size else None
        for start in range(0, layer.size, limits.READ_BYTES):
            piece = following.result() if following is not None else b""
            after = start + limits.READ_BYTES
            following = threads.submit(_piece, repository, layer, after) if after < layer.size else None
            yield piece


def _piece(repository: Repository, layer: Layer, start: int) -> bytes:
    try:
        return _part(repository, layer, start, min(limits.READ_BYTES, layer.size - start))
    except (NotFoundError, LimitExceededError) as error:
        # the manifest lists it, so the registry does not serve what it lists; "absent" would be a lie
        raise UnavailableError(f"a layer that the manifest lists cannot be read: {error}") from error
