"""A team whose policy demands signatures, models of all kinds at a hub, and what becomes of them."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.control_plane import ControlPlane
from e2e.origins import HubOrigin
from e2e.waiting import eventually
from modeltrust.api.attestations import attestation_name
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World
from modeltrust.cli.sample_model import write_model
from modeltrust.domain.reference import Identity
from modeltrust.signing.sign import sign_model

Object = dict[str, Any]
DRY = ("--dry-run=server",)
SECONDS = 90  # late in a whole run the operator has hundreds of models to try again whose hub is gone


@dataclass(frozen=True, slots=True)
class Scene:
    """The cluster, the hub and a team whose policy demands a signature."""

    plane: ControlPlane
    hub: HubOrigin
    world: World
    folder: Path
    team: str

    def model(self, *, key: Path | None, owner: str = "acme", after: Callable[[Path], None] | None = None) -> Identity:
        """A new model at the hub, signed by real model-signing."""
        folder = self.make(key=key, after=after)
        return self.hub.push(folder, f"{owner}/{folder.name}")

    def make(self, *, key: Path | None, after: Callable[[Path], None] | None = None) -> Path:
        """A new model on disk."""
        name = f"m{uuid.uuid4().hex[:10]}"
        folder = self.folder / name
        write_model(folder, seed=int(name[1:7], 16))
        if key is not None:
            sign_model(folder, key, folder / "model.sig")
        if after is not None:
            after(folder)
        return folder

    def ask(self, workload: Object, *, dry: bool = False) -> str:
        """Empty where it is admitted, else what is said."""
        ran = self.plane.apply(workload, check=False, flags=DRY if dry else ())
        assert ran.returncode == 0 or ran.stderr
        return "" if ran.returncode == 0 else ran.stderr

    def workload(self, model: Identity, **more: str) -> Object:
        """A Deployment of the team, with a name of its own."""
        return self.hub.workload(model, self.team, name=f"w{uuid.uuid4().hex[:8]}", **more)

    def admitted(self, workload: Object, *, seconds: float = SECONDS) -> float:
        """Ask until it is admitted, as controllers do; returns the seconds that it took."""
        began, said = time.monotonic(), [""]

        def admitted() -> bool:
            said[0] = self.ask(workload)
            return not said[0]

        try:
            eventually(admitted, seconds=seconds)
        except AssertionError as late:
            raise AssertionError(f"expected its admission within {seconds} s, got {said[0]}") from late
        return time.monotonic() - began

    def denied(self, workload: Object, reason: str, *, seconds: float = SECONDS) -> float:
        """Ask until it is denied for a reason; nothing is created. Returns the seconds that it took."""
        began, said = time.monotonic(), [""]

        def denied() -> bool:
            said[0] = self.ask(workload, dry=True)
            return f"[{reason}]" in said[0]

        try:
            eventually(denied, seconds=seconds)
        except AssertionError as late:
            raise AssertionError(f"expected [{reason}] within {seconds} s, got {said[0] or 'its admission'}") from late
        return time.monotonic() - began

    def condition(self, model: Identity, kind: str) -> tuple[str, str, str]:
        """Status, reason and message."""
        name = attestation_name(model)
        if self.plane.kubectl("get", "modelattestation", name, check=False).returncode != 0:
            return "", "", ""
        conditions = self.plane.get("modelattestation", name).get("status", {}).get("conditions", [])
        found = [entry for entry in conditions if entry["type"] == kind]
        return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else ("", "", "")

    def becomes(self, model: Identity, kind: str, status: str, reason: str) -> str:
        """Wait for a condition; returns its message."""
        try:
            eventually(lambda: self.condition(model, kind)[:2] == (status, reason), seconds=SECONDS)
        except AssertionError as late:
            found = [self.condition(model, each) for each in (kind, "Resolved")]
            raise AssertionError(f"expected {kind} {status} {reason}, got {found}") from late
        return self.condition(model, kind)[2]


def ours(kind: str, name: str, spec: Object) -> Object:
    """One object of ours."""
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def policy(namespace: str, models: list[str], *signers: str) -> Object:
    """Enforce: pinned, and signed by a signer or approved; one alternative each, since a missing signer disables its own."""
    alternatives: list[Object] = [{"purpose": "Author", "signers": [{"name": name}]} for name in signers]
    alternatives.append({"purpose": "Approval", "signers": [{"name": f"{namespace}-approvals"}]})
    signature = {"anyOf": alternatives, "minimumAssurance": "SourceDigests"}
    requirements: list[Object] = [{"type": "Pinned"}, {"type": "Signature", "signature": signature}]
    made = objects.policy(namespace, [namespace], requirements)
    return {**made, "spec": {**made["spec"], "match": {"namespaces": {"names": [namespace]}, "models": models}}}


def modeltrust(*arguments: str) -> str:
    """Run the command line; returns its standard output."""
    command = [sys.executable, "-m", "modeltrust", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
