"""The worker behind HTTP: an order goes out over mutual TLS, a small report comes back, read as if it were foreign."""

import ssl
from http import HTTPStatus
from pathlib import Path
from threading import Lock

import urllib3
from urllib3.exceptions import HTTPError

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError, quote
from modeltrust.domain.work import Order, Report, Running, Worker

_Stamp = tuple[tuple[int, int, int], ...]
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class HttpWorker:
    """Implements ``domain.work.Worker``; safe to call from several threads."""

    def __init__(self, url: str, *, ca: Path, certificate: Path, key: Path) -> None:
        """Begin without contacting it.

        Args:
            url: ``https://host:port``.
            ca: PEM of the authorities that vouch for the worker.
            certificate: PEM of ours; the files are read again when they change.
            key: its key, PEM, unencrypted.
        """
        self._url = f"{url}/v1/examine"
        self._files = (ca, certificate, key)
        self._lock = Lock()
        self._made: tuple[_Stamp, urllib3.PoolManager] | None = None

    def examine(self, order: Order) -> Report | Running:
        """See ``Worker.examine``.

        Raises:
            UnavailableError: no answer, not a good one, or no report of ours in it.
            LimitExceededError: it has no room now, or takes no order so large.
        """
        try:
            status, body = self._post(work.encode_order(order), patient=order.patient)
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"the worker does not answer: {type(error).__name__}") from error
        if status == HTTPStatus.ACCEPTED:
            return Running("by the worker")
        if status == HTTPStatus.OK:
            return _report(body)
        why = f"the worker answered {status}: {quote(body.decode('utf-8', 'replace').strip(), limits.API_ERROR_CHARACTERS)}"
        raise LimitExceededError(why) if status in _BUSY else UnavailableError(why)

    def _post(self, body: bytes, *, patient: bool) -> tuple[int, bytes]:
        response = self._pool().request(
            "POST",
            self._url,
            body=body,
            headers=_HEADERS | ({"Priority": work.PATIENT} if patient else {}),
            timeout=urllib3.Timeout(connect=limits.API_CONNECT_SECONDS, read=limits.WORKER_SILENCE_SECONDS),
            preload_content=False,
            redirect=False,
        )
        read = bytearray()
        while piece := response.read1(limits.REPORT_BYTES, decode_content=False):
            read += piece
            if len(read) > limits.REPORT_BYTES:
                response.close()
                raise UnavailableError(f"the worker answered with more than {limits.REPORT_BYTES} bytes")
        response.release_conn()
        return response.status, bytes(read)

    def _pool(self) -> urllib3.PoolManager:
        """Connections with the certificate files as they are now."""
        try:
            states = [path.stat() for path in self._files]
            stamp = tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)
            with self._lock:
                if self._made is None or self._made[0] != stamp:
                    self._made = (stamp, self._connect())
                return self._made[1]
        except (OSError, ssl.SSLError) as error:
            raise UnavailableError(f"the certificate for the worker cannot be used: {type(error).__name__}") from error

    def _connect(self) -> urllib3.PoolManager:
        ca, certificate, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(ca)
        context.load_cert_chain(certificate, key, password=str)
        return urllib3.PoolManager(ssl_context=context, retries=False, maxsize=limits.OPERATOR_THREADS)


def _report(body: bytes) -> Report:
    try:
        return work.decode_report(body)
    except MalformedError as error:
        raise UnavailableError(f"the worker answered with no report: {error}") from error


class Workers:
    """Who examines what: Jobs read every byte, the worker reads headers; implements ``domain.work.Worker``."""

    def __init__(self, worker: Worker, jobs: Worker | None) -> None:
        """Join the two.

        Args:
            worker: see ``HttpWorker``.
            jobs: see ``JobWorker``; None where no image for Jobs is set.
        """
        self._worker = worker
        self._jobs = jobs

    def examine(self, order: Order) -> Report | Running:
        """See ``Worker.examine``.

        Raises:
            UnavailableError: also where every byte must be read and no image for Jobs is set.
            LimitExceededError: no room now.
        """
        if not order.read_bytes:
            return self._worker.examine(order)
        if self._jobs is None:
            raise UnavailableError("every byte must be read, which Jobs do, and no --job-image is set")
        return self._jobs.examine(order)
