"""The light composition root: what decides, fed from a folder. Nothing here reaches what parses foreign bytes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modeltrust.admission.decide import Admission
from modeltrust.api.compile import (
    compile_exemption,
    compile_mapping,
    compile_policy,
    compile_revocation,
    compile_signer,
    compile_suite,
    statements_of,
)
from modeltrust.api.manifests import read_manifests
from modeltrust.api.yaml_reader import read_yaml
from modeltrust.attestation.attestors import parse_attestors
from modeltrust.domain.errors import InvalidInputError
from modeltrust.policy.policy import Unmatched
from modeltrust.references.extract import Extractor
from modeltrust.store.files import Folder, Problem
from modeltrust.store.sink import Kind
from modeltrust.store.store import Compilers, Store
from modeltrust.wiring.rows import load_tables, load_yaml


class Feed(Protocol):
    """Who keeps a store current by looking again and again."""

    def poll(self, now: float) -> tuple[Problem, ...]:
        """Look once.

        Args:
            now: unix seconds.

        Returns:
            What could not be used; empty when everything was.
        """
        ...


@dataclass(frozen=True, slots=True)
class Live:
    """What decides, and what keeps it current.

    Attributes:
        admission: answers.
        store: what it reads.
        feed: brings the store up to date at each ``poll``.
        extractor: reads objects, with the mappings of the store.
    """

    admission: Admission
    store: Store
    feed: Feed
    extractor: Extractor


def live_from_folder(folder: Path, *, now: int, unmatched: Unmatched = Unmatched.ALLOW) -> Live:
    """What decides and what reads as of one moment, from a trust folder or file: for the command line.

    Raises:
        InvalidInputError: something in it cannot be used; names the file.
    """
    broken: list[str] = []
    live = live_admission(folder, unmatched=unmatched, problem=lambda kind, name, why: broken.append(f"{kind.value} {name}: {why}"))
    problems = [f"{problem.file or folder}: {problem.why}" for problem in live.feed.poll(now)] + broken
    if problems:
        raise InvalidInputError(f"the trust folder cannot be used: {problems[0]}")
    return live


def live_admission(
    folder: Path,
    *,
    unmatched: Unmatched,
    problem: Callable[[Kind, str, str], None],
    report: Callable[[Exception], str] = lambda error: type(error).__name__,
    inject_image: str | None = None,
) -> Live:
    """What decides, fed whenever the folder is polled.

    Args:
        folder: policies, signers, attestations … and attestors.yaml.
        unmatched: what follows where no enforcing policy covers a model.
        problem: told (kind, name, why) of an object that cannot be used.
        report: writes down an error of ours; returns the id under which it can be found.
        inject_image: as ``Admission`` takes it.

    Raises:
        InvalidInputError: our own tables are broken.
    """
    extractor = new_extractor()
    store = new_store(problem, extractor)
    fed = Folder(folder, sink=store, freshness=store.freshness, parse=_parse, attestors=lambda data: believe(store, data))
    return join(store, fed, extractor=extractor, unmatched=unmatched, report=report, inject_image=inject_image)


def new_extractor() -> Extractor:
    """Who reads objects, as our own tables say, and knows no mappings.

    Raises:
        InvalidInputError: our own tables are broken.
    """
    return Extractor(load_tables(), load_yaml)


def new_store(problem: Callable[[Kind, str, str], None], extractor: Extractor) -> Store:
    """An empty store with our compilers.

    Args:
        problem: told (kind, name, why) of each object that cannot be used.
        extractor: reads the objects in the tests of mappings.
    """
    compilers = Compilers(
        policy=compile_policy,
        signer=compile_signer,
        exemption=compile_exemption,
        revocation=compile_revocation,
        suite=lambda obj: compile_suite(obj).spec_hash,
        statements=statements_of,
        mapping=lambda value: compile_mapping(value, extractor),
    )
    return Store(compilers, problem=problem)


def reader(extractor: Extractor, store: Store) -> Extractor:
    """Who reads objects with the mappings that the store holds at that moment."""
    return extractor.taught(store.mapped)


def join(
    store: Store,
    feed: Feed,
    *,
    extractor: Extractor,
    unmatched: Unmatched,
    report: Callable[[Exception], str],
    inject_image: str | None = None,
) -> Live:
    """What decides, over a store and whoever feeds it."""
    reads = reader(extractor, store)
    admission = Admission(extractor=reads, store=store, unmatched=unmatched, report=report, inject_image=inject_image)
    return Live(admission, store, feed, reads)


def _parse(data: bytes, name: str) -> Iterable[Mapping[str, Any]]:
    return [document.value for document in read_manifests(data, name)]


def believe(store: Store, data: bytes | None) -> None:
    """Believe the attestors of a trust file from now on, or nobody.

    Raises:
        ModelTrustError: the bytes are no trust file; the store keeps what it had.
    """
    store.believe(None if data is None else parse_attestors(_list(data)))


def _list(data: bytes) -> Any:
    try:
        documents = list(read_yaml(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise InvalidInputError("got bytes that are no UTF-8, expected a list of attestors") from error
    if len(documents) != 1:
        raise InvalidInputError(f"got {len(documents)} YAML documents, expected one list of attestors")
    return documents[0].value
