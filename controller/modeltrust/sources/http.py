"""The one HTTP client: bounded, pinned to judged addresses, and carrying a credential to one origin only.

No proxy and no credential is taken from the environment. Redirects stay on their host unless another is listed, and lose the
credential when they leave the origin. Bodies are taken as sent: an encoded one is refused (decompression bombs). What an error
says of a URL is its scheme, host and path: queries and user information may be secrets (attack M5).
"""

import dataclasses
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError, quote
from modeltrust.sources.addresses import Reach, Resolve, allowed_addresses, system_resolve
from modeltrust.sources.deadline import Deadline, PlainPool, TlsPool

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_VISIBLE = re.compile(r"[!-~]+")
_PORTS = {"https": 443, "http": 80}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_IDENTITY = frozenset(
    {"identity", "aws-chunked"}
)  # the second is how an object was uploaded; some stores repeat it and mean nothing
_PIECE_BYTES = (
    8 * 1024 * 1024
)  # in one call: TLS comes in records of 16 KiB, and each costs a dozen calls of Python if asked for alone

Pool: TypeAlias = urllib3.HTTPConnectionPool


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is worth reading: success, or an error of ours (4xx other than 429).

    Attributes:
        status: HTTP status code.
        headers: names in lower case.
        body: at most the bytes that were asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Url:
    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def shown(self) -> str:
        """Without query."""
        return quote(f"{self.scheme}://{self.authority}{self.target.partition('?')[0]}", limits.URL_SHOWN_CHARACTERS)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Ask:
    method: str
    headers: Mapping[str, str] = field(repr=False)
    max_bytes: int
    prefix: bool


class _TemporaryError(Exception):
    """Worth another attempt; never leaves this module."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(slots=True)
class Client:
    """GETs over verified TLS; keeps connections, so use one for one model and close it.

    Attributes:
        allow_private: whether private addresses may be contacted.
        allow_loopback: whether this machine may be contacted.
        plain_http: whether ``http://`` may be spoken, to loopback addresses only.
        redirect_hosts: ``host[:port]`` that a redirect may lead to besides the host that was asked.
        hosts: the only ``host[:port]`` that are contacted at all; None for whatever the caller asks.
        ca_file: PEM bundle instead of the system's trust store.
        ca: PEM bundle in memory instead of the system's trust store.
        resolve: the resolver.
        sleep: waits between attempts, seconds.
        clock: monotonic seconds, for the bound on slow bodies.
    """

    _: KW_ONLY
    allow_private: bool = False
    allow_loopback: bool = False
    plain_http: bool = False
    redirect_hosts: frozenset[str] = frozenset()
    hosts: frozenset[str] | None = None
    ca_file: Path | None = None
    ca: bytes = field(default=b"", repr=False)
    resolve: Resolve = system_resolve
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _deadline: Deadline = field(init=False, repr=False, default_factory=Deadline)
    _pools: dict[tuple[str, str, int], tuple[Pool, ...]] = field(init=False, repr=False, default_factory=dict)

    def get(self, url: str, *, max_bytes: int, headers: Mapping[str, str] | None = None, prefix: bool = False) -> Response:
        """Fetch one document, through redirects that are allowed.

        Args:
            url: ``https://host[:port]/path[?query]``, without user information and fragment.
            max_bytes: bound on the body.
            headers: sent along; ``Authorization`` reaches no other origin.
            prefix: stop at max_bytes and be content, instead of refusing what is longer.

        Raises:
            UnavailableError: no usable answer: unreachable, refused address, redirect to elsewhere, 5xx or 429 after retries,
                truncated or encoded body, too slow.
            LimitExceededError: the body is longer than max_bytes.
            MalformedError: the URL is not one we would contact.
        """
        where, ask = self._parse(url), _Ask("GET", _headers(headers), max_bytes, prefix)
        for _hop in range(limits.HTTP_REDIRECTS + 1):
            response = self._attempts(where, ask)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or location is None:
                return response
            following = self._redirected(where, location)
            if following.origin != where.origin:
                ask = dataclasses.replace(ask, headers={k: v for k, v in ask.headers.items() if k != "authorization"})
            where = following
        raise UnavailableError(f"got more than {limits.HTTP_REDIRECTS} redirects, the last from {where.shown}")

    def once(self, url: str, *, max_bytes: int = 0, headers: Mapping[str, str] | None = None, prefix: bool = False) -> Response:
        """As ``get``, following no redirect: its answer is returned."""
        return self._attempts(self._parse(url), _Ask("GET", _headers(headers), max_bytes, prefix))

    def head(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Status and headers of a document; no redirect is followed. Raises as ``get``."""
        return self._attempts(self._parse(url), _Ask("HEAD", _headers(headers), 0, prefix=True))

    def following(self, url: str, location: str) -> str:
        """The URL that a redirect of ``url`` leads to.

        Raises:
            UnavailableError: it leads to where this client does not go.
        """
        where = self._redirected(self._parse(url), location)
        return f"{where.scheme}://{where.authority}{where.target}"

    def close(self) -> None:
        """Close every connection."""
        for pools in self._pools.values():
            for pool in pools:
                pool.close()
        self._pools.clear()

    def _parse(self, url: str) -> _Url:
        if not _VISIBLE.fullmatch(url) or len(url) > limits.URL_CHARACTERS or "\\" in url:
            raise MalformedError("got a URL with spaces, control or non-ASCII characters, or one that is too long")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise MalformedError("got a malformed URL") from error
        if parts.scheme not in _PORTS or not _HOST.fullmatch(parts.netloc) or parts.hostname is None or parts.fragment:
            raise MalformedError("got a URL of another form than https://host/path, without user information and fragment")
        if parts.scheme == "http" and not self.plain_http:
            raise MalformedError(f"got http for host {quote(parts.netloc)}, expected https")
        found = _Url(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], "")
        if self.hosts is not None and found.authority not in self.hosts:
            # whatever foreign text chose it (a token realm, a next page, a redirect): attack H2
            raise UnavailableError(f"host {quote(found.authority)} is not among the endpoints of this source")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return dataclasses.replace(found, target=target)

    def _redirected(self, where: _Url, location: str) -> _Url:
        try:
            following = self._parse(urljoin(f"{where.scheme}://{where.authority}{where.target}", location))
        except (MalformedError, ValueError) as error:
            raise UnavailableError(f"{where.shown} redirects to a URL that is not followed") from error
        if where.scheme == "https" and following.scheme != "https":
            raise UnavailableError(f"{where.shown} redirects to http, expected https")
        if following.origin != where.origin and following.authority not in self.redirect_hosts:
            raise UnavailableError(
                f"{where.shown} redirects to host {quote(following.authority)}, which is not among those allowed"
            )
        return following

    def _attempts(self, where: _Url, ask: _Ask) -> Response:
        pools = self._connections(where)
        for attempt in range(limits.HTTP_RETRIES + 1):
            try:
                return self._once(pools[attempt % len(pools)], where, ask)
            except _TemporaryError as error:
                if attempt == limits.HTTP_RETRIES:
                    raise UnavailableError(f"{where.shown}: {error}") from error
                self.sleep(min(max(error.wait, limits.HTTP_BACKOFF_SECONDS * 2**attempt), limits.HTTP_WAIT_SECONDS))
        raise AssertionError("the last attempt returns or raises")

    def _once(self, pool: Pool, where: _Url, ask: _Ask) -> Response:
        # silence is bounded by the socket's timeout; a byte now and then, in the handshake or the headers, is bounded here
        seconds = limits.HTTP_ANSWER_SECONDS + ask.max_bytes / limits.HTTP_BYTES_PER_SECOND
        with self._deadline.within(seconds):
            try:
                answer = pool.urlopen(
                    ask.method,
                    where.target,
                    headers={"host": where.authority, **ask.headers},
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                    assert_same_host=False,
                )
            except HTTPError as error:
                raise self._failure(where, error) from error
            try:
                return self._response(answer, where, ask)
            except (HTTPError, OSError) as error:
                if self._deadline.passed:
                    raise UnavailableError(f"{where.shown} answers too slowly") from error
                raise _TemporaryError("the connection broke in the middle of the body") from error
            finally:
                answer.close()  # what is left of a body that was cut short is never read

    def _response(self, answer: urllib3.BaseHTTPResponse, where: _Url, ask: _Ask) -> Response:
        headers = {name.lower(): value for name, value in answer.headers.itermerged()}
        if answer.status == _TOO_MANY_REQUESTS or answer.status >= _SERVER_ERROR:
            raise _TemporaryError(f"got status {answer.status}", _retry_after(headers))
        if headers.get("content-encoding", "identity").lower() not in _IDENTITY:
            raise UnavailableError(f"{where.shown} answers with content encoding, expected the bytes themselves")
        if answer.status >= 300 or ask.method == "HEAD":  # noqa: PLR2004 - of an error nothing but the status counts
            return Response(answer.status, headers, b"")
        return Response(answer.status, headers, self._body(answer, where, ask))

    def _body(self, answer: urllib3.BaseHTTPResponse, where: _Url, ask: _Ask) -> bytes:
        started, pieces, size, max_bytes = self.clock(), list[bytes](), 0, ask.max_bytes
        while size <= max_bytes and (piece := answer.read(min(_PIECE_BYTES, max_bytes + 1 - size), decode_content=False)):
            pieces.append(piece)
            size += len(piece)
            if self.clock() - started > limits.HTTP_TIMEOUT_SECONDS + size / limits.HTTP_BYTES_PER_SECOND:
                raise UnavailableError(f"{where.shown} answers more slowly than {limits.HTTP_BYTES_PER_SECOND} bytes a second")
        if self._deadline.passed:
            raise UnavailableError(f"{where.shown} answers too slowly")
        body = b"".join(pieces)
        if size > max_bytes:
            if not ask.prefix:
                raise LimitExceededError(f"{where.shown} is larger than {max_bytes} bytes")
            return body[:max_bytes]
        stated = answer.headers.get("content-length", "")
        if stated.isascii() and stated.isdigit() and int(stated) != len(body):
            raise _TemporaryError(f"got {len(body)} bytes of {int(stated)}")
        return body

    def _connections(self, where: _Url) -> tuple[Pool, ...]:
        pools = self._pools.get(where.origin)
        if pools is None:
            plain = where.scheme == "http"
            reach = Reach(private=self.allow_private, loopback=self.allow_loopback, only_loopback=plain)
            addresses = allowed_addresses(where.host, where.port, resolve=self.resolve, reach=reach)
            pools = tuple(self._pool(where, address) for address in addresses[: limits.HTTP_ADDRESSES])
            self._pools[where.origin] = pools
        return pools

    def _pool(self, where: _Url, address: str) -> Pool:
        timeout = urllib3.Timeout(connect=limits.HTTP_CONNECT_SECONDS, read=limits.HTTP_TIMEOUT_SECONDS)
        if where.scheme == "http":
            return PlainPool(address, where.port, timeout=timeout, deadline=self._deadline)
        # the judged address is dialled; the name is what the certificate must carry and what SNI and Host say
        return TlsPool(
            address,
            where.port,
            timeout=timeout,
            ssl_context=self._tls(),
            server_hostname=where.host,
            assert_hostname=where.host,
            deadline=self._deadline,
        )

    def _tls(self) -> ssl.SSLContext:
        try:
            file = None if self.ca_file is None else str(self.ca_file)
            return ssl.create_default_context(cafile=file, cadata=self.ca.decode("ascii") or None)
        except (OSError, ValueError) as error:
            raise UnavailableError("the authorities given for this source are no PEM certificates") from error

    def _failure(self, where: _Url, error: HTTPError) -> Exception:
        if self._deadline.passed:
            return UnavailableError(f"{where.shown} answers too slowly")
        # a certificate that does not verify is no weather: it is not tried again
        if isinstance(error, urllib3.exceptions.SSLError):
            return UnavailableError(f"{where.shown}: TLS fails or the certificate does not verify")
        if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(error, urllib3.exceptions.NewConnectionError):
            return _TemporaryError("timed out")
        return _TemporaryError("cannot connect, or the connection broke")


def _headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    sent = {"accept-encoding": "identity", "user-agent": "modeltrust"}
    return sent | {name.lower(): value for name, value in (headers or {}).items()}


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0.0
