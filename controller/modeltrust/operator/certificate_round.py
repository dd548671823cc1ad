"""The leader's look at its certificates: when it is due, and what of it is counted, logged and told in Events."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from modeltrust.domain.errors import ModelTrustError
from modeltrust.operator.certificates import CONFIGURATION, Certificates, Objects
from modeltrust.operator.owner import owner
from modeltrust.telemetry import OperatorTelemetry


class Tells(Protocol):
    """Who sends Events; ``kube.events.Events`` is one."""

    def tell(self, about: Mapping[str, Any], *, reason: str, message: str, warning: bool = False) -> bool:
        """Send one, unless it was sent within the hour."""
        ...


class CertificateRound:
    """Called again and again; does something when it is due."""

    def __init__(
        self, api: Objects, namespace: str, *, telemetry: OperatorTelemetry, events: Tells, now: Callable[[], int]
    ) -> None:
        """Begin without asking anybody.

        Args:
            api: the API server.
            namespace: of the release.
            telemetry: counts and logs.
            events: told of what differs in our webhook configurations.
            now: unix seconds.
        """
        self._api = api
        self._namespace = namespace
        self._telemetry = telemetry
        self._events = events
        self._now = now
        self._due = 0
        self._certificates: Certificates | None = None
        self._drifts: tuple[str, ...] = ()

    def __call__(self) -> None:
        """Look, if it is time.

        Raises:
            ModelTrustError: it could not be done; the next call tries again.
        """
        now = self._now()
        if now < self._due <= now + _LATEST_SECONDS:  # a clock that was set back must not put it off
            return
        if self._certificates is None:
            self._certificates = self._begin()
        self._due = self._certificates.reconcile(now)
        for secret, ends in self._certificates.ends.items():
            self._telemetry.certificate_end.labels(secret).set(ends)

    def _begin(self) -> Certificates:
        return Certificates(
            self._api,
            self._namespace,
            drifted=self._drifted,
            event=lambda reason, message: self._telemetry.log("certificates", reason=reason, message=message),
            owner=owner(self._api, self._namespace),
        )

    def _drifted(self, drifts: tuple[str, ...]) -> None:
        self._telemetry.configuration_drift.set(len(drifts))
        if drifts != self._drifts:
            self._telemetry.log("webhook-configuration-drift", differences=list(drifts))
            self._drifts = drifts
        if not drifts:
            return
        try:
            about = self._api.get_object(CONFIGURATION)
            about = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"} | about
            self._events.tell(about, reason="ConfigurationDrift", message="; ".join(drifts), warning=True)
        except ModelTrustError as error:
            self._telemetry.log("event-not-sent", why=str(error))  # an Event must never stop a renewal


_LATEST_SECONDS = 3_600
