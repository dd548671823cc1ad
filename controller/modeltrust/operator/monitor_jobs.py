"""Runs rounds of monitoring as Jobs; implements ``monitoring.Probes``.

A round is a runner alone, which reaches one namespace; a recording is a runner beside an engine with the attested bytes, as in an
evaluation. What comes back is believed because it names the nonce, which nobody else knows, and only as far as its numbers go.
"""

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from modeltrust.api.compile.suites import SuiteSettings
from modeltrust.api.evaluation_work import decode_monitor_report, encode_monitor_order
from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.evaluation import Served, commitment
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.domain.work import Running
from modeltrust.evaluation.fingerprint import check_recorded, decode_fingerprint, digest_of
from modeltrust.kube import paths
from modeltrust.operator import evaluation_pods as pods
from modeltrust.operator.fingerprints import Fingerprints, name_of
from modeltrust.operator.job_runs import CANDIDATE, NAME_CHARACTERS, JobRun, JobRuns, Models
from modeltrust.operator.monitoring import Watched
from modeltrust.operator.writes import Writes


class JobProbes:
    """Safe to call from several threads for different watches."""

    def __init__(  # noqa: PLR0913 - joins the parts
        self,
        api: Writes,
        models: Models,
        fingerprints: Fingerprints,
        *,
        namespace: str,
        image: str,
        at_once: int = limits.MONITORS_AT_ONCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin without contacting anybody.

        Args:
            api: of the cluster.
            models: what is served.
            fingerprints: where they are kept.
            namespace: of the Jobs, which nobody else may write to.
            image: ours, by digest.
            at_once: rounds that have not ended; recordings count among evaluations, whose engines they need.
            now: unix seconds.
        """
        self._api = api
        self._runs = JobRuns(api, models, namespace=namespace, image=image, now=now)
        self._models = models
        self._fingerprints = fingerprints
        self._image = image
        self._at_once = at_once

    def record(self, settings: SuiteSettings, watched: Watched, order: MonitorOrder) -> str | Running:
        """See ``Probes.record``."""
        name = f"record-{commitment(order.nonce)[:NAME_CHARACTERS]}"
        seconds = order.deadline_seconds + limits.EVALUATION_START_SECONDS
        private = bool(order.suite.prompts)
        runner = pods.runner(name, image=self._image, deadline_seconds=seconds, private=private, records=True)

        def files(served: Mapping[str, Served]) -> dict[str, bytes]:
            return self._files(settings, replace(order, served=served[CANDIDATE]))

        run = JobRun(runner, settings, order.content, files, {CANDIDATE: order.identity})
        line = self._runs.line(run, at_once=limits.EVALUATIONS_AT_ONCE)
        if isinstance(line, Running):
            return line
        data = _fingerprint(line)
        found = decode_fingerprint(data, digest=digest_of(data))
        check_recorded(found, order.suite, watched.triggers, content=order.content, nonce=order.nonce)
        suite = self._api.get_object(paths.ours("evaluationsuites", order.suite.name))
        return self._fingerprints.keep(suite, order.identity, order.suite.hash, order.content, data)

    def probe(self, settings: SuiteSettings, watched: Watched, order: MonitorOrder) -> MonitorReport | Running:
        """See ``Probes.probe``."""
        runner = pods.round_of(
            f"monitor-{commitment(order.nonce)[:NAME_CHARACTERS]}",
            image=self._image,
            deadline_seconds=order.deadline_seconds + limits.MONITOR_START_SECONDS,
            private=bool(order.suite.prompts),
            fingerprint=name_of(order.identity.key, order.suite.hash),
            namespace=watched.namespace,
        )
        run = JobRun(runner, settings, order.content, lambda _served: self._files(settings, order))
        line = self._runs.line(run, at_once=self._at_once)
        return line if isinstance(line, Running) else decode_monitor_report(line)

    def _files(self, settings: SuiteSettings, order: MonitorOrder) -> dict[str, bytes]:
        found = {"order.json": encode_monitor_order(order)}
        return found | ({"prompts.json": self._models.prompts(settings.private)} if order.suite.prompts else {})


def _fingerprint(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("got a recording that is no fingerprint") from error
