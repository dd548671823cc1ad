from pathlib import Path
from typing import Any

import pytest

from modeltrust.config import OperatorSettings, WebhookSettings
from modeltrust.domain.errors import InvalidInputError

FLAGS: dict[str, Any] = {"trust": "t", "tls_cert": "c", "tls_key": "k"}


def test_flags_are_enough_and_defaults_are_those_of_a_cluster() -> None:
    settings = WebhookSettings.read(FLAGS, None)
    assert (settings.trust, settings.listen, settings.unmatched) == (Path("t"), "0.0.0.0:9443", "Allow")
    assert settings.drain_seconds == 10


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("trust: other\ntlsCert: c\ntlsKey: k\nunmatched: Deny\nmetricsListen: ''\n")
    settings = WebhookSettings.read({"trust": "t"}, tmp_path / "s.yaml")
    assert (settings.trust, settings.unmatched, settings.metrics_listen) == (Path("t"), "Deny", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trust": None}, "trust"),
        ({"unmatched": "allow"}, "unmatched"),
        ({"listen": "9443"}, "listen"),
        ({"listen": "::1:80"}, "listen"),
        ({"poll_seconds": 0}, "pollSeconds"),
        ({"poll_seconds": "nan"}, "pollSeconds"),
        ({"drain_seconds": -1}, "drainSeconds"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        WebhookSettings.read({**FLAGS, **change}, None)


@pytest.mark.parametrize("text", ["[1]", "a: [", "\x00", "x: 1\n" * 40_000, "trust: t\n"])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(InvalidInputError):
        WebhookSettings.read({}, tmp_path / "s.yaml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read"):
        WebhookSettings.read(FLAGS, tmp_path / "none.yaml")


OPERATOR: dict[str, Any] = {
    "namespace": "modeltrust-system",
    "jobs_namespace": "modeltrust-jobs",
    "worker": "https://worker:8443",
    "worker_ca": "ca",
    "worker_cert": "c",
    "worker_key": "k",
}


@pytest.mark.parametrize(
    ("text", "found"), [("", set()), ("serving", {"serving"}), ("serving,team-a,42", {"serving", "team-a", "42"})]
)
def test_no_service_is_asked_outside_the_namespaces_that_were_named(text: str, found: set[str]) -> None:
    assert OperatorSettings.read({**OPERATOR, "monitored_namespaces": text}, None).monitored == found
    assert OperatorSettings.read(OPERATOR, None).monitored == set()


@pytest.mark.parametrize(
    "text", [",", "a,", "A", "*", "a b", "serving,modeltrust-system", "modeltrust-jobs", "kube-system", "a\n", "a.b", "x" * 64]
)
def test_h2_namespaces_that_hold_no_models_are_never_asked(text: str) -> None:
    with pytest.raises(InvalidInputError):
        OperatorSettings.read({**OPERATOR, "monitored_namespaces": text}, None)
