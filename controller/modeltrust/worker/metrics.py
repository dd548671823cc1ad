"""What the worker counts. Labels are HTTP statuses, a closed set; no model, source or account is named."""

from collections.abc import Callable
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """Of one worker process."""

    def __init__(self, *, under_way: Callable[[], int], confined: bool = False) -> None:
        """Register everything in a registry of its own.

        Args:
            under_way: how many examinations run now.
            confined: whether the kernel keeps files and processes from examinations.
        """
        self.registry = CollectorRegistry()
        self._answers = Counter("modeltrust_worker_answers", "Answers to orders.", ["status"], registry=self.registry)
        running = Gauge("modeltrust_worker_examinations", "Examinations under way.", registry=self.registry)
        running.set_function(under_way)
        about = "1 where the kernel keeps files and processes from examinations (Landlock and seccomp), else 0."
        Gauge("modeltrust_worker_confined", about, registry=self.registry).set(confined)

    def answered(self, status: HTTPStatus) -> None:
        """Count one answer."""
        self._answers.labels(str(int(status))).inc()
