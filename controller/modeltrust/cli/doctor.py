"""`modeltrust doctor`: does the installation in this cluster work, and if not, what is to be done?"""

import time
from pathlib import Path

import click

from modeltrust.admission.plain import plain
from modeltrust.cli import options
from modeltrust.cli.cluster import reaching, trusted
from modeltrust.cli.exits import Exit, worst
from modeltrust.cli.installation import Check, Installation, State
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.kube.client import ApiServer
from modeltrust.wiring.snapshot import release_namespace as installed_in

_SAY = {State.OK: text.good, State.FAILED: text.bad, State.UNKNOWN: text.careful}
_CODES = {State.OK: Exit.OK, State.FAILED: Exit.DENIED, State.UNKNOWN: Exit.UNDECIDED}


@click.command("doctor")
@reaching
@click.option("--release-namespace", metavar="NS", default="", help="where it is installed; default: as its configuration says")
@click.option("--attestors", metavar="FILE", type=Path, help="the webhook's attestor file; default: the ConfigMap")
@options.output("json")
def command(*, api: ApiServer, release_namespace: str, attestors: Path | None, output: str) -> int:
    """Does the installation in this cluster work? One line for each check, with what to do.

    Looks with the caller's permissions and changes nothing; what may not be looked at is said. Exit code 11: something is wrong;
    12: something could not be looked at.

    \b
    Examples:
      modeltrust doctor
      modeltrust doctor --release-namespace modeltrust -o json
    """
    now = int(time.time())
    namespace = release_namespace or installed_in(api)
    trusts = trusted(api, trust=None, attestors=attestors, now=now, namespace=namespace)
    checks = []
    for check in Installation(api, trusts, namespace=namespace, now=now).checks():
        checks.append(check)
        if output == "text":
            _print(check)
    if output == "json":
        json_output.write({"namespace": namespace, "checks": [_object(check) for check in checks]})
    return int(worst(_CODES[check.state] for check in checks))


def _print(check: Check) -> None:
    _SAY[check.state](f"{check.state.value:<8} {check.name}: {plain(check.message)}")
    if check.fix:
        text.quiet(f"         Fix: {check.fix}")


def _object(check: Check) -> dict[str, str | None]:
    return {"name": check.name, "state": check.state.value, "message": check.message, "fix": check.fix or None}
