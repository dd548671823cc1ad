"""kopf, and nothing else of it than its watches: who changed goes into the queue, and no handler does any work.

``on.event`` alone, so that kopf writes no annotation and no finalizer; standalone, so that no peering object can freeze us; and
without events of its own. In the holder of the Lease only, in a thread and loop of its own: it cancels what else runs there.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from modeltrust.kube.access import Access

_GROUP, _VERSION = "modeltrust.dev", "v1alpha1"
_SILENCE_SECONDS = 70.0  # bookmarks come about every 60 s; then the watch counts as stalled

_PAGE = 250  # objects of a list in one answer
_IDLE_SECONDS = 0.1  # kopf keeps a task and the last body of each object so long (its default, 5 s: 300 MB after a list of 10,000)

Changed = Callable[[str, Mapping[str, Any], str], None]


class Watching:
    """Watches our kinds until stopped."""

    def __init__(self, access: Access, *, plurals: tuple[str, ...], changed: Changed, died: Callable[[str], None]) -> None:
        """Begin without watching.

        Args:
            access: to the API server; its files are read again at every log-in.
            plurals: of the kinds.
            changed: told (plural, object, ``ADDED``, ``MODIFIED`` or ``DELETED``, or ``""`` where it was found by listing); must
                return at once.
            died: told why, if kopf ends by itself.
        """
        self._access = access
        self._plurals = plurals
        self._changed = changed
        self._died = died
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End within a few seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        why = "kopf ended"
        try:
            asyncio.run(self._operator())
        except Exception as error:  # noqa: BLE001 - whatever ends it, the process must not go on without it
            why = f"kopf ended with {type(error).__name__}"
        if not self._stop.is_set():
            self._died(why)

    async def _operator(self) -> None:
        await kopf.operator(
            registry=self._registry(), settings=_settings(), standalone=True, clusterwide=True, stop_flag=self._stop
        )

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for plural in self._plurals:
            kopf.on.event(_GROUP, _VERSION, plural, registry=registry, id=plural)(self._handler(plural))
        return registry

    def _handler(self, plural: str) -> Callable[..., Any]:
        async def seen(*, type: str | None, body: Mapping[str, Any], **_: Any) -> None:  # noqa: A002 - as kopf calls it
            self._changed(plural, body, type or "")

        return seen

    def _login(self, **_: Any) -> kopf.ConnectionInfo:
        access = self._access
        token = None if access.token_file is None else access.token_file.read_text(encoding="ascii").strip()
        return kopf.ConnectionInfo(
            server=access.url,
            ca_data=access.ca.encode(),
            token=token,
            certificate_path=None if access.certificate is None else str(access.certificate),
            private_key_path=None if access.key is None else str(access.key),
        )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.inactivity_timeout = _SILENCE_SECONDS
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = _PAGE  # else all of 10,000 objects are in memory at once, parsed
    settings.queueing.idle_timeout = _IDLE_SECONDS
    settings.execution.max_workers = 1  # its pool for synchronous handlers, of which there are none
    return settings


class Forward(logging.Handler):
    """What kopf and asyncio have to say, one JSON line each, warnings and worse."""

    def __init__(self, log: Callable[..., None]) -> None:
        """Begin.

        Args:
            log: takes the event's name and fields.
        """
        super().__init__(level=logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line; what cannot be formatted is named only."""
        try:
            message = record.getMessage()[:1_000]
        except (TypeError, ValueError):
            message = "(a message that cannot be formatted)"
        self._log("library", library=record.name, level=record.levelname, message=message)
