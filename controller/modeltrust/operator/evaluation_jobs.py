"""Runs evaluations as Jobs; implements ``evaluations.Evaluator``.

The report is compared with the plan that follows from the nonce. The name of a Job follows from the commitment, which is public;
the nonce is not.
"""

import time
from collections.abc import Callable, Mapping

from modeltrust.api.evaluation_work import decode_evaluation_report, encode_evaluation_order
from modeltrust.domain import limits
from modeltrust.domain.evaluation import Dialect, EvaluationOrder, EvaluationReport, Served, commitment
from modeltrust.domain.work import Running
from modeltrust.evaluation import binding
from modeltrust.operator import evaluation_pods as pods
from modeltrust.operator.evaluations import Examination
from modeltrust.operator.job_runs import BASELINE, CANDIDATE, NAME_CHARACTERS, JobRun, JobRuns, Models
from modeltrust.operator.writes import Writes

_NOWHERE = Served("", pods.MODEL, Dialect.VLLM)  # where it was asked plays no part in what is compared


class JobEvaluator:
    """Safe to call from several threads for different models."""

    def __init__(
        self,
        api: Writes,
        models: Models,
        *,
        namespace: str,
        image: str,
        at_once: int = limits.EVALUATIONS_AT_ONCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin without contacting anybody.

        Args:
            api: of the cluster.
            models: what is served.
            namespace: of the Jobs, which nobody else may write to.
            image: ours, by digest.
            at_once: runs that have not ended.
            now: unix seconds.
        """
        self._runs = JobRuns(api, models, namespace=namespace, image=image, now=now)
        self._models = models
        self._image = image
        self._at_once = at_once

    def evaluate(self, examination: Examination) -> EvaluationReport | Running:
        """See ``Evaluator.evaluate``."""
        line = self._runs.line(self._run(examination), at_once=self._at_once)
        if isinstance(line, Running):
            return line
        report = decode_evaluation_report(line)
        binding.check(report, _order(examination, _NOWHERE, None), examination.bank)
        return report

    def _run(self, examination: Examination) -> JobRun:
        name = f"evaluate-{commitment(examination.nonce)[:NAME_CHARACTERS]}"
        seconds = limits.EVALUATION_RUN_SECONDS + limits.EVALUATION_START_SECONDS
        private = bool(examination.suite.prompts)
        runner = pods.runner(name, image=self._image, deadline_seconds=seconds, private=private)
        parts = {CANDIDATE: examination.identity}
        if examination.baseline is not None:
            parts[BASELINE] = examination.baseline

        def files(served: Mapping[str, Served]) -> dict[str, bytes]:
            order = _order(examination, served[CANDIDATE], served.get(BASELINE))
            found = {"order.json": encode_evaluation_order(order)}
            return found | ({"prompts.json": self._models.prompts(examination.settings.private)} if private else {})

        return JobRun(runner, examination.settings, examination.content, files, parts)


def _order(examination: Examination, candidate: Served, baseline: Served | None) -> EvaluationOrder:
    return EvaluationOrder(
        identity=examination.identity,
        content=examination.content,
        nonce=examination.nonce,
        suite=examination.suite,
        candidate=candidate,
        baseline=baseline,
        deadline_seconds=limits.EVALUATION_RUN_SECONDS,
    )
