"""One file at one HTTPS URL: no revision and no stated digest, so every byte is read, and only a content digest pins it.

An archive is listed as one: what is in it is not seen, and formats refuses it.
"""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, LimitExceededError, NotFoundError, UnavailableError, quote
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.reference import NO_REVISION, ModelReference, Revision
from modeltrust.sources.http import Client, Response
from modeltrust.sources.parts import OK, PARTIAL, clipped, read_part

_ARCHIVE = re.compile(r"\.(?:tar|tgz|tbz2?|txz|tzst|zip|7z|rar|(?:tar\.)?(?:gz|bz2|xz|zst|lz4))\Z", re.IGNORECASE)
_TOTAL = re.compile(r"bytes 0-0/([0-9]{1,16})")
_MISSING = frozenset({404, 410})
_HOST_AND_PATH = 2


@dataclass(slots=True)
class HttpsSource:
    """One URL; implements ``domain.source.Source``.

    Attributes:
        reference: scheme ``https``: ``https://host/path``.
        revision: none.
        client: does the requests; bound to the hosts that may be contacted.
        authorization: value of the header, empty for none; sent to the reference's own origin only.
    """

    reference: ModelReference
    revision: Revision
    client: Client
    _: KW_ONLY
    authorization: str = field(default="", repr=False)
    _listing: SourceListing | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        parts = self.reference.path.split("/")
        if self.reference.scheme != "https" or self.reference.resolver is not None or len(parts) < _HOST_AND_PATH:
            raise InvalidReferenceError(f"got {quote(self.reference)}, expected https://host/path of one file")
        if self.revision != NO_REVISION:
            raise InvalidReferenceError(f"got {quote(self.reference)} at {quote(self.revision)}, expected a content digest instead")

    def list(self) -> SourceListing:
        """The one file, named by the last part of the path, without a digest.

        Raises:
            NotFoundError: there is nothing.
            UnavailableError: the server does not answer, or does not say how long the file is.
            LimitExceededError: it is longer than any file.
        """
        if self._listing is None:
            name, size = self.reference.path.rpartition("/")[2], self._size()
            kind = FileKind.ARCHIVE if _ARCHIVE.search(name) else FileKind.FILE
            self._listing = SourceListing(self.reference, NO_REVISION, (FileEntry(name, size, kind=kind),))
        return self._listing

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of the file.

        Raises:
            NotFoundError: it has another name.
            UnavailableError: the server does not answer, or with something else than was asked for.
            MalformedError: a negative range.
        """
        (entry,) = self.list().files
        if path != entry.path:
            raise NotFoundError(f"there is no file {quote(path)} in {self.reference}")
        length = clipped(start, length, entry.size)
        if length == 0:
            return b""
        return read_part(self._fetch, str(self.reference), start=start, length=length, size=entry.size)

    def signatures(self) -> tuple[bytes, ...]:
        """None: a file carries no signature beside it; evidence is supplied with the request."""
        return ()

    def _fetch(self, headers: Mapping[str, str], max_bytes: int) -> Response:
        sent = {**headers, **({"authorization": self.authorization} if self.authorization else {})}
        return self.client.get(str(self.reference), max_bytes=max_bytes, headers=sent, prefix=True)

    def _size(self) -> int:
        response = self._fetch({"range": "bytes=0-0"}, 1)
        if response.status in _MISSING:
            raise NotFoundError(f"there is nothing at {self.reference}")
        total = _TOTAL.fullmatch(response.headers.get("content-range", "").lower())
        stated = response.headers.get("content-length", "") if response.status == OK else str(total[1]) if total else ""
        if response.status not in {OK, PARTIAL} or not re.fullmatch(r"[0-9]{1,16}", stated):
            raise UnavailableError(f"got status {response.status} without the size of {self.reference}, expected its size")
        if int(stated) > limits.OCI_BLOB_BYTES:
            raise LimitExceededError(f"got {self.reference} of {stated} bytes, expected at most {limits.OCI_BLOB_BYTES}")
        return int(stated)
