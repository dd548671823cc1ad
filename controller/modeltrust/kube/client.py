"""The calls that we make to an API server: few, blocking and small; one connection per thread.

Own code rather than the official client: that one needs 6.7 s and 1,059 MB to list what fits here in 1.3 s and 84 MB
(facts: performance, section 7), asks for no bookmarks and notices no stall.
"""

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from modeltrust import __version__
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, ModelTrustError, NotFoundError, UnavailableError, quote
from modeltrust.kube import paths
from modeltrust.kube.access import Access

Object = dict[str, Any]

_OK = 200
_CREATED = 201
_ACCEPTED = 202
_CONFLICT = 409
_GONE = 410
_REFUSALS = frozenset({400, 403, 405, 413, 415, 422})  # asking again changes nothing
_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_CHUNK_BYTES = 64 * 1024


class GoneError(UnavailableError):
    """The API server has forgotten the version that we stand at: list again."""


class RefusedError(UnavailableError):
    """The API server refuses: no permission, an invalid object, a guard. The same call will be refused again."""


class ConflictError(ModelTrustError):
    """Somebody else was there first: another version, another owner of a field, another object of this name."""


class ApiServer:
    """One API server, as one account. Paths are those of ``kube.paths``.

    Every call raises UnavailableError where there is no good answer, RefusedError (one of them) where asking again is in vain, and
    NotFoundError where the object, or its kind, does not exist.
    """

    def __init__(self, access: Access, *, seconds: float = limits.API_SECONDS) -> None:
        """Begin without contacting it.

        Args:
            access: address and credentials.
            seconds: without a byte of an answer; watches have their own.
        """
        context = ssl.create_default_context(cadata=access.ca)
        access.authenticate(context)
        self._access = access
        self._seconds = seconds
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=limits.API_CONNECTIONS, block=False)

    def get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        """The body of one answer.

        Raises:
            GoneError: the version or the continue token has expired.
            UnavailableError: no answer, or not a good one.
            LimitExceededError: more bytes than a page may have.
        """
        with self._request("GET", path, parameters, timeout=self._seconds) as response:
            return _body(response, limits.LIST_PAGE_BYTES, path)

    def get_object(self, path: str) -> Object:
        """One object.

        Raises:
            NotFoundError: there is none.
            UnavailableError: no answer, or not a good one.
        """
        with self._request("GET", path, {}, timeout=self._seconds) as response:
            return _object(_body(response, limits.OBJECT_BYTES, path), path)

    def list_objects(self, path: str, parameters: Mapping[str, str] | None = None) -> Iterator[Object]:
        """All objects of a collection, page by page.

        Args:
            path: of the collection.
            parameters: such as ``labelSelector``.

        Raises:
            GoneError: it took so long that the list has expired; what was given so far is not all.
            UnavailableError: a page could not be had.
            LimitExceededError: more objects than any collection holds.
        """
        query, count = {**(parameters or {}), "limit": str(limits.LIST_PAGE_OBJECTS)}, 0
        while True:
            page = _object(self.get(path, query), path)
            items = page.get("items") or []
            count += len(items)
            if count > limits.LIST_OBJECTS:
                raise LimitExceededError(f"got more than {limits.LIST_OBJECTS} objects in {path}")
            yield from items
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = str(following)

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
            with self._request("POST", path, {}, timeout=self._seconds, body=body, good=(_OK, _CREATED, _CONFLICT)) as response:
                return bool(response.status != _CONFLICT)
        except LimitExceededError as error:
            raise UnavailableError(str(error)) from error

    def create_object(self, path: str, value: Mapping[str, Any]) -> Object | None:
        """Create one object.

        Args:
            path: of the collection.
            value: the object.

        Returns:
            As the API server has it (uid, resourceVersion), or None where one of this name exists.

        Raises:
            RefusedError: not allowed, or invalid.
            UnavailableError: no answer; it may have been created.
        """
        try:
            return self._write("POST", path, value, good=(_OK, _CREATED))
        except ConflictError:
            return None

    def apply(self, path: str, value: Mapping[str, Any], *, manager: str, force: bool = False, subresource: str = "") -> Object:
        """Server-side apply: the object holds what is written here, and what this manager wrote before and no more is gone.

        Args:
            path: of the object, which need not exist.
            value: with apiVersion, kind and name; without managedFields and resourceVersion.
            manager: who owns these fields.
            force: take fields from others; only for fields that are ours by design.
            subresource: such as ``status``.

        Raises:
            ConflictError: another manager owns one of the fields.
        """
        parameters = {"fieldManager": manager, "force": "true" if force else "false"}
        return self._write("PATCH", _sub(path, subresource), value, parameters, content=_APPLY, good=(_OK, _CREATED))

    def merge_patch(self, path: str, value: Mapping[str, Any], *, manager: str = "", subresource: str = "") -> Object:
        """Change some fields (RFC 7386: null removes, lists are replaced); with metadata.resourceVersion, only that version.

        Raises:
            ConflictError: it is another version.
            NotFoundError: there is no such object.
        """
        parameters = {"fieldManager": manager} if manager else {}
        return self._write("PATCH", _sub(path, subresource), value, parameters, content=_MERGE)

    def replace(self, path: str, value: Mapping[str, Any], *, subresource: str = "") -> Object:
        """Replace a whole object, of exactly the version in its metadata.resourceVersion.

        Raises:
            ConflictError: somebody has changed it.
            NotFoundError: there is no such object.
        """
        return self._write("PUT", _sub(path, subresource), value)

    def delete(self, path: str, *, uid: str = "", resource_version: str = "", propagation: str = "Background") -> bool:
        """Delete one object.

        Args:
            path: of the object.
            uid: only this one, and no other of the same name.
            resource_version: only this version.
            propagation: what becomes of what it owns: Background, Foreground or Orphan.

        Returns:
            False where it was not there.

        Raises:
            ConflictError: it is another one, or another version.
        """
        expected = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        try:
            self._write("DELETE", path, options | ({"preconditions": expected} if expected else {}), good=(_OK, _ACCEPTED))
        except NotFoundError:
            return False
        return True

    def pod_log(self, namespace: str, pod: str, *, max_bytes: int, container: str = "", tail_lines: int = 0) -> bytes:
        """What a Pod's container wrote.

        Args:
            namespace: of the Pod.
            pod: its name; whoever relies on it compares the Pod's UID before and after.
            max_bytes: more is an error, not a shorter log.
            container: which one; empty where there is only one.
            tail_lines: only the last ones; 0 for all.

        Raises:
            NotFoundError: there is no such Pod.
            LimitExceededError: it wrote more.
            UnavailableError: it has not started, or no answer.
        """
        path = f"{paths.core('pods', pod, namespace=namespace)}/log"
        parameters = {"container": container} if container else {}
        parameters |= {"tailLines": str(tail_lines)} if tail_lines else {}
        with self._request("GET", path, parameters, timeout=self._seconds, accept="*/*") as response:
            return _body(response, max_bytes, path)

    def _write(
        self,
        method: str,
        path: str,
        value: Mapping[str, Any],
        parameters: Mapping[str, str] | None = None,
        *,
        content: str = _JSON,
        good: tuple[int, ...] = (_OK,),
    ) -> Object:
        body = msgspec.json.encode(value)
        with self._request(
            method, path, parameters or {}, timeout=self._seconds, body=body, content=content, good=good
        ) as response:
            return _object(_body(response, limits.OBJECT_BYTES, path), path)

    @contextlib.contextmanager
    def _request(  # noqa: PLR0913 - what a request consists of
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        *,
        timeout: float,
        body: bytes | None = None,
        content: str = _JSON,
        accept: str = _JSON,
        good: tuple[int, ...] = (_OK,),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        url = f"{self._access.url}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=self._headers(accept, None if body is None else content),
                timeout=urllib3.Timeout(connect=min(limits.API_CONNECT_SECONDS, timeout), read=timeout),
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

    def _headers(self, accept: str, content: str | None) -> dict[str, str]:
        headers = {"Accept": accept, "Accept-Encoding": "gzip", "User-Agent": f"modeltrust/{__version__}"}
        if content is not None:
            headers["Content-Type"] = content
        if token := self._access.bearer():
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _check(self, response: urllib3.BaseHTTPResponse, path: str, good: tuple[int, ...]) -> None:
        if response.status in good:
            return
        if response.status == _GONE:
            raise GoneError(f"the API server answered 410 for {path}")
        why = quote(_why(response.read(limits.ERROR_BYTES, decode_content=True)), limits.API_ERROR_CHARACTERS)
        message = f"the API server answered {response.status} for {path}: {why}"
        match response.status:
            case 404:
                raise NotFoundError(message)
            case 409:
                raise ConflictError(message)
            case status if status in _REFUSALS:
                raise RefusedError(message)
            case _:
                raise UnavailableError(message)


def _why(body: bytes) -> str:
    """The message of a metav1.Status, or the body itself."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    said = value.get("message") if isinstance(value, dict) else None
    return said if isinstance(said, str) else body.decode("utf-8", "replace")


def _body(response: urllib3.BaseHTTPResponse, bound: int, path: str) -> bytes:
    body = bytearray()
    for chunk in _chunks(response):
        body += chunk
        if len(body) > bound:
            raise LimitExceededError(f"got more than {bound} bytes from {path}")
    return bytes(body)


def _object(body: bytes, path: str) -> Object:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnavailableError(f"got no JSON from the API server for {path}: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise UnavailableError(f"got {type(value).__name__} from the API server for {path}, expected an object")
    return value


def _sub(path: str, subresource: str) -> str:
    return f"{path}/{subresource}" if subresource else path


def _chunks(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    while chunk := response.read1(_CHUNK_BYTES, decode_content=True):
        yield chunk
