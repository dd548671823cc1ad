"""The light composition root: what decides, fed from a folder. Nothing here reaches what parses foreign bytes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeltrust.admission.decide import Admission
from modeltrust.api.compile import compile_exemption, compile_policy, compile_revocation, compile_signer, statements_of
from modeltrust.api.manifests import read_manifests
from modeltrust.api.yaml_reader import read_yaml
from modeltrust.attestation.attestors import parse_attestors
from modeltrust.domain.errors import InvalidInputError
from modeltrust.policy.policy import Unmatched
from modeltrust.references.extract import Extractor
from modeltrust.references.tables import Tables
from modeltrust.store.files import Folder
from modeltrust.store.sink import Kind
from modeltrust.store.store import Compilers, Store
from modeltrust.wiring.rows import load_tables


@dataclass(frozen=True, slots=True)
class Live:
    """What decides, and what keeps it current.

    Attributes:
        admission: answers.
        store: what it reads.
        folder: feeds the store at each ``poll``.
        tables: what extraction knows.
    """

    admission: Admission
    store: Store
    folder: Folder
    tables: Tables


def admission_from_folder(folder: Path, *, now: int, unmatched: Unmatched = Unmatched.ALLOW) -> Admission:
    """What decides as of one moment, from a trust folder or file: for the command line.

    Raises:
        InvalidInputError: something in it cannot be used; names the file.
    """
    broken: list[str] = []
    live = live_admission(folder, unmatched=unmatched, problem=lambda kind, name, why: broken.append(f"{kind.value} {name}: {why}"))
    problems = [f"{problem.file or folder}: {problem.why}" for problem in live.folder.poll(now)] + broken
    if problems:
        raise InvalidInputError(f"the trust folder cannot be used: {problems[0]}")
    return live.admission


def live_admission(
    folder: Path,
    *,
    unmatched: Unmatched,
    problem: Callable[[Kind, str, str], None],
    report: Callable[[Exception], str] = lambda error: type(error).__name__,
) -> Live:
    """What decides, fed whenever the folder is polled.

    Args:
        folder: policies, signers, attestations … and attestors.yaml.
        unmatched: what follows where no enforcing policy covers a model.
        problem: told (kind, name, why) of an object that cannot be used.
        report: writes down an error of ours; returns the id under which it can be found.

    Raises:
        InvalidInputError: our own tables are broken.
    """
    tables = load_tables()
    store = Store(
        Compilers(
            policy=compile_policy,
            signer=compile_signer,
            exemption=compile_exemption,
            revocation=compile_revocation,
            statements=statements_of,
        ),
        problem=problem,
    )
    fed = Folder(folder, sink=store, freshness=store.freshness, parse=_parse, attestors=lambda data: _believe(store, data))
    admission = Admission(extractor=Extractor(tables), store=store, unmatched=unmatched, report=report)
    return Live(admission, store, fed, tables)


def _parse(data: bytes, name: str) -> Iterable[Mapping[str, Any]]:
    return [document.value for document in read_manifests(data, name)]


def _believe(store: Store, data: bytes | None) -> None:
    store.believe(None if data is None else parse_attestors(_list(data)))


def _list(data: bytes) -> Any:
    try:
        documents = list(read_yaml(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise InvalidInputError("got bytes that are no UTF-8, expected a list of attestors") from error
    if len(documents) != 1:
        raise InvalidInputError(f"got {len(documents)} YAML documents, expected one list of attestors")
    return documents[0].value
