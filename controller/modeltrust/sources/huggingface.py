"""A model on a Hugging Face hub, by its commit.

A hub does not prove a commit: what it says is believed through TLS, and only what it says about this very name and commit (attacks
C1, M10). LFS files carry the sha256 of their bytes, Xet files too; small files carry their git blob id, which whoever reads them
compares. Sources: the hub's API as huggingface_hub 2.4 uses it; facts/signing.md section 7.1.
"""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any
from urllib.parse import quote as percent_quote
from urllib.parse import urljoin

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import (
    InvalidReferenceError,
    LimitExceededError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    quote,
)
from modeltrust.domain.listing import FileEntry, SourceListing
from modeltrust.domain.reference import ModelReference, Revision, RevisionState
from modeltrust.sources import hub_tree
from modeltrust.sources.http import REDIRECTS, Client, Response
from modeltrust.sources.parts import OK, clipped, read_part, signature_files

HUB = "https://huggingface.co"
STORES = (  # where the hub keeps the bytes of LFS and Xet files, and redirects to
    "https://cas-bridge.xethub.hf.co",
    "https://cdn-lfs.hf.co",
    "https://cdn-lfs-us-1.hf.co",
    "https://cdn-lfs-eu-1.hf.co",
    "https://cdn-lfs.huggingface.co",
)
_NEXT = re.compile(r'<([^<>\s]+)>\s*;\s*rel="?next"?')
_REFUSED, _FORBIDDEN, _MISSING = 401, 403, 404


@dataclass(slots=True)
class HubSource:
    """One model at one commit; implements ``domain.source.Source``.

    Attributes:
        reference: scheme ``hf``.
        revision: a commit, 40 hex.
        client: does the requests; bound to the hub and the stores it may redirect to.
        endpoint: ``https://host[:port]`` of the hub.
        token: of a platform account, empty for none; sent to the endpoint's origin only.
        signature_paths: files that hold signatures, beside ``model.sig``.
    """

    reference: ModelReference
    revision: Revision
    client: Client
    _: KW_ONLY
    endpoint: str = HUB
    token: str = field(default="", repr=False)
    signature_paths: tuple[str, ...] = ()
    _listing: SourceListing | None = field(init=False, repr=False, default=None)
    _entries: dict[str, FileEntry] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.reference.scheme != "hf":
            raise InvalidReferenceError(f"got {quote(self.reference)}, expected hf://owner/name")
        if self.revision.state is not RevisionState.COMMIT:
            raise InvalidReferenceError(f"got {quote(self.reference)} at {quote(self.revision)}, expected @ and a 40-hex commit")

    def list(self) -> SourceListing:
        """Every file of the commit.

        Raises:
            NotFoundError: no such model or commit under this name.
            UnavailableError: the hub does not answer, not completely, or not to this account.
            MalformedError: it answers about another model or commit, or what makes no sense.
            LimitExceededError: too many files.
        """
        if self._listing is None:
            self._check_model(self._document(f"/api/models/{self.reference.path}/revision/{self.revision}", "model"))
            files = tuple(sorted(self._tree(), key=lambda entry: entry.path))
            self._entries = {entry.path: entry for entry in files}
            if len(self._entries) != len(files):
                raise MalformedError(f"got a path twice in the tree of {self.reference}")
            self._listing = SourceListing(self.reference, self.revision, files)
        return self._listing

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file.

        Raises:
            NotFoundError: the commit has no such file.
            UnavailableError: the hub does not answer, or with something else than was asked for.
            MalformedError: a negative range, or as ``list``.
        """
        self.list()
        entry = self._entries.get(path)
        if entry is None:
            raise NotFoundError(f"there is no file {quote(path)} in {self.reference}")
        length = clipped(start, length, entry.size)
        if length == 0:
            return b""

        def fetch(headers: Mapping[str, str], max_bytes: int) -> Response:
            return self._file(entry, headers, max_bytes)

        return read_part(fetch, f"file {quote(path)} of {self.reference}", start=start, length=length, size=entry.size)

    def signatures(self) -> tuple[bytes, ...]:
        """The signature documents among the files.

        Raises:
            UnavailableError: the hub does not answer, or with other bytes than it states.
            MalformedError: one is no ordinary file, or as ``list``.
            LimitExceededError: too many or too large.
        """
        return signature_files(self.list(), self, self.signature_paths)

    def _check_model(self, response: Response) -> None:
        document = _json(response, limits.HUB_MODEL_BYTES)
        if not isinstance(document, dict):
            raise MalformedError("got no object about a model from the hub")
        if document.get("id") != self.reference.path:
            raise MalformedError(f"the hub answers about {quote(document.get('id'))}, expected {quote(self.reference.path)}")
        if document.get("sha") != self.revision.value:
            # a branch may be named like a commit, and points to another one
            raise MalformedError(f"the hub resolves {self.revision} to {quote(document.get('sha'))}: it is a branch or a tag there")
        if document.get("disabled"):
            raise UnavailableError(f"{self.reference} is disabled at the hub")
        if document.get("gated") and not self.token:
            raise UnavailableError(f"{self.reference} is gated: {_ACCOUNT}")

    def _tree(self) -> tuple[FileEntry, ...]:
        base = f"{self.endpoint}/api/models/{self.reference.path}/tree/{self.revision}"
        files: tuple[FileEntry, ...] = ()
        url, seen = f"{base}?recursive=true&expand=false", set[str]()
        while url:
            if url in seen or len(seen) >= limits.HUB_PAGES:
                raise MalformedError(f"got a page of the tree of {self.reference} twice, or more than {limits.HUB_PAGES} pages")
            seen.add(url)
            response = self._document(url.removeprefix(self.endpoint), "tree")
            page = _json(response, limits.HUB_PAGE_BYTES)
            files += tuple(hub_tree.files(page))
            if len(files) > limits.FILES:
                raise LimitExceededError(f"got more than {limits.FILES} files in {self.reference}")
            url = self._next(response, url, base)
        return files

    def _next(self, response: Response, url: str, base: str) -> str:
        found = _NEXT.search(response.headers.get("link", ""))
        if found is None:
            return ""
        following = urljoin(url, str(found[1]))
        if not following.startswith(f"{base}?"):
            raise MalformedError(f"got a next page of the tree of {self.reference} that is no page of it")
        return following

    def _document(self, path: str, what: str) -> Response:
        bound = limits.HUB_MODEL_BYTES if what == "model" else limits.HUB_PAGE_BYTES
        response = self.client.once(f"{self.endpoint}{path}", max_bytes=bound, headers=self._authorization())
        if response.status in REDIRECTS:
            raise NotFoundError(
                f"the hub redirects {self.reference}: it has been renamed, or is no canonical name; use the present one"
            )
        if response.status != OK:
            raise self._error(response, what)
        self._check_commit(response, needed=False)
        return response

    def _file(self, entry: FileEntry, headers: Mapping[str, str], max_bytes: int) -> Response:
        url = f"{self.endpoint}/{self.reference.path}/resolve/{self.revision}/{percent_quote(entry.path)}"
        sent = {**headers, **self._authorization()}
        response = self.client.once(url, max_bytes=max_bytes, headers=sent, prefix=True)
        self._check_commit(response, needed=response.status < _REFUSED)
        if response.status in REDIRECTS:
            stated = response.headers.get("x-linked-etag", "").strip('"')
            if entry.sha256 is not None and stated not in {"", entry.sha256}:
                raise UnavailableError(f"the hub states another sha256 of {quote(entry.path)} than it lists")
            following = self.client.following(url, response.headers.get("location", ""))
            # the store's own signature is in the URL; the hub's token stays with the hub
            sent = sent if following.startswith(f"{self.endpoint}/") else dict(headers)
            response = self.client.get(following, max_bytes=max_bytes, headers=sent, prefix=True)
        if response.status in {_REFUSED, _FORBIDDEN, _MISSING}:
            raise self._error(response, f"file {quote(entry.path)}")
        return response

    def _check_commit(self, response: Response, *, needed: bool) -> None:
        stated = response.headers.get("x-repo-commit")
        if stated != self.revision.value and (needed or stated is not None):
            raise UnavailableError(f"the hub answers from commit {quote(stated)}, expected {self.revision}")

    def _authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def _error(self, response: Response, what: str) -> Exception:
        code = response.headers.get("x-error-code", "")
        if code == "GatedRepo":
            return UnavailableError(f"{self.reference} is gated: {_ACCOUNT}")
        if response.status == _MISSING and what in {"model", "tree"}:
            missing = f"commit {self.revision} in" if code == "RevisionNotFound" else "model"
            return NotFoundError(f"there is no {missing} {self.reference} at {self.endpoint}")
        if response.status in {_REFUSED, _FORBIDDEN}:
            why = "its token is not accepted" if self.token else "the source has no token"
            return UnavailableError(f"{self.reference} does not exist at {self.endpoint}, or is private and {why}")
        return UnavailableError(f"got status {response.status} for {what} of {self.reference} from {self.endpoint}, expected {OK}")


_ACCOUNT = "accept its terms with a platform account, and give that account's token as the source's credentials"


def _json(response: Response, max_bytes: int) -> Any:
    return strict_json.loads(response.body, max_bytes=max_bytes)
