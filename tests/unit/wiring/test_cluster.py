"""In a cluster: the same store, fed by reflectors and one mounted file."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from modeltrust.config import WebhookSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError
from modeltrust.kube.access import Access
from modeltrust.kube.reflector import RESOURCES
from modeltrust.policy.policy import Unmatched
from modeltrust.store.sink import Kind
from modeltrust.store.store import ATTESTORS, Store
from modeltrust.wiring.admission import new_store
from modeltrust.wiring.cluster import AttestorsFile, Reflecting, live_cluster
from tests.support import trusted
from tests.support.api_server import ApiServerSimulator
from tests.support.statements import NOW, attestor_entry

SECONDS = 10


class Believer:
    """Takes what a file holds, and refuses what says so."""

    def __init__(self) -> None:
        self.store = trusted.a_store()
        self.store.freshness.confirm(ATTESTORS, 0)
        self.taken: list[bytes] = []

    def __call__(self, data: bytes) -> None:
        if data == b"refuse":
            raise InvalidInputError("got what nobody believes")
        self.taken.append(data)

    def confirmed(self) -> float | None:
        return self.store.freshness.ages[ATTESTORS]


@pytest.fixture
def believer() -> Believer:
    return Believer()


def the_file(folder: Path, believer: Believer) -> AttestorsFile:
    return AttestorsFile(folder / "attestors.yaml", store=believer.store, believe=believer)


def test_a_file_is_believed_once_and_confirmed_at_every_look(tmp_path: Path, believer: Believer) -> None:
    file = the_file(tmp_path, believer)
    (tmp_path / "attestors.yaml").write_bytes(b"first")
    assert (file.poll(10), file.poll(20)) == ((), ())
    assert (believer.taken, believer.confirmed()) == ([b"first"], 20)


def test_a_changed_file_is_believed_again(tmp_path: Path, believer: Believer) -> None:
    file = the_file(tmp_path, believer)
    for text in (b"first", b"other", b"first"):
        (tmp_path / "attestors.yaml").write_bytes(text)
        assert file.poll(10) == ()
    assert believer.taken == [b"first", b"other", b"first"]


def test_a_link_is_followed_at_every_look_as_the_kubelet_exchanges_it(tmp_path: Path, believer: Believer) -> None:
    file = the_file(tmp_path, believer)
    for text in ("old", "new"):
        (tmp_path / text).write_text(text)
        (tmp_path / "attestors.yaml").unlink(missing_ok=True)
        (tmp_path / "attestors.yaml").symlink_to(tmp_path / text)
        assert file.poll(10) == ()
    assert believer.taken == [b"old", b"new"]


@pytest.mark.parametrize("damage", ["gone", "folder", "refused", "too large"])
def test_a_file_that_cannot_be_used_confirms_nothing_and_keeps_what_was_believed(
    damage: str, tmp_path: Path, believer: Believer
) -> None:
    file, path = the_file(tmp_path, believer), tmp_path / "attestors.yaml"
    path.write_bytes(b"good")
    assert file.poll(10) == ()
    path.unlink()
    match damage:
        case "folder":
            path.mkdir()
        case "refused":
            path.write_bytes(b"refuse")
        case "too large":
            path.write_bytes(b"x" * (limits.ATTESTORS_BYTES + 1))
    (problem,) = file.poll(20)
    assert problem.file == "attestors.yaml"
    assert problem.why
    assert (believer.taken, believer.confirmed()) == ([b"good"], 10)


def test_a_refused_file_is_refused_again_at_the_next_look(tmp_path: Path, believer: Believer) -> None:
    file = the_file(tmp_path, believer)
    (tmp_path / "attestors.yaml").write_bytes(b"refuse")
    assert len(file.poll(10)) == len(file.poll(20)) == 1


def settings(**changes: Any) -> WebhookSettings:
    return WebhookSettings(**{"tls_cert": "c", "tls_key": "k", "attestors": "attestors.yaml", **changes})


def the_cluster(chosen: WebhookSettings) -> Any:
    return live_cluster(
        chosen, unmatched=Unmatched.ALLOW, unusable=lambda *_: None, failed=lambda *_: None, report=lambda _: "7f3a91"
    )


def test_without_an_attestor_file_nothing_begins() -> None:
    with pytest.raises(InvalidInputError, match="expected an attestor file"):
        the_cluster(settings(attestors=None, trust="folder"))


def test_outside_a_pod_a_kubeconfig_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InvalidInputError, match="expected to run in a Pod"):
        the_cluster(settings())


def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="missing"):
        the_cluster(settings(kubeconfig=tmp_path / "missing"))


def a_kubeconfig(folder: Path, access: Access) -> Path:
    (folder / "ca.pem").write_text(access.ca)
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": access.url, "certificate-authority": "ca.pem"}}],
        "users": [{"name": "x", "user": {"tokenFile": str(access.token_file)}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def test_nothing_is_decided_before_every_kind_and_the_attestors_are_there(tmp_path: Path) -> None:
    (tmp_path / "attestors.yaml").write_text(yaml.safe_dump([attestor_entry(trusted.ATTESTOR_KEY)]))
    with ApiServerSimulator().serving(tmp_path) as access:
        live, reflecting = the_cluster(settings(attestors=tmp_path / "attestors.yaml", kubeconfig=a_kubeconfig(tmp_path, access)))
        store: Store = live.store
        assert len(store.unready(time.time())) == len(Kind) + 1
        reflecting.start()
        try:
            wait_until(lambda: len(store.unready(time.time())) == 1)
            assert live.feed.poll(time.time()) == ()
            assert store.unready(time.time()) == ()
        finally:
            reflecting.stop()


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Told:
    """What was told of failures."""

    def __init__(self) -> None:
        self.failures: list[tuple[Kind, Exception]] = []
        self.every_kind = threading.Event()

    def __call__(self, kind: Kind, error: Exception) -> None:
        self.failures.append((kind, error))
        if {kind for kind, _ in self.failures} == set(Kind):
            self.every_kind.set()


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_server_that_refuses_leaves_every_kind_stale_and_says_so(status: int, tmp_path: Path) -> None:
    simulator, told, store = ApiServerSimulator(), Told(), new_store(lambda *_: None, trusted.EXTRACTOR)
    simulator.faults = [status] * 1_000
    with simulator.serving(tmp_path) as access:
        reflecting = Reflecting(access, store=store, clock=lambda: NOW, problem=told)
        reflecting.start()
        try:
            assert told.every_kind.wait(SECONDS)
        finally:
            reflecting.stop()
    assert all(str(status) in str(error) for _, error in told.failures)
    assert len(store.unready(NOW)) == len(Kind) + 1


def test_nobody_listening_leaves_every_kind_stale_and_says_so(tmp_path: Path) -> None:
    told, store = Told(), new_store(lambda *_: None, trusted.EXTRACTOR)
    with ApiServerSimulator().serving(tmp_path) as access:
        pass
    reflecting = Reflecting(access, store=store, clock=lambda: NOW, problem=told)
    reflecting.start()
    try:
        assert told.every_kind.wait(SECONDS)
    finally:
        reflecting.stop()
    assert all(isinstance(error, ModelTrustError) for _, error in told.failures)
    assert len(store.unready(NOW)) == len(Kind) + 1


def test_every_kind_of_the_store_has_a_reflector() -> None:
    assert {resource.kind for resource in RESOURCES} == set(Kind)
