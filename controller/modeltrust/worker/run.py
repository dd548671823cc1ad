"""`modeltrust worker`: takes orders from the operator over mutual TLS, and runs each in a process of its own."""

import os
import ssl
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, time

import msgspec

from modeltrust.config import WorkerSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, UnavailableError
from modeltrust.signing.tuf_root import FreshRoot, public_good
from modeltrust.wiring import memory
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.confinement import hide, possible
from modeltrust.wiring.listening import listen
from modeltrust.wiring.plain import serve_plain
from modeltrust.wiring.process import exit_code, read_flags
from modeltrust.worker.app import App
from modeltrust.worker.children import Children
from modeltrust.worker.examinations import Examinations
from modeltrust.worker.metrics import Metrics
from modeltrust.worker.serve import Server
from modeltrust.worker.trust_root import keep_fresh

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where the kubelet projects a token
_FLAGS = {
    "--listen": "host:port on which orders arrive (default 0.0.0.0:8443)",
    "--tls-cert": "serving certificate, PEM; watched",
    "--tls-key": "its key, PEM; watched",
    "--client-ca": "PEM of the authorities of clients: nobody else is answered; watched",
    "--metrics-listen": "host:port of metrics and probes (default 0.0.0.0:9090); empty turns them off",
    "--concurrency": "examinations at once (default 4)",
    "--trust-root-folder": "writable folder where the public good trust root is kept fresh (default: the copy in the image)",
}
_SWITCHES = {"--allow-loopback": "for tests on one machine"}


def main(arguments: list[str], *, account: Path = _ACCOUNT) -> int:
    """Serve until told to stop.

    Args:
        arguments: flags, without the program's name.
        account: where a service account's token would be.

    Returns:
        0 after a clean stop, 2 for settings that cannot be used, 1 when serving is impossible.
    """

    def run() -> int:
        settings = read_settings(arguments)
        check_nothing_to_steal(os.environ, account)
        return _serve(settings)

    return exit_code("worker", run)


def read_settings(arguments: list[str]) -> WorkerSettings:
    """Flags, over a settings file.

    Raises:
        InvalidInputError: a setting is missing or makes no sense.
        SystemExit: unknown flags, or help was asked for.
    """
    about = "Takes orders from the operator over mutual TLS, and runs each in a process of its own."
    return read_flags(WorkerSettings, arguments, program="worker", about=about, values=_FLAGS, switches=_SWITCHES)


def check_nothing_to_steal(environment: Mapping[str, str], account: Path) -> None:
    """Refuse to parse foreign bytes where an API server's credentials are at hand (attack C5). There is no flag against this.

    Raises:
        InvalidInputError: with what was found.
    """
    if (account / "token").exists():
        raise InvalidInputError("a service account token is mounted, expected automountServiceAccountToken: false")
    if "KUBECONFIG" in environment:
        raise InvalidInputError("KUBECONFIG is set, expected a process without credentials of an API server")


def _serve(settings: WorkerSettings) -> int:
    hide()
    pair, minimum = (settings.tls_cert, settings.tls_key), ssl.TLSVersion.TLSv1_3  # it talks to our own operator alone
    certificate = Certificate(*pair, client_ca=settings.client_ca, keep_authorities=True, minimum=minimum)
    arguments: tuple[str, ...] = ("--allow-loopback",) if settings.allow_loopback else ()
    stop = threading.Event()
    if settings.trust_root_folder is not None:
        arguments += ("--trust-root-folder", str(settings.trust_root_folder))
        root = FreshRoot(settings.trust_root_folder, public_good(), report=_tell_trust_root)
        keep_fresh(root.update, clock=time, stop=stop)
    concurrency, memory_bytes = _share(settings.concurrency)
    arguments += ("--memory", str(memory_bytes))
    children = Children(seconds=limits.EXAMINATION_SECONDS, clock=monotonic, arguments=arguments)
    examinations = Examinations(children, concurrency=concurrency, clock=monotonic)
    confined = possible()  # where it is not, examinations run all the same, and everybody can see it
    metrics = Metrics(under_way=examinations.under_way, confined=confined)
    server = Server(App(examinations, metrics), certificate, under_way=examinations.under_way, failed=_tell, clock=monotonic)
    metrics_port = None
    if settings.metrics_listen:
        unready = lambda: ("draining",) if server.draining else ()  # noqa: E731 - one line, used once
        metrics_port = serve_plain(settings.metrics_listen, registry=metrics.registry, unready=unready)
    try:
        sockets = [listen(settings.listen)]
        room = {"concurrency": concurrency, "memoryOfEach": memory_bytes}
        _say(event="listening", port=sockets[0].getsockname()[1], metricsPort=metrics_port, confined=confined, **room)
        server.run(sockets=sockets)
    finally:
        stop.set()
        examinations.stop()
    return 0


def _share(wished: int) -> tuple[int, int]:
    """How many examinations at once, and the memory of each, so that none can end the whole worker."""
    container = memory.of_container()
    fitting, each = memory.of_each(container, processes=wished)
    if fitting == 0:
        least = limits.WORKER_MEMORY_BYTES + limits.EXAMINER_LEAST_MEMORY_BYTES
        raise InvalidInputError(f"got a container of {container} bytes of memory, expected at least {least}")
    if fitting < wished:
        _say(event="fewer-examinations-at-once", wished=wished, fitting=fitting, containerBytes=container)
    return fitting, each


def _tell(error: UnavailableError) -> None:
    _say(event="certificate-unusable", why=str(error))


def _tell_trust_root(why: str) -> None:
    _say(event="trust-root-not-refreshed", why=why)


def _say(**line: object) -> None:
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
