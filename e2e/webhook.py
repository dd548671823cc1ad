"""The real webhook process, asked by the real API server."""

import base64
import copy
import json
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from e2e.certificates import Authority, Issued
from e2e.control_plane import LOOPBACK, ControlPlane
from e2e.waiting import eventually
from modeltrust.api.webhooks import configuration, mutating_configuration

RULES = Path(__file__).parent.parent / "charts" / "modeltrust" / "files" / "webhook-rules.yaml"
_START_SECONDS = 20.0


@dataclass(slots=True)
class WebhookProcess:
    """One webhook process fed by the API server.

    Attributes:
        folder: certificates, attestors.yaml and the log.
        kubeconfig: of its service account.
        arguments: further flags.
        address: where it listens.
        serving: its certificate; default one of an authority of its own.
    """

    folder: Path
    kubeconfig: Path
    arguments: tuple[str, ...] = ()
    address: str = LOOPBACK
    serving: Issued | None = None
    port: int = 0
    metrics_port: int = 0
    _authority: Authority = field(init=False)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self._authority = Authority(self.folder / "webhook-pki", name="webhook authority")
        self.serving = self.serving or self._authority.issue("webhook", hosts=[LOOPBACK])

    @property
    def ca_bundle(self) -> str:
        """For the webhook configuration."""
        return base64.b64encode(self._authority.certificate.read_bytes()).decode("ascii")

    @property
    def ca(self) -> Path:
        """Of its serving certificate."""
        return self._authority.certificate

    def start(self) -> None:
        """Start it and read its ports; it may not be ready yet."""
        assert self.serving is not None
        flags = {
            "--kubeconfig": self.kubeconfig,
            "--attestors": self.folder / "attestors.yaml",
            "--tls-cert": self.serving.certificate,
            "--tls-key": self.serving.key,
            "--listen": f"{self.address}:{self.port}",
            "--metrics-listen": f"{LOOPBACK}:{self.metrics_port}",
        }
        words = [str(word) for pair in flags.items() for word in pair]
        with (self.folder / "webhook.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modeltrust", "webhook", *words, *self.arguments], stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        self.port, self.metrics_port = said["port"], said["metricsPort"]

    def successor(self) -> "WebhookProcess":
        """Another process for the same port, with the same certificate and log; not started."""
        other = copy.copy(self)
        other.metrics_port, other._process = 0, None  # noqa: SLF001 - of its own class
        return other

    def stop(self, *, kill: bool = False) -> None:
        """Stop it and wait."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def ready(self) -> bool:
        """Whether it says that it is."""
        return self.metric("modeltrust_ready") == 1.0

    def wait_until_ready(self) -> None:
        """Wait until it says so."""
        eventually(self.ready, seconds=_START_SECONDS, what="the webhook's readiness")

    def metric(self, name: str, label: str = "") -> float:
        """The sum of a metric's samples, of those with a label (``name="value"``) if given; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.metrics_port}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        samples = [line for line in lines if line.partition(" ")[0].partition("{")[0] == name and label in line]
        return sum(float(line.rpartition(" ")[2]) for line in samples)

    def log(self) -> list[dict[str, Any]]:
        """Everything it logged."""
        lines = (self.folder / "webhook.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def configuration(self, name: str = "modeltrust") -> dict[str, Any]:
        """The ValidatingWebhookConfiguration that points here."""
        rules = yaml.safe_load(RULES.read_text())
        client = {"url": f"https://{LOOPBACK}:{self.port}/validate", "caBundle": self.ca_bundle}
        return configuration(name, ignore=rules["ignore"], fail=rules["fail"], client=client)

    def mutating_configuration(self, name: str = "modeltrust") -> dict[str, Any]:
        """The MutatingWebhookConfiguration that points here."""
        client = {"url": f"https://{LOOPBACK}:{self.port}/mutate", "caBundle": self.ca_bundle}
        return mutating_configuration(name, client=client)


def attach(plane: ControlPlane, webhook: WebhookProcess) -> None:
    """Have the API server ask the webhook, and wait until it does."""
    plane.apply(webhook.configuration())
    probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": "default"}}
    probe |= {"spec": {"containers": [{"name": "probe", "image": "probe"}]}}

    def asked() -> bool:
        plane.apply(probe, check=False, flags=("--dry-run=server",))
        return any(line.get("event") == "decision" for line in webhook.log())

    eventually(asked, seconds=_START_SECONDS, what="the API server asking the webhook")
