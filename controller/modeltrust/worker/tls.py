"""TLS of the port on which orders arrive: 1.3, and nobody without a certificate of the authorities of clients."""

import ssl
from pathlib import Path

from modeltrust.domain.errors import UnavailableError, quote

_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """One TLS context for the life of the process; ``refresh`` exchanges what new handshakes are given.

    Attributes:
        context: of the server.
    """

    def __init__(self, certificate: Path, key: Path, *, client_ca: Path) -> None:
        """Load the files.

        Args:
            certificate: PEM, leaf first.
            key: PEM, unencrypted.
            client_ca: PEM of the authorities of clients; a new one is added when it is seen, an old one leaves with the process.

        Raises:
            UnavailableError: they cannot be read or do not belong together.
        """
        self._files = (certificate, key, client_ca)
        self.context = _context()
        self._loaded = self._stamp()
        _load(self.context, *self._files)

    def refresh(self) -> bool:
        """Load the files again if they changed; returns whether they did.

        Raises:
            UnavailableError: they changed and cannot be used yet; what was loaded serves on.
        """
        stamp = self._stamp()
        if stamp == self._loaded:
            return False
        _load(_context(), *self._files)  # on trial: a pair that does not match would leave the context without a key
        _load(self.context, *self._files)
        self._loaded = stamp
        return True

    def _stamp(self) -> _Stamp:
        try:
            states = [path.stat() for path in self._files]
        except OSError as error:
            raise UnavailableError(f"the worker's certificate cannot be read: {quote(error)}") from error
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path, client_ca: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=str)  # an encrypted key would be asked for on the terminal
        context.load_verify_locations(client_ca)
    except (OSError, ssl.SSLError) as error:
        raise UnavailableError(f"the worker's certificate {quote(certificate)} cannot be used: {quote(error)}") from error
