"""A Hugging Face hub in this process, on loopback, that behaves as the real one does (facts/real-components.md section 10).

Repositories are commits of files; branches point to commits. LFS and Xet files are redirected to a store at another address, as the
hub does. Requests are recorded with their headers: tests say who was told which token. Checked with huggingface_hub itself.
"""

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.support.registry import LOOPBACK, Answer, Registry, Request, serving

TOKEN = "hf_platform_account"


@dataclass
class File:
    """One file of a commit."""

    data: bytes
    lfs: bool = False
    xet: bool = False
    kind: str = "file"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def blob(self) -> str:
        stored = self.pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored, usedforsecurity=False).hexdigest()

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    def entry(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {"type": self.kind, "oid": self.blob, "size": len(self.data), "path": path}
        if self.lfs:
            found["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        if self.xet:
            found["xetHash"] = hashlib.sha256(b"xet" + self.data).hexdigest()
        return found


@dataclass
class Repository:
    """One model: commits, branches, and how it is guarded."""

    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: str | bool = False
    disabled: bool = False

    def commit(self, files: dict[str, File], *, branch: str = "main") -> str:
        """Add a commit and move the branch to it."""
        text = json.dumps([(path, file.blob) for path, file in sorted(files.items())] + [len(self.commits)])
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha


@dataclass
class Hub:
    """Models by id, and behaviour.

    Attributes:
        renamed: old id to new one; redirected with 307, as the hub does.
        page: entries of a tree in one answer.
        spoil: may change any answer of the hub: (request, answer) → answer.
    """

    models: dict[str, Repository] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)  # ids whose terms the account has accepted
    page: int = 1000
    resolve_cache: bool = True  # small files are redirected on the same host, as the hub does since 2025
    spoil: Callable[[Request, Answer], Answer] = lambda _request, answer: answer
    front: Registry = field(default_factory=Registry)
    store: Registry = field(default_factory=Registry)

    def model(self, name: str) -> Repository:
        return self.models.setdefault(name, Repository())

    @property
    def url(self) -> str:
        return f"{self.front.scheme}://{self.front.address}"

    @property
    def requests(self) -> list[Request]:
        return self.front.requests

    def answer(self, request: Request, _answer: Answer) -> Answer:
        return self.spoil(request, self._answer(request))

    def stored(self, request: Request, _answer: Answer) -> Answer:
        """What the store of LFS files answers: the signature in the URL is what opens it."""
        url = urlsplit(request.path)
        data = self.store.blobs.get(url.path.removeprefix("/lfs/"))
        if data is None or parse_qs(url.query).get("X-Amz-Signature") != ["signed"]:
            return Answer(403)
        return ranged(request, data)

    def _answer(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        path, query = unquote(url.path), parse_qs(url.query)
        if path.startswith("/api/resolve-cache/models/"):
            name, sha, file = _split(path.removeprefix("/api/resolve-cache/models/"), "")
            return self._bytes(request, name, sha, file, cached=True)
        if path.startswith("/api/models/"):
            return self._api(request, path.removeprefix("/api/models/"), query)
        name, revision, file = _split(path.lstrip("/"), "resolve")
        return self._bytes(request, name, revision, file, cached=False)

    def _api(self, request: Request, path: str, query: dict[str, list[str]]) -> Answer:
        parts = path.split("/")
        name, rest = "/".join(parts[:2]), parts[2:]
        if name in self.renamed:
            return Answer(307, {"location": f"/api/models/{self.renamed[name]}/{'/'.join(rest)}"})
        repository = self._visible(request, name)
        if isinstance(repository, Answer):
            return repository
        revision = rest[1] if len(rest) > 1 else "main"
        sha = repository.branches.get(revision, revision)
        if sha not in repository.commits:
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if rest[:1] == ["tree"]:
            return self._tree(repository.commits[sha], sha, request, query)
        document = {"_id": "x", "id": name, "modelId": name, "sha": sha, "private": repository.private, "gated": repository.gated}
        siblings = [{"rfilename": path} for path in sorted(repository.commits[sha])]
        return reply(document | {"disabled": repository.disabled, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})

    def _tree(self, files: dict[str, File], sha: str, request: Request, query: dict[str, list[str]]) -> Answer:
        folders = {"/".join(p.split("/")[:n]) for p in files for n in range(1, p.count("/") + 1)}
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": folder} for folder in sorted(folders)]
        entries += [file.entry(path) for path, file in files.items()]
        start = int(query.get("cursor", ["0"])[0])
        answer = reply(entries[start : start + self.page])
        if start + self.page < len(entries):
            path = urlsplit(request.path).path
            answer.headers["link"] = f'<{self.url}{path}?recursive=true&expand=false&cursor={start + self.page}>; rel="next"'
        return Answer(answer.status, answer.headers | {"x-repo-commit": sha}, answer.body)

    def _bytes(self, request: Request, name: str, revision: str, path: str, *, cached: bool) -> Answer:
        if name in self.renamed:
            return Answer(307, {"location": f"/{self.renamed[name]}/resolve/{revision}/{path}"})
        repository = self._visible(request, name)
        if isinstance(repository, Answer):
            return repository
        if repository.gated and not (self._known(request) and name in self.accepted):
            return error(403 if self._known(request) else 401, "GatedRepo", "Access to model is restricted")
        sha = repository.branches.get(revision, revision)
        if sha not in repository.commits:
            return error(404, "RevisionNotFound", "Invalid rev id")
        file = repository.commits[sha].get(path)
        if file is None:
            return error(404, "EntryNotFound", "Entry not found")
        return self._file(request, file, (name, sha, path), cached=cached)

    def _file(self, request: Request, file: File, where: tuple[str, str, str], *, cached: bool) -> Answer:
        name, sha, path = where
        if file.lfs:
            self.store.blobs[file.sha256] = file.data
            linked = {"x-linked-etag": f'"{file.sha256}"', "x-linked-size": str(len(file.data)), "x-repo-commit": sha}
            xet = {"x-xet-hash": file.entry(path)["xetHash"]} if file.xet else {}
            location = f"{self.store.scheme}://{self.store.address}/lfs/{file.sha256}?X-Amz-Signature=signed"
            return Answer(302, linked | xet | {"location": location})
        if self.resolve_cache and not cached:
            headers = {"x-repo-commit": sha, "x-linked-size": str(len(file.data)), "x-linked-etag": f'"{file.blob}"'}
            return Answer(307, headers | {"location": f"/api/resolve-cache/models/{name}/{sha}/{quote(path)}"})
        answer = ranged(request, file.data)
        return Answer(answer.status, answer.headers | {"x-repo-commit": sha, "etag": f'"{file.blob}"'}, answer.body)

    def _known(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {TOKEN}"

    def _visible(self, request: Request, name: str) -> Repository | Answer:
        repository = self.models.get(name)
        if request.headers.get("authorization") not in {None, f"Bearer {TOKEN}"}:
            return error(401, "", "Invalid credentials in Authorization header")
        if repository is None or (repository.private and not self._known(request)):
            # whether it is missing or private is told to nobody who may not see it
            return error(404 if self._known(request) else 401, "RepoNotFound", "Repository not found")
        return repository


def _split(path: str, word: str) -> tuple[str, str, str]:
    """owner/name[/word]/revision/file."""
    parts = path.split("/")
    rest = parts[3:] if word and parts[2:3] == [word] else parts[2:]
    return "/".join(parts[:2]), rest[0] if rest else "", "/".join(rest[1:])


def ranged(request: Request, data: bytes) -> Answer:
    """The bytes, or the range of them that is asked for."""
    wanted = request.headers.get("range", "")
    if not wanted:
        return Answer(200, {"accept-ranges": "bytes"}, data)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or len(data)), len(data) - 1)
    if start >= len(data):
        return Answer(416, {"content-range": f"bytes */{len(data)}"})
    return Answer(206, {"content-range": f"bytes {start}-{end}/{len(data)}"}, data[start : end + 1])


def reply(document: Any) -> Answer:
    return Answer(200, {"content-type": "application/json; charset=utf-8"}, json.dumps(document).encode())


def error(status: int, code: str, message: str) -> Answer:
    headers = {"x-error-message": message} | ({"x-error-code": code} if code else {})
    return Answer(status, headers, json.dumps({"error": message}).encode())


@contextmanager
def serving_hub(
    hub: Hub, *, tls: ssl.SSLContext | None = None, store_tls: ssl.SSLContext | None = None, address: str = LOOPBACK
) -> Iterator[Hub]:
    """Serve the hub and its store on free ports of an address of this machine."""
    hub.front.spoil, hub.store.spoil = hub.answer, hub.stored
    with ExitStack() as stack:
        stack.enter_context(serving(hub.store, tls=store_tls or tls, address=address))
        stack.enter_context(serving(hub.front, tls=tls, address=address))
        yield hub
