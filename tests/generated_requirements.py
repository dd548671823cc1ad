"""docs/requirements.md, written from the requirements' own docstrings and the one table of reasons."""

import importlib
import inspect
import re
from collections.abc import Iterator

from modeltrust.api.compile.policies import REGISTRY, Subject
from modeltrust.domain.reasons import EXPLANATIONS, Reason

PATH = "docs/requirements.md"
PACKAGE = "modeltrust.policy.requirements"
_HEAD = """# Requirements and reasons

<!-- Written by `make generate` from controller/modeltrust/policy/requirements/*.py and domain/reasons.py. Do not edit. -->

A ModelPolicy lists requirements. Each is decided by itself, for every model that a workload loads; the strictest answer of all
policies that match wins. A requirement that finds nothing to say, or fails to run, denies.
"""
_SUBJECTS = {
    Subject.WORKLOAD: "Decided from the workload as a whole.",
    Subject.REFERENCE: "Decided for each reference, from the manifest alone.",
    Subject.STATEMENT: "Decided for each reference, from the signed statement about it.",
}


def module_of(kind: str) -> str:
    """Name of the module of a requirement: ``ServingImage`` is ``serving_image``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()


def generate() -> dict[str, str]:
    """The generated document: {path: text}."""
    return {PATH: "\n".join([_HEAD, *_requirements(), *_reasons()]) + "\n"}


def _requirements() -> Iterator[str]:
    for kind, row in REGISTRY.items():
        module = importlib.import_module(f"{PACKAGE}.{module_of(kind)}")
        summary, _, body = (inspect.getdoc(module) or "").partition("\n\n")
        # The heading is the anchor that denials link to.
        yield f"## {kind}\n\n{summary.partition(': ')[2].capitalize()} {_SUBJECTS[row.subject]}\n\n{body}\n"


def _reasons() -> Iterator[str]:
    yield "## Reasons\n"
    yield "The same words in denials, conditions, metrics, events, the command line and SARIF.\n"
    yield "| reason | meaning | cause | what to do |\n|---|---|---|---|"
    for reason in Reason:
        row = EXPLANATIONS[reason]
        yield f"| `{reason.value}` | {row.meaning} | {row.cause} | {row.fix} |".replace("\n", " ")
