"""F14, F15: with authorities for clients, nobody else is answered on the TLS port, and probes have another."""

import http.client
import ssl
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from modeltrust.domain.errors import UnavailableError
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.plain import serve_plain
from tests.support import processes
from tests.support.processes import LOOPBACK, Running
from tests.support.tls import client_of, served, shaken, write_certificate
from tests.unit.webhook.test_process import GOOD, write_trust


def test_f14_f15_only_a_client_that_the_authorities_know_is_answered(tmp_path: Path) -> None:
    ours, known, foreign = (tmp_path / name for name in ("ours", "known", "foreign"))
    for folder in (ours, known, foreign):
        folder.mkdir()
    certificate, key = write_certificate(ours)
    client, client_key = write_certificate(known, name="kube-apiserver")
    stranger, stranger_key = write_certificate(foreign, name="kube-apiserver")
    webhook = processes.started(write_trust(tmp_path / "trust"), certificate, key, tmp_path / "log", "--client-ca", str(client))
    with webhook as running:
        running.wait_until(lambda: _plain(running, "/readyz") == http.client.OK)

        assert _status(running, certificate, client, client_key) == http.client.OK
        for pair in ((None, None), (stranger, stranger_key)):
            with pytest.raises((OSError, http.client.HTTPException)):
                _status(running, certificate, *pair)
        assert _plain(running, "/livez") == http.client.OK
        assert b"modeltrust_decisions_total" in _get(running, "/metrics")


def test_a_change_of_authority_counts_without_a_restart_and_one_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    pairs = {}
    for name in ("server", "before", "after"):
        (tmp_path / name).mkdir()
        pairs[name] = write_certificate(tmp_path / name, name=name)
    authorities = tmp_path / "ca.crt"
    authorities.write_bytes(pairs["before"][0].read_bytes())
    certificate = Certificate(*pairs["server"], client_ca=authorities)
    assert served(certificate.context, pairs["before"])

    authorities.write_bytes(b"no certificate")
    with pytest.raises(UnavailableError, match="authorities of clients"):
        certificate.refresh()
    assert served(certificate.context, pairs["before"])

    authorities.write_bytes(pairs["after"][0].read_bytes())
    assert certificate.refresh() is True
    assert served(certificate.context, pairs["after"])
    for refused in (pairs["before"], None):
        with pytest.raises(ssl.SSLError):
            served(certificate.context, refused)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_of_before_gets_past_a_change_of_authority(tmp_path: Path, version: ssl.TLSVersion) -> None:
    pairs = {name: write_certificate(_made(tmp_path / name), name=name) for name in ("server", "before", "after")}
    authorities = tmp_path / "ca.crt"
    authorities.write_bytes(pairs["before"][0].read_bytes())
    certificate = Certificate(*pairs["server"], client_ca=authorities)
    client = client_of(pairs["before"])
    client.maximum_version = version
    ours, theirs = shaken(client, certificate.context)
    theirs.write(b"x")
    ours.read(1)  # what a session is taken up with comes before it
    session = ours.session

    authorities.write_bytes(pairs["after"][0].read_bytes() + b"\n")
    assert certificate.refresh() is True
    with pytest.raises(ssl.SSLError):
        shaken(client, certificate.context, session)
    assert served(certificate.context, pairs["after"])


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_authorities_that_cannot_be_read_stop_the_start(content: str | None, tmp_path: Path) -> None:
    authorities = tmp_path / "ca.crt"
    if content is not None:
        authorities.write_text(content)

    with pytest.raises(UnavailableError, match="authorities of clients"):
        Certificate(*write_certificate(tmp_path), client_ca=authorities)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_plain_port_says_why_it_is_not_ready_and_nothing_else(tmp_path: Path) -> None:
    assert tmp_path.exists()
    port = serve_plain(f"{LOOPBACK}:0", registry=CollectorRegistry(), unready=lambda: ("signers are stale",))
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    answers = {}
    for path in ("/readyz", "/livez", "/validate", "/"):
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        answers[path] = (answer.status, answer.read())
        connection.close()

    assert answers["/readyz"] == (503, b"signers are stale\n")
    assert answers["/livez"] == (200, b"ok\n")
    assert answers["/validate"][0] == answers["/"][0] == 404
    with pytest.raises(UnavailableError, match="cannot listen for metrics"):
        serve_plain(f"{LOOPBACK}:{port}", registry=CollectorRegistry(), unready=tuple)


def _status(running: Running, authority: Path, certificate: Path | None, key: Path | None) -> int:
    context = ssl.create_default_context(cafile=str(authority))
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection(LOOPBACK, running.port, context=context, timeout=5)
    try:
        connection.request("POST", "/validate?timeout=3s", GOOD, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def _plain(running: Running, path: str) -> int:
    deadline = time.monotonic() + 5
    while True:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{running.metrics_port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            if time.monotonic() > deadline:
                return error.code


def _get(running: Running, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{running.metrics_port}{path}", timeout=5) as answer:
        body: bytes = answer.read()
        return body
