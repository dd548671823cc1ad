"""How the parts of the process are joined; the process itself runs in test_process."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modeltrust.config import WebhookSettings
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, UnavailableError
from modeltrust.store.sink import Kind
from modeltrust.telemetry import Telemetry
from modeltrust.webhook.run import _live, main, read_settings
from tests.support import trusted
from tests.support.api_server import ApiServerSimulator
from tests.support.tls import write_certificate

LOOPBACK = "127.0.0.1"


@pytest.fixture
def _this_process_as_it_was() -> Iterator[None]:
    """The webhook owns its process: it changes how threads take turns, and freezes what tests/conftest.py has frozen anyway."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)


class Log:
    """A telemetry whose lines are kept."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.telemetry = Telemetry(sink=lambda line: self.lines.append(json.loads(line)))

    def count(self, name: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(f"modeltrust_{name}", labels)


def in_a_cluster(folder: Path) -> WebhookSettings:
    with ApiServerSimulator().serving(folder) as access:
        (folder / "ca.pem").write_text(access.ca)
        document = {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": access.url, "certificate-authority": "ca.pem"}}],
            "users": [{"name": "x", "user": {"tokenFile": "token"}}],
        }
    (folder / "kubeconfig").write_text(yaml.safe_dump(document))
    return WebhookSettings(
        tls_cert=Path("c"), tls_key=Path("k"), attestors=folder / "attestors.yaml", kubeconfig=folder / "kubeconfig"
    )


def test_a_folder_needs_nobody_else(tmp_path: Path) -> None:
    live, reflecting = _live(WebhookSettings(tls_cert=Path("c"), tls_key=Path("k"), trust=tmp_path), Log().telemetry)
    assert reflecting is None
    assert live.store.unready(0)


@pytest.mark.parametrize(("error", "why"), [(UnavailableError("no answer"), "no answer"), (TimeoutError(), "TimeoutError")])
def test_a_watch_that_ended_badly_is_counted_and_logged_with_a_reason(error: Exception, why: str, tmp_path: Path) -> None:
    log = Log()
    _, reflecting = _live(in_a_cluster(tmp_path), log.telemetry)
    assert reflecting is not None
    reflecting.failed(Kind.POLICIES, error)
    assert log.lines == [{"event": "watch-failed", "kind": Kind.POLICIES.value, "why": why}]
    assert log.count("watch_failures_total", kind=Kind.POLICIES.value) == 1


def test_an_object_that_cannot_be_used_is_logged_by_name(tmp_path: Path) -> None:
    log = Log()
    live, _ = _live(in_a_cluster(tmp_path), log.telemetry)
    live.store.replace(Kind.POLICIES, [trusted.policy("broken", requirements=[{"type": "Surprise"}])])
    assert {(line["event"], line["name"]) for line in log.lines} == {("object-unusable", "broken")}


def test_a_bug_is_logged_under_an_id_that_the_answer_names(tmp_path: Path) -> None:
    log = Log()
    live, _ = _live(in_a_cluster(tmp_path), log.telemetry)
    identifier = live.admission._report(ZeroDivisionError("b"))
    assert [(line["event"], line["id"], line["error"]) for line in log.lines] == [
        ("internal-error", identifier, "ZeroDivisionError")
    ]


@pytest.mark.usefixtures("_this_process_as_it_was")
@pytest.mark.parametrize("door", ["--listen", "--metrics-listen"])
def test_a_port_that_is_taken_ends_the_process_with_one_line(door: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate, key = write_certificate(tmp_path)
    with socket.create_server((LOOPBACK, 0)) as taken:
        flags = [
            "--trust",
            tmp_path,
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
            "--metrics-listen",
            "",
            "--listen",
            f"{LOOPBACK}:0",
        ]
        assert main([*map(str, flags), door, f"{LOOPBACK}:{taken.getsockname()[1]}"]) == 1
    assert capsys.readouterr().err.startswith("modeltrust webhook: cannot listen ")


FILES = ["--tls-cert", "c", "--tls-key", "k"]


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("trust: there\ntlsCert: c\ntlsKey: k\ndrainSeconds: 3\n")
    settings = read_settings(["--config", str(tmp_path / "settings.yaml"), "--drain-seconds", "7"])
    assert (settings.trust, settings.drain_seconds) == (Path("there"), 7)


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--trust", "t"],
        FILES,
        [*FILES, "--trust", "t", "--attestors", "a"],
        [*FILES, "--trust", "t", "--kubeconfig", "k"],
        [*FILES, "--trust", "t", "--listen", "9443"],
        [*FILES, "--trust", "t", "--listen", ""],
        [*FILES, "--trust", "t", "--listen", "h:-1"],
        [*FILES, "--trust", "t", "--listen", "h:65536"],
        [*FILES, "--trust", "t", "--metrics-listen", "h:65536"],
        [*FILES, "--trust", "t", "--unmatched", "allow"],
        [*FILES, "--trust", "t", "--poll-seconds", "0"],
        [*FILES, "--trust", "t", "--poll-seconds", "-1"],
        [*FILES, "--trust", "t", "--poll-seconds", "nan"],
        [*FILES, "--trust", "t", "--poll-seconds", "inf"],
        [*FILES, "--trust", "t", "--drain-seconds", "soon"],
    ],
)
def test_settings_that_make_no_sense_are_refused(flags: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        read_settings(flags)


@pytest.mark.parametrize("flags", [["--surprise"], ["--trus", "t"], ["--trust"], ["word"]])
def test_unknown_words_end_with_the_usage(flags: list[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings(flags)


@pytest.mark.parametrize("text", ["surprise: 1\n", "[]", "{", "drainSeconds: [1]\n", "\x00"])
def test_a_settings_file_that_makes_no_sense_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(ModelTrustError):
        read_settings([*FILES, "--trust", "t", "--config", str(tmp_path / "settings.yaml")])
