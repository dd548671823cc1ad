"""The worker's TLS: who gets past the handshake, before and after its files change."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modeltrust.domain.errors import UnavailableError
from modeltrust.wiring.certificate import Certificate
from tests.support.certificates import authority
from tests.support.tls import Pair, served, write_certificate

LOADS = 200


def pair(folder: Path, name: str) -> Pair:
    (folder / name).mkdir()
    return write_certificate(folder / name, name=name)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    certificate, key = pair(tmp_path, "server")
    ca = tmp_path / "ca.crt"
    ca.write_bytes(pair(tmp_path, "client")[0].read_bytes())
    return certificate, key, ca


def test_a_client_of_the_authority_is_accepted_and_nobody_else_is(tmp_path: Path, files: tuple[Path, Path, Path]) -> None:
    certificate, key, ca = files
    server = Certificate(certificate, key, client_ca=ca, keep_authorities=True, minimum=ssl.TLSVersion.TLSv1_3)

    assert b"server" in served(server.context, (tmp_path / "client" / "tls.crt", tmp_path / "client" / "tls.key"))
    for stranger in (pair(tmp_path, "stranger"), None):
        with pytest.raises(ssl.SSLError):
            served(server.context, stranger)


def test_a_change_of_authority_accepts_clients_of_both_and_no_others(tmp_path: Path, files: tuple[Path, Path, Path]) -> None:
    certificate, key, ca = files
    server = Certificate(certificate, key, client_ca=ca, keep_authorities=True, minimum=ssl.TLSVersion.TLSv1_3)
    following = pair(tmp_path, "following")
    ca.write_bytes(following[0].read_bytes())

    assert server.refresh() is True

    for client in ((tmp_path / "client" / "tls.crt", tmp_path / "client" / "tls.key"), following):
        assert b"server" in served(server.context, client)
    for stranger in (pair(tmp_path, "stranger"), None):
        with pytest.raises(ssl.SSLError):
            served(server.context, stranger)


def test_a_pinned_certificate_that_is_no_authority_survives_an_exchange(files: tuple[Path, Path, Path]) -> None:
    certificate, key, ca = files
    ca.write_bytes(authority("pinned", ca=False).pem)
    server = Certificate(certificate, key, client_ca=ca, keep_authorities=True, minimum=ssl.TLSVersion.TLSv1_3)
    ca.write_bytes(authority("next", ca=False).pem)

    assert server.refresh() is True
    with pytest.raises(ssl.SSLError):
        served(server.context, None)


@pytest.mark.parametrize("content", [b"", b"no PEM"])
def test_files_that_cannot_be_used_change_nothing(files: tuple[Path, Path, Path], tmp_path: Path, content: bytes) -> None:
    certificate, key, ca = files
    server = Certificate(certificate, key, client_ca=ca, keep_authorities=True, minimum=ssl.TLSVersion.TLSv1_3)
    for path in (ca, certificate, key):
        before = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(UnavailableError):
            server.refresh()
        path.write_bytes(before)
    client = (tmp_path / "client" / "tls.crt", tmp_path / "client" / "tls.key")

    assert b"server" in served(server.context, client)
    with pytest.raises(ssl.SSLError):
        served(server.context, None)


def test_no_handshake_fails_while_certificates_are_exchanged(tmp_path: Path, files: tuple[Path, Path, Path]) -> None:
    certificate, key, ca = files
    client = (tmp_path / "client" / "tls.crt", tmp_path / "client" / "tls.key")
    server = Certificate(certificate, key, client_ca=ca, keep_authorities=True, minimum=ssl.TLSVersion.TLSv1_3)

    def exchange() -> int:
        loads = 0
        for turn in range(LOADS):
            content = ca.read_bytes() + b"\n" * (turn % 2)
            (tmp_path / "following").write_bytes(content)
            (tmp_path / "following").rename(ca)
            loads += server.refresh()
        return loads

    shaken = 0
    with ThreadPoolExecutor(1) as pool:
        loads = pool.submit(exchange)
        while not loads.done():
            served(server.context, client)
            shaken += 1

    assert loads.result() == LOADS
    assert shaken > 1
