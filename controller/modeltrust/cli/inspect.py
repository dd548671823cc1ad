"""`modeltrust inspect DIR|REF`: what is in this model, file by file?"""

import dataclasses
from typing import Any

import click

from modeltrust.cli import options
from modeltrust.cli.exits import Exit
from modeltrust.cli.models import listed, opened, plain_http_option
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.domain.errors import MalformedError, UnavailableError
from modeltrust.domain.evidence import FormatFinding, Severity
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reasons import Reason
from modeltrust.formats.inspect import InspectedFile, Inspection, inspect
from modeltrust.verification.content import content_of
from modeltrust.wiring.rules import load_rules

ALLOWED = "safetensors"  # the requirement's default


@click.command("inspect")
@click.argument("name", metavar="DIR|REF")
@plain_http_option
@options.output("json")
def command(name: str, plain_http: bool, output: str) -> int:  # noqa: FBT001 - a flag
    """What is in this model, file by file?

    Judged as the requirement Formats with its defaults: safetensors only, no remote code, safe templates, whole repository.
    Exit code 11: at least one file fails.

    \b
    Examples:
      modeltrust inspect ./guard-7b
      modeltrust inspect oci://registry.acme.example/models/guard@sha256:9f2c… -o json
    """
    with opened(name, plain_http=plain_http) as source:
        listing = listed(source)
        inspection = _judged(inspect(listing, source, load_rules()))
    verdict = _verdict(inspection)
    if output == "json":
        files = [_file(file) for file in inspection.files]
        json_output.write({"verdict": verdict, "contentDigest": _digest(listing), "files": files})
    else:
        _print(inspection, verdict)
    return int({"pass": Exit.OK, "fail": Exit.DENIED, "unknown": Exit.UNDECIDED}[verdict])


def _judged(inspection: Inspection) -> Inspection:
    """With a finding for each weight file in a format that the requirement's default does not allow: formats only finds them."""
    weights = frozenset(inspection.weights)
    files = [_refused(file) if file.entry.path in weights and file.format != ALLOWED else file for file in inspection.files]
    return dataclasses.replace(inspection, files=tuple(files))


def _refused(file: InspectedFile) -> InspectedFile:
    message = f"holds weights as {file.format}, expected {ALLOWED}"
    finding = FormatFinding(file.entry.path, "formats.allowed", Reason.FORMAT_NOT_ALLOWED, message)
    return dataclasses.replace(file, verdict="fail", findings=(*file.findings, finding))


def _verdict(inspection: Inspection) -> str:
    verdicts = {file.verdict for file in inspection.files}
    if "fail" in verdicts or not inspection.files:
        return "fail"
    return "unknown" if "unknown" in verdicts else "pass"


def _digest(listing: SourceListing) -> str | None:
    try:
        return str(content_of(listing))
    except (MalformedError, UnavailableError):
        return None  # the findings say which path is wrong; a source may state no digests


def _file(file: InspectedFile) -> dict[str, Any]:
    return {
        "path": file.entry.path,
        "size": file.entry.size,
        "sha256": file.entry.sha256,
        "format": file.format,
        "verdict": file.verdict,
        "findings": [
            {"reason": f.reason.value, "rule": f.rule, "message": f.message, "severity": f.severity.value} for f in file.findings
        ],
    }


def _print(inspection: Inspection, verdict: str) -> None:
    for file in inspection.files:
        say = {"pass": text.good, "fail": text.bad}.get(file.verdict, text.careful)
        say(f"{file.verdict:<8}{file.format:<14}{file.entry.size:>14,}  {file.entry.path}")
        for finding in file.findings:
            mark = "" if finding.severity is Severity.ERROR else "warning: "
            text.say(f"        [{finding.reason.value}] {mark}{finding.message}  ({finding.rule})")
    failed = sum(file.verdict == "fail" for file in inspection.files)
    text.say(f"{verdict}: {len(inspection.files)} files, {failed} fail")
