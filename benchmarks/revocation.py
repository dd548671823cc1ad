"""From a revocation to the denial at every replica: two real webhook processes, one real control plane, 100 rounds.

Each round takes a TrustedSigner away, or creates a ModelRevocation of a key, a model or a content, at the API server; both replicas
are asked all the time, and the time is that of the slower one, from before the request. Needs the folder that `make e2e` builds.

    MODELTRUST_KUBERNETES=… python benchmarks/revocation.py [--rounds N]
"""

import argparse
import itertools
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from e2e.conftest import ACCOUNT, apply_trust, permissions
from e2e.control_plane import ControlPlane, running
from e2e.revoking import Asking, rounds
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World
from modeltrust.domain.reference import Identity
from modeltrust.verification.content import content_of
from modeltrust.wiring.examination import open_folder

GOAL_SECONDS = 5.0
REPLICAS = 2


def main() -> int:
    """Print the figures; 1 when the goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    count = parser.parse_args().rounds
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as plane:
        world = World(Path(name) / "world")
        model = world.model("guard-7b", sign=world.author)
        world.attest(model)
        prepare(plane, world)
        review = objects.review(objects.deployment(model.reference.path, str(model.pin).rpartition(":")[2]))
        with replicas(plane, world, Path(name)) as processes:
            asking = tuple(Asking(process, review) for process in processes)
            for replica in asking:
                replica.until(allowed=True)
            for made in itertools.islice(rounds(plane, asking, revocations(world, model), signer(world)), count):
                found[made.what].append(max(made.seconds))
    every = sorted(itertools.chain.from_iterable(found.values()))
    for what, seconds in found.items():
        print(f"  {what:12} {len(seconds):4} rounds  median {statistics.median(seconds):.3f} s  longest {max(seconds):.3f} s")
    p99 = every[max(0, -(-99 * len(every) // 100) - 1)]
    met = p99 <= GOAL_SECONDS
    print(f"{len(every)} rounds, {REPLICAS} replicas: p50 {statistics.median(every):.3f} s, p99 {p99:.3f} s, max {every[-1]:.3f} s")
    print(f"goal: p99 <= {GOAL_SECONDS} s: {'met' if met else 'MISSED'} (load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)")
    return int(not met)


def prepare(plane: ControlPlane, world: World) -> None:
    """Our kinds, the webhook's permissions and the world's trust."""
    plane.kubectl("apply", "-f", str(ROOT / "crds"))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    plane.apply(*permissions())
    apply_trust(plane, world)


@contextmanager
def replicas(plane: ControlPlane, world: World, folder: Path) -> Iterator[list[WebhookProcess]]:
    """Webhook processes that are ready."""
    with ExitStack() as stack:
        processes = []
        for number in range(REPLICAS):
            place = folder / f"webhook-{number}"
            place.mkdir()
            shutil.copy(world.trust / "attestors.yaml", place)
            process = WebhookProcess(place, plane.kubeconfig(ACCOUNT))
            stack.callback(process.stop, kill=True)
            process.start()
            process.wait_until_ready()
            processes.append(process)
        yield processes


def revocations(world: World, model: Identity) -> dict[str, dict[str, object]]:
    """What else denies the model."""
    content = content_of(open_folder(world.models / model.reference.path.rpartition("/")[2]).list())
    return {
        "key": {"signers": [{"fingerprint": world.author.fingerprint}]},
        "model": {"models": [model.key]},
        "content": {"contentDigests": [str(content)]},
    }


def signer(world: World) -> dict[str, object]:
    """The one whose signature counts for the model."""
    found = yaml.safe_load_all((world.trust / "signers.yaml").read_text())
    return next(value for value in found if value["metadata"]["name"] == "acme-research")


if __name__ == "__main__":
    sys.exit(main())
