"""Where the report of an evaluation can be read: one ConfigMap for each model and suite, replaced by the next run.

Written by the signer from the numbers of the runner; it decides nothing. Prompts and answers that are private are not in a report.
"""

import hashlib
from typing import Protocol

from modeltrust.api.evaluation_work import encode_evaluation_report
from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError
from modeltrust.domain.evaluation import EvaluationReport, Judgement, Suite
from modeltrust.evaluation.report.page import page
from modeltrust.kube import paths
from modeltrust.kube.client import Object
from modeltrust.operator.describing import MANAGER
from modeltrust.operator.writes import Writes

_LABELS = {"app.kubernetes.io/name": "modeltrust", "modeltrust.dev/report": "evaluation"}
_NAME_CHARACTERS = 32


class Logs(Protocol):
    """Who is told of what could not be written."""

    def log(self, event: str, **fields: object) -> None:
        """One line."""
        ...


class Reports:
    """Writes pages into the jobs' namespace."""

    def __init__(self, api: Writes, *, namespace: str, logs: Logs) -> None:
        """Join the parts.

        Args:
            api: of the cluster.
            namespace: of the Jobs.
            logs: told of a report that could not be written.
        """
        self._api = api
        self._namespace = namespace
        self._logs = logs

    def publish(self, report: EvaluationReport, judgement: Judgement, suite: Suite) -> str:
        """Write one report; a verdict never waits for its page.

        Returns:
            Where it can be read, for people; empty where it could not be written.
        """
        stamp = hashlib.sha256(f"{report.identity.key}\n{suite.name}".encode()).hexdigest()
        name = f"evaluation-{stamp[:_NAME_CHARACTERS]}"
        html, numbers = page(report, judgement, suite), encode_evaluation_report(report).decode("utf-8")
        if len(html.encode()) + len(numbers) > limits.EVALUATION_PAGE_BYTES:
            html = "the page is larger than a ConfigMap holds; it can be made again from report.json\n"
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self._namespace, "labels": _LABELS},
            "data": {"model": report.identity.key, "suite": suite.name, "report.html": html, "report.json": numbers},
        }
        try:
            self._api.apply(paths.core("configmaps", name, namespace=self._namespace), body, manager=MANAGER, force=True)
        except ModelTrustError as error:
            self._logs.log("report-not-written", name=name, why=str(error))
            return ""
        return f"{self._namespace}/{name}"
