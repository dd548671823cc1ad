"""What people and machines are told about watched servers: Events, gauges, log lines, and at most one ModelRevocation."""

from collections.abc import Callable
from typing import Any, Protocol

from modeltrust.api.attestations import attestation_name
from modeltrust.api.v1alpha1.kind import API_VERSION
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.monitoring import MonitorReport
from modeltrust.domain.reference import Identity
from modeltrust.evaluation.monitor import Watch
from modeltrust.kube.client import Object
from modeltrust.kube.events import Events
from modeltrust.operator.monitoring import Watched
from modeltrust.operator.revoking import Revoked, not_revoked, revoke
from modeltrust.operator.writes import Writes

_HASH = 32  # characters of an automatic name that are the identity's hash (M4)


class Measures(Protocol):
    """Logs; ``telemetry.OperatorTelemetry`` is the real one."""

    def log(self, event: str, **fields: Any) -> None:
        """One JSON line."""
        ...


class Alarms:
    """Implements ``monitoring.Tells``."""

    def __init__(self, writes: Writes, *, about: Callable[[str], Object], events: Events, measures: Measures) -> None:
        """Join the parts.

        Args:
            writes: to the API server.
            about: the EvaluationSuite by name, which Events are about.
            events: for people.
            measures: for machines.
        """
        self._writes = writes
        self._about = about
        self._events = events
        self._measures = measures

    def measured(self, watched: Watched, watch: Watch, report: MonitorReport) -> None:
        """One line for each family of streams in the words of OpenTelemetry's semantic conventions."""
        for stream, value in zip(("identity", "canary"), logarithms(watch), strict=True):
            self._measures.log(
                "gen_ai.evaluation.result",
                **{
                    "gen_ai.evaluation.name": f"{watched.suite.name}/{stream}",
                    "gen_ai.evaluation.score.value": round(value, 3),
                    "gen_ai.evaluation.score.label": watch.level.value,
                    "gen_ai.evaluation.explanation": "natural logarithm of the e-value against the recorded fingerprint",
                    "model": watched.identity.key,
                    "fingerprint": watch.fingerprint,
                    "nonce": report.nonce,
                    "round": watch.rounds,
                    "drift_nats": report.drift.divergence / 1_000_000,
                },
            )

    def degraded(self, watched: Watched, watch: Watch) -> None:
        """Somebody should look."""
        self._tell(watched, "Degraded", f"{_said(watched, watch)}; nothing is denied")

    def alarmed(self, watched: Watched, watch: Watch, *, deny: bool) -> None:
        """Propose a revocation, or create it."""
        if not deny:
            self._tell(watched, "RevocationProposed", f"{_said(watched, watch)}; `modeltrust revoke` would deny it")
            return
        value = revocation(watched, watch)
        if revoke(self._writes, value) is Revoked.NOT:
            self._tell(watched, "RevocationProposed", f"{_said(watched, watch)}; {not_revoked(value)}")
            return
        self._tell(watched, "ModelRevoked", f"{_said(watched, watch)}; nothing new starts with it, what runs goes on")

    def unheard(self, watched: Watched, why: str) -> None:
        """Somebody should look: a server that refuses the questions is never judged by them."""
        text = f"what is served as {watched.identity.key} showed nothing in {limits.MONITOR_SILENT_ROUNDS} rounds: {why}"
        self._tell(watched, "NothingShown", text)

    def _tell(self, watched: Watched, reason: str, message: str) -> None:
        self._events.tell(self._about(watched.suite.name), reason=reason, message=message, warning=True, action="Monitor")


def logarithms(watch: Watch) -> tuple[float, float]:
    """Natural logarithms of e: of the identity stream, and of the loudest trigger's."""
    return watch.identity.log_e, max((stream.log_e for _, stream in watch.canaries), default=0.0)


def revocation(watched: Watched, watch: Watch) -> Object:
    """The ModelRevocation of an alarm: DenyNew, whatever the alarm; its name follows from the model, so there is one."""
    identity = watched.identity
    named = {"contentDigests": [str(identity.pin)]} if isinstance(identity.pin, ContentDigest) else {"models": [identity.key]}
    spec = {
        **named,
        "reason": _said(watched, watch)[: limits.API_TEXT_CHARACTERS],
        "reference": f"evaluationsuite/{watched.suite.name}"[: limits.API_NAME_CHARACTERS],
        "action": "DenyNew",
    }
    labels = {"modeltrust.dev/created-by": "operator"}
    metadata = {"name": revocation_of(identity), "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "ModelRevocation", "metadata": metadata, "spec": spec}


def revocation_of(identity: Identity) -> str:
    """Name of the ModelRevocation of an alarm about a model."""
    return f"alarm-{attestation_name(identity)[-_HASH:]}"


def _said(watched: Watched, watch: Watch) -> str:
    streams = ", ".join(watch.streams) or "a stream that was loud before"
    return (
        f"what is served as {watched.identity.key} does not answer as its attested bytes did: e is {watch.e:.3g} in {streams} after"
        f" {watch.rounds} rounds, fingerprint {watch.fingerprint[:12]}; another engine, driver or quantisation does this, too"
    )
