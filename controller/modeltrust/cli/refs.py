"""`modeltrust refs FILE…`: what do these workloads load?"""

from pathlib import Path
from typing import Any

import click

from modeltrust.admission.plain import plain
from modeltrust.api.manifests import Document
from modeltrust.cli import files, options
from modeltrust.cli.exits import Exit
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.cli.workloads import Subject, subjects
from modeltrust.domain.workload import FoundReference, Unresolved, Workload
from modeltrust.wiring.admission import live_from_folder, new_extractor

HUBS = {"hf": "huggingface", "ms": "modelscope", "oci": "oci"}


@click.command("refs")
@options.manifests
@click.option("--trust", metavar="DIR|FILE", help="read kinds as the ModelReferenceMappings in it say, too")
@click.option("--set-namespace", default="", help="namespace of objects that state none")
@options.output("json")
def command(names: tuple[str, ...], trust: str | None, set_namespace: str, output: str) -> int:
    """What do these workloads load?

    FILE is a manifest (YAML or JSON, several documents), a folder of them, or - for standard input.

    \b
    Examples:
      modeltrust refs deployment.yaml
      helm template chart | modeltrust refs - -o json
      modeltrust refs connector.yaml --trust mapping.yaml
    """
    extractor = new_extractor() if trust is None else live_from_folder(Path(trust), now=options.parse_now(None)).extractor
    found = [(subject, extractor.extract(subject.data, namespace=subject.namespace)) for subject in _subjects(names, set_namespace)]
    shown = [(subject, workload) for subject, workload in found if workload.references or workload.unresolved]
    if output == "json":
        json_output.write({"objects": [_object(subject, workload) for subject, workload in found]})
    else:
        for subject, workload in shown:
            _print(subject, workload)
        counts = (len(found), "object"), (sum(len(w.references) for _, w in found), "reference")
        counted = [*counts, (sum(len(w.unresolved) for _, w in found), "finding")]
        text.say(", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counted))
    return int(Exit.OK if shown else Exit.NOTHING)


def _subjects(names: tuple[str, ...], namespace: str) -> list[Subject]:
    read: tuple[Document, ...] = files.documents(names)
    return subjects(read, namespace)


def _object(subject: Subject, workload: Workload) -> dict[str, Any]:
    return {
        "file": subject.file,
        "index": subject.index,
        "apiVersion": subject.api_version,
        "kind": subject.kind,
        "namespace": workload.namespace,
        "name": subject.name,
        "references": [_reference(found) for found in workload.references],
        "findings": [_finding(unresolved) for unresolved in workload.unresolved],
    }


def _reference(found: FoundReference) -> dict[str, Any]:
    return {
        "raw": plain(found.raw),
        "canonical": str(found.reference),
        "role": found.role.value,
        "revision": found.revision.value or None,
        "revisionState": found.revision.state.value,
        "locator": found.locator,
        "confidence": found.confidence.value,
        "resolver": {"endpoint": found.reference.resolver, "hub": HUBS.get(found.reference.scheme)},
    }


def _finding(unresolved: Unresolved) -> dict[str, Any]:
    return {
        "reason": unresolved.reason.value,
        "locator": unresolved.locator,
        "message": plain(unresolved.message),
        "value": plain(unresolved.value),
    }


def _print(subject: Subject, workload: Workload) -> None:
    text.heading(f"{subject.kind} {workload.namespace}/{subject.name}", f"{subject.file}:{subject.line}")
    for found in workload.references:
        revision = f"@{found.revision.value}" if found.revision.value else ""
        text.say(f"  {found.role.value:<10} {found.reference}{revision}  ({found.revision.state.value}, {found.confidence.value})")
        text.quiet(f"             {found.locator}")
    for unresolved in workload.unresolved:
        text.bad(f"  [{unresolved.reason.value}] {plain(unresolved.message)}")
        text.quiet(f"             {unresolved.locator}")
