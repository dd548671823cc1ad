"""Serving certificates for loopback, and whole handshakes in memory."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Pair = tuple[Path, Path]


def write_certificate(folder: Path, *, name: str = "webhook", password: bytes | None = None) -> tuple[Path, Path]:
    """A self-signed P-256 certificate for 127.0.0.1, named so that tests can tell two apart; returns certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    protection = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection))
    return paths


def served(server: ssl.SSLContext, client: Pair | None) -> bytes:
    """A whole handshake in memory, and a byte that only an accepted client gets; returns the server's certificate.

    Raises:
        ssl.SSLError: a side refuses.
    """
    ours, theirs = shaken(client_of(client), server)
    theirs.write(b"x")
    assert ours.read(1) == b"x"
    return ours.getpeercert(binary_form=True) or b""


def client_of(pair: Pair | None) -> ssl.SSLContext:
    """A client that believes any server, with a certificate of its own or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def shaken(
    client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both sides of a handshake that came to its end, the client's first; of an earlier session where there is one.

    Raises:
        ssl.SSLError: a side refuses.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, session=session)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    sides = [ours, theirs]
    for _ in range(8):
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not sides
    return ours, theirs
