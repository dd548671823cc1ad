"""An EvaluationSuite file named on the command line, as what a run here is made of."""

from dataclasses import dataclass, replace
from pathlib import Path

from modeltrust.api.compile.suites import compile_suite
from modeltrust.cli import files
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, quote
from modeltrust.domain.evaluation import Suite
from modeltrust.evaluation.bank import Bank, with_private
from modeltrust.wiring.bank import load_bank


@dataclass(frozen=True, slots=True)
class Ordered:
    """What is asked.

    Attributes:
        suite: as it is run here: served outside the cluster's control, whatever engine its file names (attack H15).
        bank: with the operator's prompts, where the suite has any.
    """

    suite: Suite
    bank: Bank


def read_suite(path: Path, prompts: Path | None, *, serving: str, baseline: str) -> Ordered:
    """Read and compile one suite.

    Args:
        path: of the file; other kinds beside the suite are passed over.
        prompts: the operator's prompts, where the suite names a Secret with some.
        serving: 64 hex over what serves here.
        baseline: what is compared with, empty for nothing.

    Raises:
        InvalidInputError: no suite, several, a wrong one, or prompts where it has none and the reverse.
    """
    found = [document for document in files.documents((str(path),)) if document.value.get("kind") == "EvaluationSuite"]
    if len(found) != 1:
        raise InvalidInputError(f"got {len(found)} EvaluationSuites in {quote(path)}, expected one")
    settings = compile_suite(found[0].value)
    if bool(settings.private) != (prompts is not None):
        what = (
            "expected --prompts FILE: the suite has operatorPrompts"
            if settings.private
            else "got --prompts, but no operatorPrompts"
        )
        raise InvalidInputError(f"{what} (suite {settings.name})")
    bank = load_bank()
    if prompts is not None:
        bank = _with(bank, prompts)
    suite = settings.suite(bank=bank.digest, prompts=bank.private_digest, baseline=settings.baseline if baseline else None)
    known = suite.baseline or baseline
    return Ordered(replace(suite, baseline=known, serving=serving, external=True), bank)


def _with(bank: Bank, path: Path) -> Bank:
    try:
        return with_private(bank, files.read_file(path, max_bytes=limits.EVALUATION_PRIVATE_BYTES, what="private prompts"))
    except MalformedError as error:
        raise InvalidInputError(f"{path}: {error}") from error
