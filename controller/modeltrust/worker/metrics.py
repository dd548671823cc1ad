"""What the worker counts. Labels are HTTP statuses, a closed set; no model, source or account is named."""

from collections.abc import Callable
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """Of one worker process."""

    def __init__(self, *, under_way: Callable[[], int]) -> None:
        """Register everything in a registry of its own.

        Args:
            under_way: how many examinations run now.
        """
        self.registry = CollectorRegistry()
        self._answers = Counter("modeltrust_worker_answers", "Answers to orders.", ["status"], registry=self.registry)
        running = Gauge("modeltrust_worker_examinations", "Examinations under way.", registry=self.registry)
        running.set_function(under_way)

    def answered(self, status: HTTPStatus) -> None:
        """Count one answer."""
        self._answers.labels(str(int(status))).inc()
