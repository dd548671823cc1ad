"""The three calls that we make to an API server: get, watch, create. Blocking and small; one connection per thread.

Own code rather than the official client: that one needs 6.7 s and 1,059 MB to list what fits here in 1.3 s and 84 MB
(facts: performance, section 7), asks for no bookmarks and notices no stall.
"""

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from modeltrust import __version__
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, UnavailableError, quote
from modeltrust.kube.access import Access

_OK = 200
_CREATED = 201
_CONFLICT = 409
_GONE = 410
_CHUNK_BYTES = 64 * 1024


class GoneError(UnavailableError):
    """The API server has forgotten the version that we stand at: list again."""


class ApiServer:
    """One API server, as one account."""

    def __init__(self, access: Access) -> None:
        """Begin without contacting it.

        Args:
            access: address and credentials.
        """
        context = ssl.create_default_context(cadata=access.ca)
        if access.certificate is not None:
            context.load_cert_chain(access.certificate, access.key)
        self._access = access
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=limits.API_CONNECTIONS, block=False)

    def get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        """The body of one answer.

        Raises:
            GoneError: the version or the continue token has expired.
            UnavailableError: no answer, or not a good one.
            LimitExceededError: more bytes than a page may have.
        """
        with self._request("GET", path, parameters, timeout=limits.API_SECONDS) as response:
            body = bytearray()
            for chunk in _chunks(response):
                body += chunk
                if len(body) > limits.LIST_PAGE_BYTES:
                    raise LimitExceededError(f"got more than {limits.LIST_PAGE_BYTES} bytes in one page of {path}")
            return bytes(body)

    def watch(self, path: str, parameters: Mapping[str, str], *, silence: float) -> Iterator[bytes]:
        """The lines of a watch, until the server ends it.

        Args:
            path: of the resource.
            parameters: of the query, ``watch=1`` included.
            silence: seconds without a byte after which the connection counts as dead.

        Raises:
            GoneError: the version has expired.
            UnavailableError: the connection broke or fell silent.
            LimitExceededError: one event is larger than any object.
        """
        with self._request("GET", path, parameters, timeout=silence) as response:
            rest = b""
            for chunk in _chunks(response):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line for line in lines if line)
                if len(rest) > limits.WATCH_EVENT_BYTES:
                    raise LimitExceededError(f"got an event of more than {limits.WATCH_EVENT_BYTES} bytes from {path}")
            if rest:
                raise UnavailableError(f"the watch of {path} ended within an event")

    def create(self, path: str, body: bytes) -> bool:
        """Create one object; returns False where it exists already.

        Raises:
            UnavailableError: refused, or no answer.
        """
        try:
            with self._request(
                "POST", path, {}, timeout=limits.API_SECONDS, body=body, good=(_OK, _CREATED, _CONFLICT)
            ) as response:
                return bool(response.status != _CONFLICT)
        except LimitExceededError as error:
            raise UnavailableError(str(error)) from error

    @contextlib.contextmanager
    def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        *,
        timeout: float,
        body: bytes | None = None,
        good: tuple[int, ...] = (_OK,),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        url = f"{self._access.url}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=self._headers(body),
                timeout=urllib3.Timeout(connect=limits.API_CONNECT_SECONDS, read=timeout),
                preload_content=False,
                redirect=False,
            )
            try:
                self._check(response, path, good)
                yield response
            finally:
                response.close()
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"no answer from the API server for {path}: {type(error).__name__}") from error

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": f"modeltrust/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._access.token_file is not None:
            headers["Authorization"] = f"Bearer {self._access.token_file.read_text(encoding='ascii').strip()}"
        return headers

    def _check(self, response: urllib3.BaseHTTPResponse, path: str, good: tuple[int, ...]) -> None:
        if response.status in good:
            return
        if response.status == _GONE:
            raise GoneError(f"the API server answered 410 for {path}")
        why = response.read(limits.QUOTED_CHARACTERS * 4, decode_content=True)
        raise UnavailableError(f"the API server answered {response.status} for {path}: {quote(why.decode('utf-8', 'replace'))}")


def _chunks(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    while chunk := response.read1(_CHUNK_BYTES, decode_content=True):
        yield chunk
