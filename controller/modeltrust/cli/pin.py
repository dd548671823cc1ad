"""`modeltrust pin FILE…`: write immutable revisions into manifests, each kind in its own grammar, every other byte as it was."""

import difflib
import stat
import sys
from pathlib import Path
from typing import Any

import click

from modeltrust.cli import files, options
from modeltrust.cli.exits import Exit, worst
from modeltrust.cli.models import plain_http_option
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.cli.pinning import Pin, Pinned, Pinner
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.wiring.admission import live_from_folder, new_extractor
from modeltrust.wiring.revisions import from_attestations, from_sources


@click.command("pin")
@options.manifests
@click.option("--check", is_flag=True, help="write nothing; exit with 11 where something floats")
@click.option("--diff", is_flag=True, help="write nothing; print what would change")
@click.option("--trust", metavar="DIR", help="pin to the revision attested last in this trust folder, and ask nobody")
@click.option("--set-namespace", default="", help="namespace of objects that state none")
@click.option("--now", metavar="TIME", help="which statements are current (RFC 3339)")
@plain_http_option
@options.output("json")
def command(  # noqa: PLR0913 - one parameter per option
    *,
    names: tuple[str, ...],
    check: bool,
    diff: bool,
    trust: str | None,
    set_namespace: str,
    now: str | None,
    plain_http: bool,
    output: str,
) -> int:
    """Write immutable revisions into manifests, each kind in its own grammar; comments and formatting stay.

    A branch is resolved to its commit at the hub, a tag to its digest at the registry; with --trust, to the revision attested last.
    FILE is a manifest, a folder of them, or - for standard input, whose result is printed. What cannot be pinned in place is said,
    with what to write by hand.

    \b
    Examples:
      modeltrust pin deployment.yaml
      modeltrust pin k8s/ --trust trust/ --diff
      kustomize build . | modeltrust pin - > pinned.yaml
    """
    printing = files.STANDARD_INPUT in names
    if printing and (len(names) > 1 or output == "json"):
        raise InvalidInputError("got - with other files or -o json, expected it alone: the result goes to standard output")
    pinner = _pinner(trust, now, set_namespace, plain_http=plain_http)
    done = [(name, pinner.pin(data, name)) for name, data in _read(names)]  # all of them, before any is written
    for name, pinned in done:
        if diff:
            click.echo("".join(_difference(name, pinned)), nl=False)
        elif printing and not check:
            sys.stdout.buffer.write(pinned.after)
            sys.stdout.buffer.flush()
        elif not check and pinned.after != pinned.before:
            _write(Path(name), pinned.after)
    if output == "json":
        json_output.write({"files": [_object(name, pinned) for name, pinned in done]})
    else:
        _say(done, written=not check and not diff, err=printing or diff)
    return int(_code([pin for _, pinned in done for pin in pinned.pins], done, check=check))


def _pinner(trust: str | None, now: str | None, namespace: str, *, plain_http: bool) -> Pinner:
    if trust is None:
        return Pinner(new_extractor(), from_sources(plain_http=plain_http), namespace)
    moment = options.parse_now(now)
    live = live_from_folder(Path(trust), now=moment)
    attested = (document.value for document in files.documents((trust,), trust=True))
    return Pinner(live.extractor, from_attestations(attested, live.store, moment), namespace)


def _read(names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    found: dict[str, bytes] = {}
    for name in names:
        if name == files.STANDARD_INPUT:
            data = sys.stdin.buffer.read(limits.MANIFEST_BYTES + 1)
            if len(data) > limits.MANIFEST_BYTES:
                raise InvalidInputError(f"got more than {limits.MANIFEST_BYTES} bytes on standard input, expected manifests")
            found[name] = data
        else:
            for path in files.expand(Path(name)):
                found[str(path)] = files.read_file(path, max_bytes=limits.MANIFEST_BYTES, what="manifests")
    return list(found.items())


def _write(path: Path, data: bytes) -> None:
    real = path.resolve()  # through a link: the file changes, the link stays
    try:
        mode = stat.S_IMODE(real.stat().st_mode)
        files.write_atomically(real, data)
        real.chmod(mode)
    except OSError as error:
        raise InvalidInputError(f"cannot write {quote(path)}: {error.strerror}") from error


def _difference(name: str, pinned: Pinned) -> list[str]:
    before, after = (data.decode("utf-8").splitlines(keepends=True) for data in (pinned.before, pinned.after))
    return list(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"))


def _object(name: str, pinned: Pinned) -> dict[str, Any]:
    return {
        "file": name,
        "changed": pinned.after != pinned.before,
        "references": pinned.references,
        "pins": [
            {
                "line": pin.line,
                "model": pin.model,
                "role": pin.role,
                "before": pin.before or None,
                "revision": pin.revision or None,
                "why": pin.why or None,
                "fix": pin.fix or None,
            }
            for pin in pinned.pins
        ],
    }


def _say(done: list[tuple[str, Pinned]], *, written: bool, err: bool) -> None:
    pins = [pin for _, pinned in done for pin in pinned.pins]
    for pin in pins:
        where = f"{pin.file}:{pin.line}: {pin.model}" + (f"@{pin.before}" if pin.before else "")
        if pin.revision:
            click.echo(f"{where} {'pinned' if written else 'floats, would be pinned'} to {pin.revision}", err=err)
        else:
            click.echo(f"{where} ({pin.role}) is not pinned: {pin.why}", err=err)
            if pin.fix:
                click.echo(f"  Fix: {pin.fix}", err=err)
    left = sum(not pin.revision for pin in pins)
    total = sum(pinned.references for _, pinned in done)
    summary = f"{total} references, {len(pins) - left} {'pinned now' if written else 'to pin'}, {left} that cannot be pinned here"
    if err:
        click.echo(summary, err=True)
    else:
        text.say(summary)


def _code(pins: list[Pin], done: list[tuple[str, Pinned]], *, check: bool) -> Exit:
    if not any(pinned.references for _, pinned in done):
        return Exit.NOTHING
    codes = [Exit.UNDECIDED if pin.unknown else Exit.DENIED for pin in pins if not pin.revision]
    codes += [Exit.DENIED] * (check and any(pin.revision for pin in pins))
    return worst(codes)
