import http.client
import json
import signal
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modeltrust.webhook.run import main
from tests.support import fast_yaml, reviews, trusted
from tests.support.processes import LOOPBACK, running
from tests.support.statements import attestor_entry
from tests.support.tls import write_certificate

GOOD = reviews.review(reviews.inference_service())


def write_trust(folder: Path) -> Path:
    now = int(time.time())
    said = trusted.statement(trusted.GUARD, issued_at=now, expires_at=now + 86_400)
    write(folder / "objects.yaml", trusted.policy(), trusted.signer(), trusted.namespace("team-a"), trusted.attestation("a", said))
    (folder / "attestors.yaml").write_text(fast_yaml.dump([attestor_entry(trusted.ATTESTOR_KEY)]))
    return folder


def write(path: Path, *objects: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(fast_yaml.dump_all([dict(value) for value in objects]))


def test_the_process_serves_sees_changes_renews_its_certificate_and_drains(tmp_path: Path) -> None:
    trust = write_trust(tmp_path / "trust")
    certificate, key = write_certificate(tmp_path, name="old")
    with running(trust, certificate, key, tmp_path / "log", "--drain-seconds", "0.3") as webhook:
        kept = webhook.connect()
        assert webhook.ask(GOOD, kept)["allowed"] is True
        metrics = urllib.request.urlopen(f"http://{LOOPBACK}:{webhook.metrics_port}/metrics", timeout=5).read().decode()
        assert 'modeltrust_decisions_total{operation="CREATE",outcome="admit"} 1.0' in metrics
        write(trust / "revocation.yaml", trusted.revocation())
        webhook.wait_until(lambda: webhook.ask(GOOD, kept)["allowed"] is False)
        (trust / "objects.yaml").write_text("{")
        assert "ModelRevoked" in webhook.ask(GOOD, kept)["status"]["message"]
        webhook.process.send_signal(signal.SIGTERM)
        webhook.wait_until(lambda: not webhook.ready())
        kept.request("POST", "/validate", GOOD, {"Content-Type": "application/json"})
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection")) == (http.client.OK, "close")
        assert json.loads(answer.read())["response"]["allowed"] is False
        assert webhook.process.wait(10) == 0
        for line in webhook.log.read_text().splitlines():
            assert json.loads(line)["event"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--surprise"], 2),
        (["--trust", "t", "--tls-cert", "c"], 2),
        (["--trust", "t", "--tls-cert", "missing", "--tls-key", "missing"], 1),
        (["--config", "missing"], 2),
        (["--help"], 0),
    ],
)
def test_settings_that_cannot_be_used_end_in_one_line_and_a_code(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert "Traceback" not in capsys.readouterr().err
