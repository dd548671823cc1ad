"""The serving certificate of a process: loaded anew when its files change, without dropping a connection."""

import ssl
from pathlib import Path

from modeltrust.domain.errors import UnavailableError, quote

_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """One TLS context for the life of the process; ``refresh`` exchanges what new handshakes are given.

    Certificate and key are loaded one after the other, and a handshake between the two would find a context without a key. So each
    pair has a context of its own, and what the server listens with hands each handshake over to the last one that is complete.

    Attributes:
        context: of the server.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        client_ca: Path | None = None,
        keep_authorities: bool = False,
        minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    ) -> None:
        """Load the files.

        Args:
            certificate: PEM, leaf first.
            key: PEM, unencrypted.
            client_ca: PEM of the authorities of clients: nobody else gets past the handshake; read again when it changes. None:
                whoever asks is answered.
            keep_authorities: those of before count beside new ones until the process ends: while an authority is exchanged, clients
                hold certificates of either.
            minimum: version of TLS; the API server speaks 1.2 where it was told to.

        Raises:
            UnavailableError: they cannot be read or do not belong together.
        """
        self._pair = (certificate, key)
        self._client_ca = client_ca
        self._keep_authorities = keep_authorities
        self._minimum = minimum
        self._loaded = self._stamp()
        self.context = self._current = self._empty()
        self._load(self.context)
        self.context.sni_callback = self._hand_over

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
        following = self._empty()
        if self._keep_authorities and (believed := self._current.get_ca_certs(binary_form=True)):
            following.load_verify_locations(cadata=b"".join(believed))
        self._load(following)
        self._current, self._loaded = following, stamp
        return True

    def _hand_over(self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        """Called for every ClientHello, whether it names a server or not; an alert ends the handshake."""
        if self._client_ca is not None and self._current is not self.context and connection.session_reused:
            # the certificate of a session that is taken up again is not verified: its authority may be gone
            return ssl.AlertDescription.ALERT_DESCRIPTION_CERTIFICATE_UNKNOWN
        connection.context = self._current
        return None

    def _stamp(self) -> _Stamp:
        files = self._pair if self._client_ca is None else (*self._pair, self._client_ca)
        try:
            states = [path.stat() for path in files]
        except OSError as error:
            what = "the serving certificate, or the authorities of clients,"
            raise UnavailableError(f"{what} cannot be read: {quote(error)}") from error
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)

    def _empty(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._minimum
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        if self._client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.num_tickets = 0  # who is verified is verified each time; TLS 1.2 keeps sessions all the same
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._pair
        try:
            context.load_cert_chain(certificate, key, password=str)  # an encrypted key would be asked for on the terminal
        except (OSError, ssl.SSLError) as error:
            raise UnavailableError(f"the serving certificate {quote(certificate)} cannot be used: {quote(error)}") from error
        if self._client_ca is None:
            return
        try:
            context.load_verify_locations(self._client_ca)
        except (OSError, ssl.SSLError) as error:
            raise UnavailableError(f"the authorities of clients {quote(self._client_ca)} cannot be used: {quote(error)}") from error
