"""One repository of an OCI registry: requests with token or basic authentication, and nothing believed that a digest can check.

Source: OCI distribution specification 1.1; token authentication as in the distribution project's documentation. A token is asked
for this repository and for pulling, whatever the challenge proposes; the credential goes to its own registry and to the https realm
that this registry names, nowhere else (attack H2).
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import quote as percent_quote
from urllib.parse import urljoin, urlsplit

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import MalformedError, NotFoundError, UnavailableError, quote
from modeltrust.sources.http import Client, Response
from modeltrust.sources.interface import Credentials
from modeltrust.sources.manifests import OCI_INDEX

_CHALLENGE = re.compile(r'(?:^|[,\s])(?P<scheme>Bearer|Basic)\s+(?P<parameters>(?:[a-z_]+="[^"\\]*"\s*,?\s*)+)', re.IGNORECASE)
_PARAMETER = re.compile(r'([a-z_]+)="([^"\\]*)"', re.IGNORECASE)
_TOKEN = re.compile(r"[!-~]+")
_NEXT = re.compile(r'<([^<>\s]+)>\s*;\s*rel="?next"?')
_API_HOSTS = {"docker.io": "registry-1.docker.io"}  # names images; its API lives here
_OK, _PARTIAL, _UNAUTHORIZED, _NOT_FOUND = 200, 206, 401, 404


@dataclass(slots=True)
class Repository:
    """GETs below ``/v2/<name>``.

    Attributes:
        host: ``host[:port]`` as in the reference.
        name: of the repository.
        client: does the requests.
        credentials: used only where their host is this host.
    """

    host: str
    name: str
    client: Client
    credentials: Credentials | None = None
    _authorization: str = field(init=False, repr=False, default="")

    def manifest(self, reference: str, *, accept: str, sha256: str = "") -> bytes:
        """Bytes of a manifest.

        Args:
            reference: digest or tag.
            accept: media types.
            sha256: 64 hex that the bytes must have; empty for a tag.

        Raises:
            NotFoundError: there is none.
            UnavailableError: no usable answer, or other bytes than the digest names.
            LimitExceededError: larger than any manifest may be.
        """
        response = self._get(f"manifests/{reference}", max_bytes=limits.OCI_MANIFEST_BYTES, headers={"accept": accept})
        self._expect(response, _OK, f"manifest {reference}")
        return _checked(response.body, sha256, f"manifest {reference}") if sha256 else response.body

    def blob(self, sha256: str, size: int) -> bytes:
        """All bytes of a blob, checked against its digest.

        Raises:
            NotFoundError: there is none.
            UnavailableError: no usable answer, or other bytes than the digest names.
            LimitExceededError: larger than stated.
        """
        response = self._get(f"blobs/sha256:{sha256}", max_bytes=size)
        self._expect(response, _OK, f"blob sha256:{sha256}")
        if len(response.body) != size:
            raise UnavailableError(f"got {len(response.body)} bytes of blob sha256:{sha256} from {self.host}, expected {size}")
        return _checked(response.body, sha256, f"blob sha256:{sha256}")

    def blob_range(self, sha256: str, size: int, start: int, length: int) -> bytes:
        """Part of a blob: ``[start, start + length)``, which must lie inside it.

        A registry that ignores Range is read from the start and cut off, within a bound.

        Raises:
            NotFoundError: there is none.
            UnavailableError: no usable answer, or another range than was asked for.
        """
        end, what = start + length, f"blob sha256:{sha256}"
        response = self._get(
            f"blobs/sha256:{sha256}",
            max_bytes=max(length, min(end, limits.OCI_UNRANGED_BYTES)),
            headers={"range": f"bytes={start}-{end - 1}"},
            prefix=True,
        )
        if response.status == _OK:
            if response.headers.get("content-length") != str(size):
                # the manifest's size may be a lie that hides the end of a file from whoever reads by it
                raise UnavailableError(f"got another size of {what} than the manifest states from {self.host}")
            body = response.body[start:]
        else:
            self._expect(response, _PARTIAL, what)
            if response.headers.get("content-range", "").lower() != f"bytes {start}-{end - 1}/{size}":
                raise UnavailableError(f"got another range of {what} than was asked for from {self.host}")
            body = response.body
        if len(body) != length:
            raise UnavailableError(f"got {len(body)} bytes of {what} from {self.host}, expected {length}")
        return body

    def referrers(self, digest: str) -> tuple[bytes, ...]:
        """Pages of the index of what refers to a manifest: by the Referrers API, else by the fallback tag; else none.

        Both can be written by whoever may push, so nothing in them is believed.

        Raises:
            UnavailableError: no usable answer.
            LimitExceededError: an index is too large.
        """
        path, pages = f"referrers/{digest}", list[bytes]()
        while path:
            response = self._get(path, max_bytes=limits.OCI_MANIFEST_BYTES, headers={"accept": OCI_INDEX})
            if response.status == _NOT_FOUND and not pages:
                return self._fallback(digest)
            self._expect(response, _OK, f"referrers of {digest}")
            pages.append(response.body)
            path = self._next(response, path)
            if path and len(pages) >= limits.OCI_REFERRER_PAGES:
                raise UnavailableError(f"got more than {limits.OCI_REFERRER_PAGES} pages of referrers from {self.host}")
        return tuple(pages)

    def _fallback(self, digest: str) -> tuple[bytes, ...]:
        try:
            return (self.manifest(digest.replace(":", "-"), accept=OCI_INDEX),)
        except NotFoundError:
            return ()

    def _next(self, response: Response, path: str) -> str:
        found = _NEXT.search(response.headers.get("link", ""))
        if found is None:
            return ""
        following = urljoin(self._url(path), str(found[1]))
        if not following.startswith(self._url("referrers/")):
            raise UnavailableError(f"got a next page of referrers outside the repository from {self.host}")
        return following.removeprefix(self._url(""))

    def _url(self, path: str) -> str:
        scheme = "http" if self.client.plain_http else "https"
        return f"{scheme}://{_API_HOSTS.get(self.host, self.host)}/v2/{self.name}/{path}"

    def _get(self, path: str, *, max_bytes: int, headers: dict[str, str] | None = None, prefix: bool = False) -> Response:
        response = self._once(path, max_bytes, headers or {}, prefix=prefix)
        if response.status == _UNAUTHORIZED:
            self._authorization = self._authorize(response.headers.get("www-authenticate", ""))
            response = self._once(path, max_bytes, headers or {}, prefix=prefix)
        return response

    def _once(self, path: str, max_bytes: int, headers: dict[str, str], *, prefix: bool) -> Response:
        sent = headers | ({"authorization": self._authorization} if self._authorization else {})
        return self.client.get(self._url(path), max_bytes=max_bytes, headers=sent, prefix=prefix)

    def _expect(self, response: Response, status: int, what: str) -> None:
        if response.status == _NOT_FOUND:
            raise NotFoundError(f"there is no {what} in {self.host}/{self.name}")
        if response.status != status:
            raise UnavailableError(f"got status {response.status} for {what} from {self.host}/{self.name}, expected {status}")

    def _authorize(self, challenge: str) -> str:
        offered = {
            found["scheme"].lower(): found["parameters"] for found in _CHALLENGE.finditer(challenge[: limits.URL_CHARACTERS])
        }
        basic = self._basic()
        if "bearer" in offered:
            return f"Bearer {self._token(dict(_PARAMETER.findall(offered['bearer'])), basic)}"
        if "basic" in offered and basic:
            return basic
        raise UnavailableError(f"{self.host} wants authentication for {self.name}, and there is no credential for it")

    def _basic(self) -> str:
        if self.credentials is None or self.credentials.host != self.host:
            return ""
        pair = f"{self.credentials.username}:{self.credentials.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    def _token(self, challenge: dict[str, str], basic: str) -> str:
        realm = challenge.get("realm", "")
        if "?" in realm or urlsplit(realm).scheme not in {"https", "http" if self.client.plain_http else "https"}:
            raise UnavailableError(f"{self.host} sends to token realm {quote(realm)}, expected an https URL")
        query = f"service={percent_quote(challenge.get('service', ''), safe='')}&scope=repository:{self.name}:pull"
        try:
            response = self.client.get(
                f"{realm}?{query}",
                max_bytes=limits.OCI_TOKEN_BYTES,
                headers={"authorization": basic} if basic else {},
            )
        except MalformedError as error:
            raise UnavailableError(f"no usable answer from the token realm of {self.host}: {error}") from error
        if response.status != _OK:
            raise UnavailableError(f"got status {response.status} from the token realm of {self.host}, expected {_OK}")
        return _token_of(response.body)


def _token_of(body: bytes) -> str:
    document = strict_json.loads(body, max_bytes=limits.OCI_TOKEN_BYTES)
    token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise UnavailableError("got no token from a token realm")
    return token


def _checked(body: bytes, sha256: str, what: str) -> bytes:
    if hashlib.sha256(body).hexdigest() != sha256:
        raise UnavailableError(f"got other bytes for {what} than its digest names")
    return body
