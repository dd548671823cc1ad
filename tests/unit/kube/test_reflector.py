import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.kube.client import ApiServer
from modeltrust.kube.reflector import Reflector, Resource
from modeltrust.store.sink import Kind
from tests.support.api_server import ApiServerSimulator


class Mirror:
    """A sink that keeps what it is given, and a watcher that counts."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.replaced = 0
        self.confirmations = 0
        self.failures: list[Exception] = []
        self.broken_once = False
        self.rests = 0

    def rest(self) -> None:
        self.rests += 1

    def replace(self, kind: Kind, objects: Iterable[Any]) -> None:  # noqa: ARG002 - one kind only
        self.objects = {value["metadata"]["name"]: value for value in objects}
        self.replaced += 1

    def upsert(self, kind: Kind, value: Any) -> None:  # noqa: ARG002 - one kind only
        if self.broken_once:
            self.broken_once = False
            raise RuntimeError("a bug in the sink")
        self.objects[value["metadata"]["name"]] = value

    def delete(self, kind: Kind, name: str) -> None:  # noqa: ARG002 - one kind only
        self.objects.pop(name, None)

    def confirmed(self, kind: Kind) -> None:  # noqa: ARG002 - one kind only
        self.confirmations += 1

    def failed(self, kind: Kind, error: Exception) -> None:  # noqa: ARG002 - one kind only
        self.failures.append(error)

    def names(self) -> set[str]:
        return set(self.objects)


@pytest.fixture
def server() -> ApiServerSimulator:
    simulator = ApiServerSimulator()
    for name in ("a", "b", "c"):
        simulator.put(name)
    return simulator


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
def kind() -> Kind:
    """One that is believed for long without a sign."""
    return Kind.POLICIES


@pytest.fixture
def reflecting(
    server: ApiServerSimulator, mirror: Mirror, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Starts the reflector; waits are short."""
    monkeypatch.setattr(limits, "BACK_OFF_SECONDS", (0.01, 0.02))
    stop = threading.Event()
    with server.serving(tmp_path) as access:
        reflector = Reflector(
            api=ApiServer(access),
            resource=Resource(kind, f"/apis/modeltrust.dev/v1alpha1/{kind.value}"),
            sink=mirror,
            watcher=mirror,
            stop=stop,
            uniform=lambda low, high: (low + high) / 2,
            rest=mirror.rest,
        )
        thread = threading.Thread(target=reflector.run)
        yield thread.start
        stop.set()
        deadline = time.monotonic() + 5
        while thread.is_alive():
            assert time.monotonic() < deadline, "the reflector did not stop within 5 s"
            server.end_watches()
            thread.join(0.02)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 5 s"
        time.sleep(0.005)


def test_a_list_in_pages_is_complete_before_it_replaces_anything(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    server.page_size = 2
    reflecting()

    eventually(lambda: mirror.replaced == 1)
    assert mirror.names() == {"a", "b", "c"}


def test_events_are_followed(server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    server.put("d")
    server.put("a", spec={"new": True})
    server.remove("b")

    eventually(lambda: mirror.names() == {"a", "c", "d"} and "spec" in mirror.objects["a"])
    assert mirror.replaced == 1


def test_after_each_object_and_each_event_others_may_get_on(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    assert mirror.rests == 3
    server.put("d")
    server.remove("a")

    eventually(lambda: mirror.rests == 5)


def test_a_bookmark_confirms_without_changing_anything(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    before = mirror.confirmations
    server.bookmark()

    eventually(lambda: mirror.confirmations == before + 1)
    assert mirror.names() == {"a", "b", "c"}


def test_after_the_server_ends_a_watch_the_next_one_goes_on_where_it_stood(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    server.put("d")
    eventually(lambda: "d" in mirror.objects)
    server.end_watches()
    eventually(lambda: sum("watch=1" in path for _, path in server.requests) == 2)
    server.put("e")

    eventually(lambda: "e" in mirror.objects)
    assert mirror.replaced == 1


@pytest.mark.parametrize("form", ["status", "event"])
def test_f75_after_410_in_either_form_what_was_deleted_meanwhile_vanishes(
    form: str, server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    server.remove_silently("b")
    if form == "event":
        server.expire()
    else:
        server.end_watches()

    eventually(lambda: mirror.names() == {"a", "c"})
    assert mirror.replaced == 2


def test_after_a_restore_from_a_backup_what_is_no_longer_there_vanishes(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    server.remove_silently("b")
    server.send_raw(b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}\n')

    eventually(lambda: mirror.names() == {"a", "c"})
    assert mirror.replaced == 2


def test_an_expired_continue_token_starts_the_list_again_and_never_shows_half_of_it(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    server.page_size = 2
    server.expired_continue = True
    reflecting()

    eventually(lambda: mirror.replaced == 1)
    assert mirror.names() == {"a", "b", "c"}
    assert len(mirror.failures) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503, 302])
def test_a_failed_list_is_no_empty_list(
    status: int, server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    server.faults = [status, status]
    reflecting()

    eventually(lambda: mirror.replaced == 1)
    assert mirror.names() == {"a", "b", "c"}
    assert len(mirror.failures) == 2


@pytest.mark.parametrize(
    "garbage",
    [
        b"not json\n",
        b'{"type": "ADDED"\n',
        b'{"type": "ADDED", "object": {}}\n',
        b'{"type": "ADDED", "object": {"metadata": {"name": "x"}}}\n',
        b'{"type": "DELETED", "object": {"metadata": {"resourceVersion": "9"}}}\n',
        b'{"type": "SURPRISE", "object": {"metadata": {"name": "x", "resourceVersion": "9"}}}\n',
        b'{"type": "ERROR", "object": {"code": 500}}\n',
        b'{"type": "ADDED", "object": [1]}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=lambda data: data[:50].decode("ascii", "replace"),
)
def test_f77_garbage_in_a_watch_costs_a_reconnection_and_nothing_else(
    garbage: bytes, server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    server.send_raw(garbage)
    eventually(lambda: len(mirror.failures) == 1)
    eventually(lambda: sum("watch=1" in path for _, path in server.requests) == 2)
    server.put("d")

    eventually(lambda: "d" in mirror.objects)
    assert {"a", "b", "c"} <= mirror.names()


def test_f76_a_watch_that_falls_silent_is_noticed(
    mirror: Mirror, reflecting: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WATCH_SILENCE_SECONDS", 0.1)
    reflecting()

    eventually(lambda: len(mirror.failures) >= 1)
    assert mirror.names() == {"a", "b", "c"}
    assert mirror.replaced == 1


@pytest.mark.parametrize("kind", [Kind.SIGNERS, Kind.REVOCATIONS])
def test_what_is_believed_for_two_minutes_is_listed_once_a_watch_fell_silent_for_one(
    mirror: Mirror, reflecting: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next watch may be as silent: no bookmark comes while the API server's cache stands where the watch began."""
    monkeypatch.setattr(limits, "WATCH_SILENCE_SECONDS", 0.1)
    reflecting()

    eventually(lambda: mirror.confirmations >= 3)
    assert len(mirror.failures) >= 2
    assert mirror.names() == {"a", "b", "c"}


@pytest.mark.parametrize("kind", [Kind.SIGNERS])
def test_what_is_believed_for_two_minutes_grows_stale_where_the_list_fails_as_well(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    monkeypatch.setattr(limits, "LIST_OBJECTS", 2)
    server.end_watches()

    eventually(lambda: len(mirror.failures) >= 3)
    assert (mirror.confirmations, mirror.names()) == (1, {"a", "b", "c"})


def test_an_event_that_never_ends_is_cut(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WATCH_EVENT_BYTES", 1000)
    reflecting()
    eventually(lambda: server.watching() == 1)
    server.send_raw(b"x" * 2000)

    eventually(lambda: len(mirror.failures) == 1)


def test_a_page_larger_than_any_page_is_cut(
    mirror: Mirror, reflecting: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIST_PAGE_BYTES", 10)
    reflecting()

    eventually(lambda: len(mirror.failures) >= 1)
    assert mirror.replaced == 0


def test_more_objects_than_may_be_held_is_a_failed_list(
    mirror: Mirror, reflecting: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIST_OBJECTS", 2)
    reflecting()

    eventually(lambda: len(mirror.failures) >= 1)
    assert mirror.replaced == 0


def test_a_bug_in_the_sink_leads_to_a_complete_list_and_no_silent_death(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    mirror.broken_once = True
    server.put("d")

    eventually(lambda: mirror.replaced == 2)
    assert mirror.names() == {"a", "b", "c", "d"}


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_tight_loop(
    server: ApiServerSimulator, mirror: Mirror, reflecting: Callable[[], None]
) -> None:
    reflecting()
    eventually(lambda: server.watching() == 1)
    server.end_watches()

    eventually(lambda: len(mirror.failures) == 1)
