"""The command: sets the scene, plays it, prints what happened."""

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modeltrust.cli.demo.scenes import Played, Scene, play, prepare
from modeltrust.cli.demo.server import Webhook, write_certificate
from modeltrust.cli.demo.world import World
from modeltrust.cli.exits import Exit
from modeltrust.cli.output import json as json_output

_COLOURS = {"admit": "green", "warn": "yellow", "pending": "yellow", "deny": "red"}
_WIDE = 120  # columns from which on every column of the table fits
_NARROWEST = 150  # columns of the table when it is not printed to a terminal


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="for machines")
@click.option("--keep", is_flag=True, help="leave the files, and print commands to try by hand")
def command(as_json: bool, keep: bool) -> int:  # noqa: FBT001 - flags
    """The whole thing on this machine: no cluster, no network.

    Makes a small real model and its variants, signs them, verifies them, signs statements about them, starts the real webhook
    on loopback with TLS, asks it real AdmissionReviews, and changes the world while it runs.

    \b
    Examples:
      modeltrust demo
      modeltrust demo --keep
      modeltrust demo --json
    """
    started = time.perf_counter()
    with _folder(keep=keep) as root:
        world = World(root)
        scenes = prepare(world)
        for number, scene in enumerate(scenes, 1):
            world.save(f"{number:02}-{_slug(scene)}", scene.workload)
        certificate, key = write_certificate(world.keys)
        with Webhook(trust=world.trust, certificate=certificate, key=key, log=root / "webhook.log") as webhook:
            played = list(play(scenes, webhook))
        seconds = time.perf_counter() - started
        if as_json:
            json_output.write({"scenes": [_json(entry) for entry in played], "seconds": round(seconds, 1)})
        else:
            _print(played, seconds, root if keep else None)
    return int(Exit.OK if all(entry.as_expected for entry in played) else Exit.INTERNAL)


@contextlib.contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    if keep:
        yield Path(tempfile.mkdtemp(prefix="modeltrust-demo-"))
        return
    with tempfile.TemporaryDirectory(prefix="modeltrust-demo-") as folder:
        yield Path(folder)


def _slug(scene: Scene) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in scene.name.lower()).split())


def _json(entry: Played) -> dict[str, Any]:
    return {
        "name": entry.scene.name,
        "kind": entry.scene.workload["kind"],
        "expected": entry.scene.expected,
        "actual": entry.actual,
        "reasons": list(entry.answer.reasons),
        "message": entry.answer.message or "\n".join(entry.answer.warnings),
        "milliseconds": round(entry.answer.milliseconds, 1),
    }


def _print(played: list[Played], seconds: float, kept: Path | None) -> None:
    console = Console(highlight=False)
    width = None if console.is_terminal else max(_NARROWEST, console.width)
    console = Console(highlight=False, width=width)
    console.print(_table(played, narrow=console.width < _WIDE))
    denied = next((entry for entry in played if entry.actual == "deny"), None)
    if denied is not None:
        console.print("\nWhat the first denied author reads:\n")
        console.print(Text(denied.answer.message, "dim"), soft_wrap=True)
    right = sum(entry.as_expected for entry in played)
    console.print(f"\n{right} of {len(played)} scenes as expected, {seconds:.1f} s")
    if kept is not None:
        _print_commands(console, kept)


def _table(played: list[Played], *, narrow: bool) -> Table:
    """One row for each scene; a narrow one leaves out what the mark and the scene's name say, so that no reason is cut."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("Scene")
    for title in ("Actual", "Reason") if narrow else ("Kind", "Expected", "Actual", "Reason"):
        table.add_column(title, no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    for entry in played:
        mark = Text("ok", "green") if entry.as_expected else Text("WRONG", "bold red")
        actual = Text(entry.actual, _COLOURS[entry.actual])
        more = () if narrow else (entry.scene.workload["kind"], entry.scene.expected)
        ms = f"{entry.answer.milliseconds:.1f}"
        table.add_row(mark, Text(entry.scene.name), *more, actual, ", ".join(entry.answer.reasons), ms)
    return table


def _print_commands(console: Console, root: Path) -> None:
    console.print(f"\nEverything is in {root}. Try:\n", soft_wrap=True)
    program = _program()
    for line in (
        f"check {root}/workloads --trust {root}/trust",
        f"refs {root}/workloads",
        f"inspect {root}/models/remote-code",
        f"verify {root}/models/tampered --signer {root}/trust/signers.yaml --model hf://acme/tampered",
        f"digest {root}/models/guard-7b",
    ):
        console.print(f"  {program} {line}", soft_wrap=True)
    console.print(
        f"\nThe signer was revoked in the end: without {root}/trust/revocation-signer.yaml its models are admitted.", soft_wrap=True
    )


def _program() -> str:
    """How to call us from where the reader stands: `make demo` runs from a virtual environment that is not on the PATH."""
    if shutil.which("modeltrust"):
        return "modeltrust"
    called = sys.argv[0]
    return called if Path(called).name == "modeltrust" else f"{sys.executable} -m modeltrust"
