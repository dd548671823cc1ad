import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from modeltrust.domain.errors import UnavailableError
from modeltrust.wiring.certificate import Certificate
from tests.support.tls import shaken, write_certificate

LOADS = 300


@contextmanager
def handshake(server: ssl.SSLContext, **settings: ssl.TLSVersion) -> Iterator[ssl.SSLObject]:
    """A TLS handshake in memory; yields the client's side."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for name, value in settings.items():
        setattr(client, name, value)
    ours, _ = shaken(client, server)
    yield ours


def served(context: ssl.SSLContext) -> bytes | None:
    with handshake(context) as client:
        return client.getpeercert(binary_form=True)


def test_a_renewed_certificate_is_served_without_a_new_context(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, name="old"))
    context = certificate.context
    before = served(context)
    assert certificate.refresh() is False
    write_certificate(tmp_path, name="new")
    assert certificate.refresh() is True
    assert certificate.context is context
    after = served(context)
    assert before != after
    assert after is not None
    assert b"new" in after


def test_no_handshake_fails_while_certificates_are_exchanged(tmp_path: Path) -> None:
    """Certificate and key are loaded one after the other; whoever comes between the two must not find a context without a key."""
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
        write_certificate(place, name=place.name)
    link = tmp_path / "..data"
    link.symlink_to("a")
    certificate = Certificate(link / "tls.crt", link / "tls.key")

    def exchange() -> int:
        loads = 0
        for turn in range(LOADS):
            following = tmp_path / "..following"
            following.symlink_to(places[(turn + 1) % 2].name)
            following.rename(link)
            loads += certificate.refresh()
        return loads

    shaken = 0
    with ThreadPoolExecutor(1) as pool:
        loads = pool.submit(exchange)
        while not loads.done():
            with handshake(certificate.context):
                shaken += 1

    assert loads.result() == LOADS
    assert shaken > 1


def test_a_handshake_under_way_keeps_its_certificate(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, name="old"))
    with handshake(certificate.context) as client:
        write_certificate(tmp_path, name="new")
        certificate.refresh()
        assert b"old" in (client.getpeercert(binary_form=True) or b"")


def test_between_the_two_writes_the_old_pair_serves_on(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, name="old"))
    (tmp_path / "next").mkdir()
    paths = write_certificate(tmp_path / "next", name="new")
    paths[0].rename(tmp_path / "tls.crt")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="cannot be used"):
            certificate.refresh()
    assert b"old" in (served(certificate.context) or b"")
    paths[1].rename(tmp_path / "tls.key")
    assert certificate.refresh() is True
    assert b"new" in (served(certificate.context) or b"")


def test_a_certificate_that_vanishes_serves_on(tmp_path: Path) -> None:
    paths = write_certificate(tmp_path, name="old")
    certificate = Certificate(*paths)
    paths[0].unlink()
    with pytest.raises(UnavailableError, match="cannot be read"):
        certificate.refresh()
    assert b"old" in (served(certificate.context) or b"")


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
@pytest.mark.parametrize("content", [b"", b"no PEM"])
def test_a_file_that_is_no_certificate_is_refused_at_start(tmp_path: Path, name: str, content: bytes) -> None:
    paths = write_certificate(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnavailableError):
        Certificate(*paths)


def test_an_encrypted_key_is_refused_and_never_asked_for(tmp_path: Path) -> None:
    paths = write_certificate(tmp_path, password=b"secret")
    with pytest.raises(UnavailableError):
        Certificate(*paths)


def test_a_missing_file_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Certificate(tmp_path / "a", tmp_path / "b")


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
def test_versions_before_1_2_are_refused(tmp_path: Path) -> None:
    context = Certificate(*write_certificate(tmp_path)).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    with (
        pytest.raises((ssl.SSLError, AssertionError)),
        handshake(context, minimum_version=ssl.TLSVersion.TLSv1_1, maximum_version=ssl.TLSVersion.TLSv1_1),
    ):
        pass
