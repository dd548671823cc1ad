"""An operator that restarts among 10,000 attested models (S11): seconds until each was looked at, writes, memory; a leader killed.

The control plane is real (etcd without fsync), the operator a real process with its own account, the statements are of its own key
and made by its own code, so a look finds nothing to do. Nobody answers at the worker's address. Needs what `make e2e` builds.

    MODELTRUST_KUBERNETES=… python benchmarks/restart.py [--attestations N]
"""

import argparse
import base64
import hashlib
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.support.measuring import cpu_seconds
from e2e.control_plane import LOOPBACK, ControlPlane, free_port, running
from e2e.operator import ACCOUNT, NAMESPACE, OperatorProcess, install
from modeltrust import __version__
from modeltrust.api.attestations import attestation
from modeltrust.api.compile import compile_policy, compile_signer
from modeltrust.domain.facts import Absent
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.work import Order, Report
from modeltrust.kube import paths
from modeltrust.kube.access import from_kubeconfig
from modeltrust.operator.attestations import Attestations
from modeltrust.operator.sources import Sources
from modeltrust.policy.policy import Trust
from modeltrust.store.sink import Extra
from modeltrust.verification.attest import load_attestor_key
from modeltrust.verification.attesting import Attesting
from tests.support import trusted
from tests.support.statements import a_statement
from tests.support.worker import RunningWorker, pair

Object = dict[str, Any]
SETTLED_SECONDS, WRITES_PER_SECOND, MEGABYTES, FOLLOWED_SECONDS = 300, 20.0, 300, 20.0
STANDBY_SECONDS = 15
FACTS = a_statement()
SOURCE = {
    "apiVersion": "modeltrust.dev/v1alpha1",
    "kind": "ModelSource",
    "metadata": {"name": "acme", "generation": 1},
    "spec": {"models": ["hf://acme/*"], "type": "HuggingFace", "endpoints": ["https://huggingface.co"]},
}


class Found:
    """A worker that found what a good model has."""

    def examine(self, order: Order) -> Report:
        """See ``domain.work.Worker``."""
        return Report(
            order.identity,
            order.nonce,
            FACTS.content,
            FACTS.assurance,
            7,
            1_234_567,
            FACTS.weights,
            FACTS.signatures,
            FACTS.formats,
            FACTS.lineage,
        )


class Paper:
    """Takes the operator's one write of an object, instead of an API server; and its events."""

    def __init__(self) -> None:
        self.value: Object = {}

    def get_object(self, _path: str) -> Object:
        """The object as it is."""
        return self.value

    def apply(self, _path: str, body: Object, **_: object) -> Object:
        """Its new status."""
        self.value = {**self.value, "status": body["status"]}
        return self.value

    def tell(self, *_: object, **__: object) -> None:
        """Nothing."""


class State:
    """Signers, policies and the key, as the operator sees them."""

    def trust(self, now: int) -> tuple[Trust, tuple[Any, ...]]:
        """Of one moment."""
        signer = compile_signer(trusted.signer())
        return Trust(now, lambda _identity: Absent(), {signer.name: signer}), (compile_policy(trusted.policy()),)

    def ours(self, _key: str) -> bool:
        """Every key is."""
        return True

    def evaluations(self, _identity: object) -> None:
        """None are run."""


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--attestations", type=int, default=10_000)
    count = parser.parse_args().attestations
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as plane:
        folder = Path(name)
        install_all(plane)
        first = replica(plane, folder, "first")
        with started(first):
            first.wait_until_leading(60)
        fill(plane, count)
        print(f"{count} attested models are there (load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)", flush=True)
        again, second = replica(plane, folder, "again"), replica(plane, folder, "second")
        with started(again):
            missed = restart(plane, again, count)
            with started(second):
                missed += kill(again, second)
    return int(missed > 0)


def install_all(plane: ControlPlane) -> None:
    """Our kinds, the operator's permissions, one signer, policy and source."""
    plane.kubectl("apply", "-f", str(ROOT / "crds"))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    install(plane)
    plane.apply(SOURCE, trusted.signer(), trusted.policy())


def replica(plane: ControlPlane, folder: Path, name: str) -> OperatorProcess:
    """One operator, with a worker's address at which nobody answers."""
    place = folder / name
    place.mkdir()
    nobody = RunningWorker(None, f"https://{LOOPBACK}:{free_port()}", 0, pair(place, "server"), pair(place, "client"))  # type: ignore[arg-type] # not started
    return OperatorProcess(place, plane.kubeconfig(ACCOUNT), nobody, name=name)


@contextmanager
def started(process: OperatorProcess) -> Iterator[None]:
    """It runs, and ends in any case."""
    process.start()
    try:
        yield
    finally:
        process.stop(kill=True)


def fill(plane: ControlPlane, count: int) -> None:
    """Write every object with the status that the operator gives it."""
    secret = plane.get("secret", "modeltrust-attestor", "-n", NAMESPACE)
    key = load_attestor_key(base64.b64decode(secret["data"]["current.pem"]))
    audience = plane.get("namespace", "kube-system")["metadata"]["uid"]
    attesting = Attesting(worker=Found(), keys=lambda: [key], audience=audience, versions=lambda: (__version__,))
    sources, paper = Sources(), Paper()
    sources.replace(Extra.SOURCES, [SOURCE])
    looks = Attestations(paper, namespace=NAMESPACE, sources=sources, attesting=attesting, state=State(), events=paper)  # type: ignore[arg-type] # as far as it is used
    server = Server(plane)
    now = int(time.time())
    with ThreadPoolExecutor(8) as threads:
        done = []
        for number in range(count):
            commit = hashlib.sha256(b"%d" % number).hexdigest()[:40]
            value = attestation(parse_identity(f"hf://acme/m{number}@{commit}"))
            paper.value = {**value, "metadata": {**value["metadata"], "generation": 1, "uid": "made"}}
            assert looks.reconcile(value["metadata"]["name"], now).outcome == "attested"
            done.append(threads.submit(server.create, value, paper.value["status"]))
        for one in done:
            one.result()


class Server:
    """The API server as a cluster admin, quickly."""

    def __init__(self, plane: ControlPlane) -> None:
        access = from_kubeconfig(plane.admin)
        context = ssl.create_default_context(cadata=access.ca)
        assert access.certificate is not None
        context.load_cert_chain(access.certificate, access.key)
        self.url = access.url
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=16)

    def create(self, value: Object, status: Object) -> None:
        """An object, and its status."""
        made = self._send("POST", paths.ours("modelattestations"), value)
        made["status"] = status
        self._send("PUT", f"{paths.ours('modelattestations', value['metadata']['name'])}/status", made)

    def writes(self) -> float:
        """Requests so far that change something, without Leases and what only asks."""
        answer = self._pool.request("GET", f"{self.url}/metrics")
        total = 0.0
        for line in answer.data.decode().splitlines():
            if line.startswith("apiserver_request_total{") and any(f'verb="{verb}"' in line for verb in _CHANGING):
                total += 0.0 if any(f'resource="{name}"' in line for name in _ASKING) else float(line.rpartition(" ")[2])
        return total

    def _send(self, method: str, path: str, value: Object) -> Object:
        headers = {"Content-Type": "application/json"}
        answer = self._pool.request(method, f"{self.url}{path}", body=json.dumps(value), headers=headers)
        assert answer.status in {200, 201}, answer.data[:500]
        found: Object = answer.json()
        return found


_CHANGING = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
_ASKING = ("leases", "subjectaccessreviews", "selfsubjectaccessreviews", "tokenreviews")


def restart(plane: ControlPlane, process: OperatorProcess, count: int) -> int:
    """From the start of the process until each object was looked at; returns how many goals were missed."""
    server, began = Server(plane), time.monotonic()
    before, written, busiest = server.writes(), [0.0], 0.0
    pid = process.pid
    process.wait_until_leading(120)
    leading = time.monotonic() - began
    while process.metric("modeltrust_reconciles_total", 'kind="modelattestations"') < count or process.metric(
        "modeltrust_queue_depth"
    ):
        assert time.monotonic() - began < 3 * SETTLED_SECONDS, "it does not settle"
        time.sleep(1)
        written.append(server.writes() - before)
        busiest = max(busiest, written[-1] - written[-2])
    seconds = time.monotonic() - began
    failed = sum(
        process.metric("modeltrust_reconciles_total", f'outcome="{word}"') for word in ("failed", "unavailable", "refused")
    )
    print(f"  leading after {leading:.1f} s, {cpu_seconds(pid):.0f} s of CPU, {failed:.0f} looks that failed")
    missed = told("restart to settled", seconds, "s", SETTLED_SECONDS)
    missed += told("writes in the busiest second", busiest, "", 2 * WRITES_PER_SECOND)  # a bucket of 20 may be full at its start
    missed += told("writes a second", written[-1] / seconds, "", WRITES_PER_SECOND)
    peak, now = memory(pid, "VmHWM:"), memory(pid, "VmRSS:")
    print(f"  writes {written[-1]:.0f}, resident now {now:.0f} MB")
    return missed + told("resident, at most", peak, "MB", MEGABYTES)


def looked(process: OperatorProcess, outcome: str = "") -> float:
    """Looks at ModelAttestations so far, with one outcome if it is given."""
    outcomes = (outcome,) if outcome else ("attested", "waiting", "refused", "failed", "unavailable")
    return sum(process.metric("modeltrust_reconciles_total", f'kind="modelattestations",outcome="{word}"') for word in outcomes)


def kill(leader: OperatorProcess, second: OperatorProcess) -> int:
    """SIGKILL, until the other one leads."""
    time.sleep(STANDBY_SECONDS)  # it has asked for the Lease by then
    assert not second.leads()
    leader.stop(kill=True)
    began = time.monotonic()
    second.wait_until_leading(90)
    return told("leader killed to followed", time.monotonic() - began, "s", FOLLOWED_SECONDS)


def memory(pid: int, field: str) -> float:
    """Megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def told(what: str, value: float, unit: str, goal: float) -> int:
    """Print one line; 1 when the goal is missed."""
    met = value <= goal
    print(
        f"{what:30} {value:8.1f} {unit:2} goal <= {goal:g}: {'met' if met else 'MISSED'} (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
