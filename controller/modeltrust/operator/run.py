"""The operator process: one of its replicas leads, and whoever no longer does ends."""

import gc
import logging
import os
import random
import secrets
import signal
import sys
import threading
import time
from enum import StrEnum

import msgspec

from modeltrust.config import OperatorSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError, UnavailableError, quote
from modeltrust.kube import paths
from modeltrust.kube.access import from_kubeconfig, in_cluster
from modeltrust.kube.client import ApiServer
from modeltrust.kube.lease import Lease, keep
from modeltrust.operator.assembly import Assembly, assemble
from modeltrust.operator.owner import owner
from modeltrust.operator.watching import Forward
from modeltrust.store.sink import Kind
from modeltrust.telemetry import OperatorTelemetry
from modeltrust.wiring.plain import serve_plain
from modeltrust.wiring.process import exit_code, read_flags

_FLAGS = {
    "--namespace": "of the release: keys, credentials, the Lease",
    "--jobs-namespace": "of the Jobs that read every byte or evaluate",
    "--kubeconfig": "how to reach the API server; without it, as the Pod's service account",
    "--worker": "https://host:port of the worker",
    "--worker-ca": "authorities of the worker's certificate, PEM",
    "--worker-cert": "our certificate as its client, PEM",
    "--worker-key": "its key, PEM",
    "--audience": "of the statements (default: UID of the namespace kube-system)",
    "--job-image": "image of Jobs, by digest; without it there are none",
    "--lease": "name of the Lease (default modeltrust-operator)",
    "--identity": "of this replica (default: the host's name)",
    "--key-secret": "Secret with the signing keys (default modeltrust-attestor)",
    "--attestors-config-map": "ConfigMap with the webhook's attestor file (default modeltrust-attestors)",
    "--metrics-listen": "host:port of metrics and probes (default 0.0.0.0:9090); empty turns them off",
    "--unmatched": "Allow, Warn or Deny where no enforcing policy covers a model, for the audit (default Allow)",
    "--monitored-namespaces": "whose Services EvaluationSuites may have asked, separated by commas (default: none)",
    "--writes-per-second": f"to the API server (default {limits.WRITES_PER_SECOND:g})",
}
_SWITCH_SECONDS = 0.001  # the thread that renews the Lease gets the interpreter soon, whatever the others do


def main(arguments: list[str]) -> int:
    """Reconcile until told to stop.

    Args:
        arguments: flags, without the program's name.

    Returns:
        0 after a clean stop, 2 for settings that cannot be used, 1 when starting is impossible.
    """
    return exit_code("operator", lambda: _Process(read_settings(arguments)).run())


def read_settings(arguments: list[str]) -> OperatorSettings:
    """Flags, over a settings file.

    Raises:
        InvalidInputError: a setting is missing or makes no sense.
        SystemExit: unknown flags, or help was asked for.
    """
    about = "The operator: verifies models, signs statements about them, and says in each status what was found."
    return read_flags(OperatorSettings, arguments, program="operator", about=about, values=_FLAGS, switches=_SWITCHES)


_SWITCHES = {"--rotate-certificates": "make and renew the certificates of webhook and worker"}


class _Process:
    """One operator process, from its settings to its end."""

    def __init__(self, settings: OperatorSettings) -> None:
        self._settings = settings
        self._telemetry = OperatorTelemetry()
        self._stopping = threading.Event()
        self._access = in_cluster() if settings.kubeconfig is None else from_kubeconfig(settings.kubeconfig)
        api = ApiServer(self._access, seconds=limits.LEASE_REQUEST_SECONDS)
        self._lease = Lease(
            api=api,
            namespace=settings.namespace,
            name=settings.lease,
            identity=f"{settings.identity}_{secrets.token_hex(8)}",
            clock=_boot_time,
            wall=time.time,
            owner=lambda: owner(api, settings.namespace),
        )
        self._assembly: Assembly | None = None

    def run(self) -> int:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        _listen_to_libraries(self._telemetry)
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._say("listening", metricsPort=self._serve())
        audience = self._settings.audience or self._audience()
        assembly = self._assembly = assemble(
            self._settings,
            access=self._access,
            audience=audience,
            telemetry=self._telemetry,
            leading=self._lease.leading,
            stopping=self._stopping.wait,
            died=self._die,
            failed=self._failed,
            unusable=self._unusable,
        )
        assembly.mirror.start()
        gc.collect()
        gc.freeze()
        keep(self._lease, stopping=self._stopping.wait, won=self._won, lost=self._die, told=self._told, uniform=random.uniform)
        assembly.leading.stop()
        assembly.mirror.stop()
        self._telemetry.leader.set(0)
        self._lease.release()  # last: until here this process wrote, and the next one may begin now
        self._telemetry.log("stopped")
        return 0

    def _serve(self) -> int | None:
        address = self._settings.metrics_listen
        return serve_plain(address, registry=self._telemetry.registry, unready=self._unready) if address else None

    def _unready(self) -> tuple[str, ...]:
        """A replica in waiting is ready when it could lead."""
        return ("starting",) if self._assembly is None else self._assembly.mirror.unready()

    def _audience(self) -> str:
        """UID of the namespace kube-system, waited for: an operator may start before its permissions do."""
        api = ApiServer(self._access)
        while True:
            try:
                return str(api.get_object(paths.core("namespaces", "kube-system"))["metadata"]["uid"])
            except (ModelTrustError, KeyError) as error:
                self._telemetry.log("audience-unknown", why=quote(error, 300))
            if self._stopping.wait(limits.LEASE_RETRY_SECONDS):
                raise UnavailableError("stopped before the cluster's identity was known")

    def _won(self) -> None:
        assert self._assembly is not None  # noqa: S101 - the loop begins after it
        self._telemetry.leader.set(1)
        self._telemetry.log("leader", identity=self._lease.identity)
        self._assembly.leading.start()
        threading.Thread(target=self._watch_lease, name="fence", daemon=True).start()

    def _watch_lease(self) -> None:
        # The thread that renews may hang in a request: this one ends the process in time all the same.
        while not self._stopping.wait(limits.LEASE_WATCH_SECONDS):
            if not self._lease.leading():
                self._die("the Lease was not renewed in time")

    def _die(self, why: str) -> None:
        """End now: threads cannot be stopped within a write, and what they still write is no longer ours to write (F84)."""
        self._telemetry.leader.set(0)
        self._telemetry.log("ends", why=why)
        time.sleep(0.0 if self._stopping.is_set() else min(limits.LEASE_GRACE_SECONDS, 0.1))
        os._exit(1)

    def _told(self, error: Exception) -> None:
        self._telemetry.log("lease-unavailable", why=quote(error, 300))

    def _failed(self, kind: StrEnum, error: Exception) -> None:
        self._telemetry.watch_failures.labels(kind.value).inc()
        self._telemetry.log("watch-failed", kind=kind.value, why=quote(error, 300))

    def _unusable(self, kind: Kind, name: str, why: str) -> None:
        self._telemetry.log("object-unusable", kind=kind.value, name=name, why=why)

    def _say(self, event: str, **fields: object) -> None:
        sys.stdout.write(msgspec.json.encode({"event": event, **fields}).decode() + "\n")
        sys.stdout.flush()


def _listen_to_libraries(telemetry: OperatorTelemetry) -> None:
    root = logging.getLogger()
    root.handlers[:] = [Forward(telemetry.log)]
    root.setLevel(logging.WARNING)


def _boot_time() -> float:
    """Seconds that pass while the machine is suspended, too; nobody sets this clock (F86)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
