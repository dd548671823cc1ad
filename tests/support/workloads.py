"""Small hand-written workloads for tests of extraction."""

import json
from functools import cache
from typing import Any

from modeltrust.domain.workload import Workload
from modeltrust.references.extract import Extractor
from modeltrust.wiring.rows import load_tables, load_yaml

COMMIT = "9f2c41d0a6e1b7c3d5e8f00112233445566778899"[:40]


@cache
def extractor() -> Extractor:
    """The extractor with the rows that ship."""
    return Extractor(load_tables(), load_yaml)


def extract(document: dict[str, Any], namespace: str = "team") -> Workload:
    """Extract from an object."""
    return extractor().extract(json.dumps(document).encode(), namespace=namespace)


def container(**fields: Any) -> dict[str, Any]:
    """A container without an image that says anything."""
    return {"name": "main", "image": "registry.example/app@sha256:" + "ab" * 32} | fields


def env(**values: str) -> list[dict[str, Any]]:
    """``env`` entries with literal values."""
    return [{"name": name, "value": value} for name, value in values.items()]


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A Pod."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}}


def found(workload: Workload) -> list[str]:
    """References as ``role canonical@revision``."""
    return [f"{item.role} {item.reference}" + (f"@{item.revision}" if item.revision.value else "") for item in workload.references]


def reasons(workload: Workload) -> list[str]:
    """Reasons of what could not be named."""
    return [str(item.reason) for item in workload.unresolved]


def run(*command: str, **fields: Any) -> Workload:
    """A Pod whose one container runs a command."""
    return extract(pod(container(command=list(command), **fields)))


def shell(script: str, **fields: Any) -> Workload:
    """A Pod whose one container runs a shell program."""
    return run("/bin/sh", "-c", script, **fields)
