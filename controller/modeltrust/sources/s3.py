"""A model under a prefix of an S3 bucket. Buckets have no revisions: only a content digest pins what is in one.

Each object is looked at once, and from then on read as that version, or under its entity tag. A sha256 that the store states for
the whole object is its digest; composite checksums and entity tags are none (facts/signing.md section 7.4).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from urllib.parse import quote as percent_quote

from modeltrust.domain import limits
from modeltrust.domain.errors import (
    InvalidReferenceError,
    LimitExceededError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    quote,
)
from modeltrust.domain.listing import FileEntry, SourceListing
from modeltrust.domain.reference import NO_REVISION, ModelReference, Revision
from modeltrust.sources import s3_listing
from modeltrust.sources.aws_signature import Account, Target, encode_path, encode_query, signed_headers
from modeltrust.sources.http import Client, Response
from modeltrust.sources.parts import OK, clipped, read_part, signature_files

AWS = ".amazonaws.com"
_DEFAULT_REGION = "us-east-1"
_MISSING, _CHANGED = 404, 412
_REFUSED = frozenset({401, 403})
_REGION_PARTS = 3


@dataclass(frozen=True, slots=True)
class _Object:
    key: str
    query: dict[str, str]  # names the version, where the bucket has versions
    headers: dict[str, str]  # else the entity tag that it must still have


@dataclass(slots=True)
class S3Source:
    """All objects under one prefix; implements ``domain.source.Source``.

    Attributes:
        reference: scheme ``s3``: ``bucket/key``.
        revision: none.
        client: does the requests; bound to the endpoint and, at AWS, the bucket's host below it.
        endpoint: ``https://host[:port]``.
        account: None for anonymous access.
        signature_paths: files that hold signatures, beside ``model.sig``.
        now: unix seconds; requests are signed with it.
    """

    reference: ModelReference
    revision: Revision
    client: Client
    _: KW_ONLY
    endpoint: str
    account: Account | None = field(default=None, repr=False)
    signature_paths: tuple[str, ...] = ()
    now: Callable[[], float] = time.time
    _region: str = field(init=False, default="")
    _listing: SourceListing | None = field(init=False, repr=False, default=None)
    _objects: dict[str, _Object] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        bucket, _, key = self.reference.path.partition("/")
        if self.reference.scheme != "s3" or not bucket or not key:
            raise InvalidReferenceError(f"got {quote(self.reference)}, expected s3://bucket/key")
        if self.revision != NO_REVISION:
            raise InvalidReferenceError(f"got {quote(self.reference)} at {quote(self.revision)}, expected a content digest instead")
        self._region = _region(self.endpoint)

    def list(self) -> SourceListing:
        """Every object under the prefix, with the sha256 that the store states.

        Raises:
            NotFoundError: there is nothing under this prefix, or no such bucket.
            UnavailableError: the store does not answer, not to this account, or changes meanwhile.
            MalformedError: it answers what makes no sense.
            LimitExceededError: too many objects.
        """
        if self._listing is None:
            files = tuple(self._entry(key, size) for key, size in sorted(self._keys().items()))
            if not files:
                raise NotFoundError(f"there is nothing under {self.reference}/")
            self._listing = SourceListing(self.reference, NO_REVISION, files)
        return self._listing

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of the very object that was listed.

        Raises:
            NotFoundError: no such object was listed.
            UnavailableError: the store does not answer, with something else than was asked for, or the object changed.
            MalformedError: a negative range, or as ``list``.
        """
        entry = next((entry for entry in self.list().files if entry.path == path), None)
        if entry is None:
            raise NotFoundError(f"there is no object {quote(path)} under {self.reference}")
        length, known = clipped(start, length, entry.size), self._objects[path]
        if length == 0:
            return b""

        def fetch(headers: Mapping[str, str], max_bytes: int) -> Response:
            response = self._get(known.key, known.query, {**headers, **known.headers}, max_bytes)
            if response.status in {_CHANGED, _MISSING}:
                raise UnavailableError(f"object {quote(path)} of {self.reference} changed after it was listed")
            return response

        return read_part(fetch, f"object {quote(path)} of {self.reference}", start=start, length=length, size=entry.size)

    def signatures(self) -> tuple[bytes, ...]:
        """The signature documents among the objects.

        Raises:
            UnavailableError: the store does not answer.
            LimitExceededError: too many or too large.
            MalformedError: as ``list``.
        """
        return signature_files(self.list(), self, self.signature_paths)

    @property
    def _bucket(self) -> str:
        return self.reference.path.partition("/")[0]

    @property
    def _prefix(self) -> str:
        return f"{self.reference.path.partition('/')[2]}/"

    def _keys(self) -> dict[str, int]:
        """Sizes by key; a name that ends in "/" and holds nothing is how consoles draw a folder."""
        found, token, pages = dict[str, int](), "", 0
        while pages == 0 or token:
            if pages >= limits.S3_PAGES or len(found) > limits.FILES:
                raise LimitExceededError(f"got more than {limits.FILES} objects or {limits.S3_PAGES} pages of {self.reference}")
            query = {"list-type": "2", "prefix": self._prefix, "encoding-type": "url"}
            answer = self._get("", query | ({"continuation-token": token} if token else {}), {}, limits.S3_PAGE_BYTES)
            self._expect(answer, f"the list of {self.reference}")
            page, pages = s3_listing.page(answer.body), pages + 1
            for key, size in page.objects:
                if not key.startswith(self._prefix) or key in found:
                    raise MalformedError(f"got key {quote(key)} twice or outside {self.reference}")
                if not (key.endswith("/") and size == 0):
                    found[key] = size
            token = page.following
        return found

    def _entry(self, key: str, size: int) -> FileEntry:
        path = key.removeprefix(self._prefix)
        answer = self._head(key)
        self._expect(answer, f"object {quote(path)} of {self.reference}")
        if answer.headers.get("content-length") != str(size):
            raise UnavailableError(f"object {quote(path)} of {self.reference} changed while it was listed")
        version, tag = answer.headers.get("x-amz-version-id", ""), answer.headers.get("etag", "")
        # "null" is a version, too: an object from before versioning, which the next put replaces; its tag must hold then
        query = {"versionId": version} if version else {}
        self._objects[path] = _Object(key, query, {"if-match": tag} if tag else {})
        return FileEntry(path, size, s3_listing.stated_sha256(answer.headers))

    def _get(self, key: str, query: dict[str, str], headers: Mapping[str, str], max_bytes: int) -> Response:
        return self._ask("GET", key, query, headers, max_bytes)

    def _head(self, key: str) -> Response:
        return self._ask("HEAD", key, {}, {"x-amz-checksum-mode": "ENABLED"}, 0)

    def _ask(self, method: str, key: str, query: dict[str, str], headers: Mapping[str, str], max_bytes: int) -> Response:
        amz = tuple((name, value) for name, value in headers.items() if name.startswith("x-amz-"))
        answer = self._once(Target(method, *self._where(key), encode_query(query), amz), headers, max_bytes)
        region = answer.headers.get("x-amz-bucket-region", self._region)
        if answer.status != OK and region != self._region and answer.status not in {_MISSING, 206}:
            self._region = region  # the same host again, signed for the region that the bucket says it is in; nobody else is asked
            answer = self._once(Target(method, *self._where(key), encode_query(query), amz), headers, max_bytes)
        return answer

    def _once(self, target: Target, headers: Mapping[str, str], max_bytes: int) -> Response:
        sent = dict(headers)
        if self.account is not None:
            sent |= signed_headers(target, self.account, region=self._region, now=int(self.now()))
        url = f"https://{target.host}{target.path}" + (f"?{target.query}" if target.query else "")
        if target.method == "HEAD":
            return self.client.head(url, headers=sent)
        return self.client.once(url, max_bytes=max_bytes, headers=sent, prefix="range" in sent)

    def _where(self, key: str) -> tuple[str, str]:
        host = self.endpoint.removeprefix("https://")
        if host.endswith(AWS) and "." not in self._bucket:  # their certificate covers one label
            return f"{self._bucket}.{host}", f"/{encode_path(key)}"
        return host, f"/{percent_quote(self._bucket)}" + (f"/{encode_path(key)}" if key else "")

    def _expect(self, response: Response, what: str) -> None:
        if response.status == OK:
            return
        if response.status == _MISSING:
            raise NotFoundError(f"there is no bucket or object for {what}")
        if response.status in _REFUSED:
            who = "this account" if self.account is not None else "anonymous readers"
            raise UnavailableError(f"got status {response.status} for {what}: {who} may not read it, or its secret is wrong")
        region = response.headers.get("x-amz-bucket-region", "")
        hint = f"; the bucket is in {quote(region)}, name that region's endpoint" if region else ""
        raise UnavailableError(f"got status {response.status} for {what}, expected {OK}{hint}")


def _region(endpoint: str) -> str:
    """``https://s3.eu-west-1.amazonaws.com`` is in eu-west-1; whatever else names none is signed for the default."""
    host = endpoint.removeprefix("https://").partition(":")[0]
    parts = host.removesuffix(AWS).replace("s3-", "s3.", 1).split(".") if host.endswith(AWS) else []
    return parts[-1] if len(parts) in {2, _REGION_PARTS} and parts[-1] != "dualstack" else _DEFAULT_REGION
