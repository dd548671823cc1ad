"""Every write of the operator passes here: at a bounded rate, and only while this process leads (faults F84, F87)."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.kube.client import ApiServer, Object


class NotLeadingError(UnavailableError):
    """Another process may lead by now: nothing is written."""


class Budget:
    """A token bucket: so many writes a second, and as many at once."""

    def __init__(self, rate: float, *, clock: Callable[[], float], wait: Callable[[float], bool]) -> None:
        """Begin full.

        Args:
            rate: writes a second.
            clock: monotonic seconds.
            wait: waits so many seconds; True when the process ends.
        """
        self._rate = rate
        self._clock = clock
        self._wait = wait
        self._tokens = max(1.0, rate)
        self._at = clock()
        self._changing = threading.Lock()

    @property
    def tokens(self) -> float:
        """Writes that could be made now; below zero where some wait."""
        return self._tokens

    def take(self) -> None:
        """Wait for a place.

        Raises:
            UnavailableError: the line is longer than anybody should stand in, or the process ends.
        """
        with self._changing:
            now = self._clock()
            self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
            self._at = now
            seconds = (1.0 - self._tokens) / self._rate
            if seconds > limits.WRITE_WAIT_SECONDS:
                raise UnavailableError(f"got more writes than {self._rate:g} a second for too long")
            self._tokens -= 1.0
        if seconds > 0 and self._wait(seconds):
            raise UnavailableError("the process ends")


class Writes:
    """An API server for reconcilers: reading is free, writing costs a place in the budget and the Lease."""

    def __init__(self, api: ApiServer, *, budget: Budget, leading: Callable[[], bool]) -> None:
        """Join the parts.

        Args:
            api: the real one.
            budget: of all writes of this process.
            leading: whether this process may act now.
        """
        self._api = api
        self._budget = budget
        self._leading = leading

    def get_object(self, path: str) -> Object:
        """See ``ApiServer``."""
        return self._api.get_object(path)

    def list_objects(self, path: str, parameters: Mapping[str, str] | None = None) -> Iterator[Object]:
        """See ``ApiServer``."""
        return self._api.list_objects(path, parameters)

    def pod_log(self, namespace: str, pod: str, *, max_bytes: int, container: str = "", tail_lines: int = 0) -> bytes:
        """See ``ApiServer``."""
        return self._api.pod_log(namespace, pod, max_bytes=max_bytes, container=container, tail_lines=tail_lines)

    def create_object(self, path: str, value: Mapping[str, Any]) -> Object | None:
        """See ``ApiServer``."""
        self._permit()
        return self._api.create_object(path, value)

    def apply(self, path: str, value: Mapping[str, Any], *, manager: str, force: bool = False, subresource: str = "") -> Object:
        """See ``ApiServer``."""
        self._permit()
        return self._api.apply(path, value, manager=manager, force=force, subresource=subresource)

    def merge_patch(self, path: str, value: Mapping[str, Any], *, manager: str = "", subresource: str = "") -> Object:
        """See ``ApiServer``."""
        self._permit()
        return self._api.merge_patch(path, value, manager=manager, subresource=subresource)

    def replace(self, path: str, value: Mapping[str, Any], *, subresource: str = "") -> Object:
        """See ``ApiServer``."""
        self._permit()
        return self._api.replace(path, value, subresource=subresource)

    def delete(self, path: str, *, uid: str = "", resource_version: str = "", propagation: str = "Background") -> bool:
        """See ``ApiServer``."""
        self._permit()
        return self._api.delete(path, uid=uid, resource_version=resource_version, propagation=propagation)

    def _permit(self) -> None:
        self._budget.take()
        if not self._leading():  # asked last: waiting for the budget may have taken longer than the Lease lasts
            raise NotLeadingError("this process does not lead any more, so it writes nothing")
