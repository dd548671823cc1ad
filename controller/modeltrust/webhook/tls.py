"""The serving certificate: loaded anew when its files change, without dropping a connection."""

import ssl
from pathlib import Path

from modeltrust.domain.errors import UnavailableError, quote

_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """One TLS context for the life of the process; ``refresh`` exchanges what new handshakes are given.

    OpenSSL copies the certificate at the start of a handshake, so established connections and handshakes under way keep theirs.
    """

    def __init__(self, certificate: Path, key: Path, *, client_ca: Path | None = None) -> None:
        """Load the files.

        Args:
            certificate: PEM, leaf first.
            key: PEM, unencrypted.
            client_ca: PEM of the authorities of clients: nobody else gets past the handshake. Read once; a new one needs a restart.

        Raises:
            UnavailableError: they cannot be read or do not belong together.
        """
        self._files = (certificate, key)
        self.context = _context()
        if client_ca is not None:
            _demand_clients(self.context, client_ca)
        self._loaded = self._stamp()
        _load(self.context, certificate, key)

    def refresh(self) -> bool:
        """Load the files again if they changed; returns whether they did.

        A certificate is replaced by writing two files, or by one symbolic link of a mounted Secret; between the two writes they
        do not match. Then the old pair serves on and the next call tries again.

        Raises:
            UnavailableError: they changed and cannot be used yet.
        """
        stamp = self._stamp()
        if stamp == self._loaded:
            return False
        _load(_context(), *self._files)  # on trial: a pair that does not match would otherwise leave the context without a key
        _load(self.context, *self._files)
        self._loaded = stamp
        return True

    def _stamp(self) -> _Stamp:
        try:
            states = [path.stat() for path in self._files]
        except OSError as error:
            raise UnavailableError(f"the serving certificate cannot be read: {quote(error)}") from error
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _demand_clients(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise UnavailableError(f"the authorities of clients {quote(authorities)} cannot be used: {quote(error)}") from error
    context.verify_mode = ssl.CERT_REQUIRED


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=str)  # an encrypted key would be asked for on the terminal
    except (OSError, ssl.SSLError) as error:
        raise UnavailableError(f"the serving certificate {quote(certificate)} cannot be used: {quote(error)}") from error
