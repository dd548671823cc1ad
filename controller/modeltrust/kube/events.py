"""Events: what people see under ``kubectl describe``. One about one thing, not one for each attempt."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from modeltrust.domain import limits
from modeltrust.kube import paths
from modeltrust.kube.client import Object

_NAMESPACE = "default"  # where events about cluster-scoped objects lie
_SUFFIX_CHARACTERS = 24


class Creates(Protocol):
    """Who creates objects; ``kube.client.ApiServer`` is one."""

    def create_object(self, path: str, value: Mapping[str, Any]) -> Object | None:
        """The object as created, or None where one of this name exists."""
        ...


class Events:
    """Sends each event once an hour at most; a bounded memory, and a name that two replicas agree on."""

    def __init__(self, api: Creates, *, component: str, instance: str, clock: Callable[[], float]) -> None:
        """Begin with nothing sent.

        Args:
            api: takes them.
            component: ``modeltrust-operator``.
            instance: of this process.
            clock: unix seconds.
        """
        self._api = api
        self._component = component
        self._instance = instance
        self._clock = clock
        self._sent: OrderedDict[str, float] = OrderedDict()
        self._changing = threading.Lock()

    def tell(self, about: Mapping[str, Any], *, reason: str, message: str, warning: bool = False, action: str = "Verify") -> bool:
        """Send one event, unless the same one was sent within the hour.

        Args:
            about: the object: apiVersion, kind and metadata with name, uid and, if it has one, namespace.
            reason: CamelCase, such as ``ModelVerified``.
            message: one or two sentences.
            warning: whether somebody should look.
            action: what was done.

        Returns:
            Whether it was sent now.

        Raises:
            ModelTrustError: it could not be sent; it is tried again the next time.
        """
        now = self._clock()
        metadata = about["metadata"]
        text = "\0".join((str(metadata.get("uid")), reason, message))
        key = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_SUFFIX_CHARACTERS]
        with self._changing:
            if now - self._sent.get(key, float("-inf")) < limits.EVENT_SECONDS:
                return False
        event = self._event(about, key, now, warning=warning)
        event |= {"reason": reason, "action": action, "note": message[: limits.EVENT_CHARACTERS]}
        namespace = metadata.get("namespace") or _NAMESPACE
        made = self._api.create_object(paths.group("events.k8s.io/v1", "events", namespace=namespace), event)
        self._remember(key, now)
        return made is not None

    def _event(self, about: Mapping[str, Any], key: str, now: float, *, warning: bool) -> Object:
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or _NAMESPACE
        hour = int(now // limits.EVENT_SECONDS)
        regarding = {key: about.get(key) for key in ("apiVersion", "kind")}
        regarding |= {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion") if metadata.get(key)}
        name = f"{str(metadata['name'])[: limits.API_NAME_CHARACTERS - 2 * _SUFFIX_CHARACTERS].rstrip('.-')}.{key}{hour:x}"
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning" if warning else "Normal",
            "reportingController": f"modeltrust.dev/{self._component}",
            "reportingInstance": self._instance,
            "regarding": regarding,
        }

    def _remember(self, key: str, now: float) -> None:
        with self._changing:
            self._sent[key] = now
            self._sent.move_to_end(key)
            while len(self._sent) > limits.EVENTS_REMEMBERED:
                self._sent.popitem(last=False)
