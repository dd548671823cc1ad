"""The webhook process: reads its settings, joins the parts, serves until told to stop."""

import gc
import random
import secrets
import socket
import sys
from functools import partial
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Protocol

import msgspec

from modeltrust.api.compile import check_object
from modeltrust.config import WebhookSettings
from modeltrust.domain import limits
from modeltrust.domain.facts import Absent
from modeltrust.domain.reference import Identity
from modeltrust.policy.policy import Unmatched
from modeltrust.store.sink import Kind
from modeltrust.store.store import Store
from modeltrust.telemetry import Telemetry
from modeltrust.webhook.answer import Answerer, count_only
from modeltrust.webhook.app import App, build_app
from modeltrust.webhook.background import Background
from modeltrust.webhook.health import Health
from modeltrust.webhook.mutate import Mutator
from modeltrust.webhook.requests import Requests
from modeltrust.webhook.serve import Server
from modeltrust.webhook.validate import Validate
from modeltrust.wiring.admission import Live, live_admission
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.listening import configuration, listen
from modeltrust.wiring.plain import serve_plain
from modeltrust.wiring.process import exit_code, read_flags

if TYPE_CHECKING:
    from modeltrust.wiring.cluster import Reflecting

_SWITCH_SECONDS = 0.0005  # background threads give the interpreter back sooner: p99 9 instead of 17 ms (facts/performance.md)
_READY_POLL_SECONDS = 0.05


def main(arguments: list[str]) -> int:
    """Serve until told to stop.

    Args:
        arguments: flags, without the program's name.

    Returns:
        0 after a clean stop, 2 for settings that cannot be used, 1 when serving is impossible.
    """
    return exit_code("webhook", lambda: _serve(read_settings(arguments)))


def read_settings(arguments: list[str]) -> WebhookSettings:
    """Flags, over a settings file.

    Raises:
        InvalidInputError: a setting is missing or makes no sense.
        SystemExit: unknown flags, or help was asked for.
    """
    about = "The admission webhook: answers from a trust folder, or from what it watches at the API server."
    return read_flags(WebhookSettings, arguments, program="webhook", about=about, values=_FLAGS, switches=_SWITCHES)


_SWITCHES = {"--reuse-port": "listen when ready, beside another process that listens there; leave the port to it when stopped"}
_FLAGS = {
    "--trust": "folder with policies, signers, attestations … and attestors.yaml; watched",
    "--attestors": "in a cluster, instead of --trust: the attestor file; everything else is watched at the API server",
    "--kubeconfig": "how to reach the API server; without it, as the Pod's service account",
    "--tls-cert": "serving certificate, PEM; watched",
    "--tls-key": "its key, PEM; watched",
    "--client-ca": "PEM of the authorities of clients: nobody else is answered on the TLS port, probes included",
    "--listen": "host:port of the webhook (default 0.0.0.0:9443)",
    "--metrics-listen": "host:port of the metrics, and of the probes again (default 0.0.0.0:9090); empty turns them off",
    "--unmatched": "Allow, Warn or Deny where no enforcing policy covers a model (default Allow)",
    "--inject-image": "of the verifier that is injected into Pods, by digest; without it VerifiedAtLoad never holds",
    "--poll-seconds": f"between two looks at the trust folder (default {limits.POLL_SECONDS:g})",
    "--drain-seconds": f"still answering after SIGTERM (default {limits.DRAIN_SECONDS:g})",
}


def _serve(settings: WebhookSettings) -> int:
    telemetry = Telemetry()
    certificate = Certificate(settings.tls_cert, settings.tls_key, client_ca=settings.client_ca)
    live, reflecting = _live(settings, telemetry)
    health = Health(live.store.unready)
    background = Background(live=live, certificate=certificate, telemetry=telemetry, poll_seconds=settings.poll_seconds)
    requests = None if reflecting is None else _requests(live.store, reflecting, telemetry)
    server = Server(
        configuration(_application(live, health, telemetry, requests), certificate),
        health=health,
        drain_seconds=settings.drain_seconds,
        clock=monotonic,
        shared=settings.reuse_port,
    )
    sys.setswitchinterval(_SWITCH_SECONDS)
    parts: list[_Part] = [part for part in (background, reflecting, requests) if part is not None]
    metrics_port = None
    if settings.metrics_listen:
        unready = partial(_unready, health)
        metrics_port = serve_plain(settings.metrics_listen, registry=telemetry.registry, unready=unready)
    for part in parts:
        part.start()
    gc.collect()
    gc.freeze()
    try:
        sockets = [_listen(settings, health)]
        said = {"event": "listening", "port": sockets[0].getsockname()[1], "metricsPort": metrics_port}
        sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
        sys.stdout.flush()
        server.run(sockets=sockets)
    finally:
        for part in parts:
            part.stop()
    return 0


class _Part(Protocol):
    """What runs beside the answers."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _listen(settings: WebhookSettings, health: Health) -> socket.socket:
    # A shared port gives this process its connections from the first moment: before it is ready it would answer them with 503,
    # which denies where failurePolicy is Fail, although its predecessor gives verdicts still.
    while settings.reuse_port and health.ready(time()):
        sleep(_READY_POLL_SECONDS)
    return listen(settings.listen, reuse_port=settings.reuse_port)


def _requests(store: Store, reflecting: "Reflecting", telemetry: Telemetry) -> Requests:
    def attested(identity: Identity) -> bool:
        return not isinstance(store.statements.look_up(identity, int(time())), Absent)

    return Requests(
        objects=reflecting.api,
        known=lambda namespace: namespace in store.snapshot().namespaces,
        attested=attested,
        telemetry=telemetry,
        clock=time,
        uniform=random.uniform,
    )


def _live(settings: WebhookSettings, telemetry: Telemetry) -> "tuple[Live, Reflecting | None]":
    """What decides, fed by a folder or by the API server."""

    def unusable(kind: Kind, name: str, why: str) -> None:
        telemetry.log("object-unusable", kind=kind.value, name=name, why=why)

    def report(error: Exception) -> str:
        return _report(telemetry, error)

    unmatched = Unmatched(settings.unmatched)
    if settings.trust is not None:
        return live_admission(
            settings.trust, unmatched=unmatched, problem=unusable, report=report, inject_image=settings.inject_image
        ), None
    from modeltrust.wiring.cluster import live_cluster  # noqa: PLC0415 - a webhook fed by a folder needs no HTTP client

    def failed(kind: Kind, error: Exception) -> None:
        telemetry.watch_failures.labels(kind.value).inc()
        telemetry.log("watch-failed", kind=kind.value, why=str(error) or type(error).__name__)

    return live_cluster(settings, unmatched=unmatched, unusable=unusable, failed=failed, report=report)


def _application(live: Live, health: Health, telemetry: Telemetry, requests: Requests | None) -> App:
    answerer = Answerer(
        admission=live.admission,
        tables=live.extractor.tables,
        telemetry=telemetry,
        identifier=_identifier,
        report=lambda error: _report(telemetry, error),
        check=lambda value: check_object(value, live.extractor),
        ask=count_only if requests is None else requests.ask,
    )
    validate = Validate(answerer=answerer, health=health, telemetry=telemetry)
    mutate = Validate(answerer=Mutator(admission=live.admission, telemetry=telemetry), health=health, telemetry=telemetry)
    return build_app(validate, mutate, health)


def _unready(health: Health) -> tuple[str, ...]:
    return tuple(health.ready(time()))


def _report(telemetry: Telemetry, error: Exception) -> str:
    identifier = _identifier()
    telemetry.failed("internal-error", error, id=identifier)
    return identifier


def _identifier() -> str:
    return secrets.token_hex(3)
