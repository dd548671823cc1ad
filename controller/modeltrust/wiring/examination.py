"""The heavy composition root: sources, signing and formats joined into an examiner.

What takes long to import is imported when it is used, so that commands which examine nothing start fast.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.reference import Identity, ModelReference, Revision
from modeltrust.domain.source import Source
from modeltrust.domain.work import SourceAccess
from modeltrust.verification.examine import Examiner, Inspect

if TYPE_CHECKING:
    from modeltrust.sources.interface import Progress
    from modeltrust.wiring.opening import OpenedSource

SERVED = frozenset({"hf", "oci"})  # schemes whose revisions fix a model at a source of ours


def examiner(*, trust_root_folder: Path | None = None, now: int = 0) -> Examiner:
    """An examiner with the real formats and signatures.

    Args:
        trust_root_folder: where ``signing.tuf_root`` keeps the public good instance's root; None is the copy that we came with.
        now: unix seconds at which that root must be current.
    """
    from modeltrust.signing.verify import Verifier  # noqa: PLC0415 - heavy

    return Examiner(inspect=_inspect(), verify=Verifier(None if trust_root_folder is None else _current(trust_root_folder, now)))


def _current(folder: Path, now: int) -> bytes | Unavailable:
    from modeltrust.signing.tuf_root import last_good  # noqa: PLC0415 - heavy

    try:
        return last_good(folder, now)
    except UnavailableError as error:
        return Unavailable(str(error))


def open_folder(path: Path, *, signature: Path | None = None, progress: "Progress | None" = None) -> Source:
    """A model in a local folder; every byte is hashed when it is listed.

    Args:
        path: the folder.
        signature: a bundle elsewhere, instead of model.sig in the folder.
        progress: told how many bytes have been read since the last call.
    """
    from modeltrust.sources.filesystem import FolderSource  # noqa: PLC0415 - heavy

    return FolderSource(path, signature=signature, progress=progress)


def open_source(
    identity: Identity,
    access: SourceAccess,
    *,
    allow_loopback: bool = False,
    progress: "Progress | None" = None,
    read_bytes: bool = True,
) -> "OpenedSource":
    """A model where its ModelSource says; see ``wiring.opening``. A context manager, which closes the connections.

    Raises:
        InvalidInputError: the access does not fit the identity, so that nothing may be contacted for it.
    """
    from modeltrust.wiring import opening  # noqa: PLC0415 - heavy

    return opening.open_source(identity, access, allow_loopback=allow_loopback, progress=progress, read_bytes=read_bytes)


def contacted_ports(accesses: Iterable[SourceAccess]) -> frozenset[int]:
    """The TCP ports at which these sources are."""
    from modeltrust.wiring import opening  # noqa: PLC0415 - heavy

    return frozenset(port for access in accesses for port in opening.ports(access))


def open_reference(
    reference: ModelReference, revision: Revision, *, access: SourceAccess | None = None, plain_http: bool = False
) -> "OpenedSource":
    """A model at its source, as the command line names it.

    Args:
        reference: which model.
        revision: immutable where the source has revisions.
        access: how it may be read; None for its public place, without credentials.
        plain_http: speak HTTP, to a registry on this machine only.

    Raises:
        InvalidInputError: no source serves this scheme, or the revision is not immutable where it must be.
    """
    from modeltrust.wiring import opening  # noqa: PLC0415 - heavy

    return opening.open_named(reference, revision, access=access, plain_http=plain_http)


def public_access(reference: ModelReference) -> SourceAccess:
    """Where everybody finds a model, without credentials.

    Raises:
        InvalidInputError: no source serves this scheme.
    """
    from modeltrust.wiring import opening  # noqa: PLC0415 - heavy

    return opening.public_access(reference)


def _inspect() -> Inspect:
    from modeltrust.formats.inspect import inspect  # noqa: PLC0415 - heavy
    from modeltrust.wiring.rules import load_rules  # noqa: PLC0415 - heavy

    rules = load_rules()
    return lambda listing, reader: inspect(listing, reader, rules)
