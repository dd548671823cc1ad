"""The heavy composition root: sources, signing and formats joined into an examiner.

What takes long to import is imported when it is used, so that commands which examine nothing start fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.domain.reference import ModelReference, Revision
from modeltrust.domain.source import Source
from modeltrust.verification.examine import Examiner, Inspect

if TYPE_CHECKING:
    from modeltrust.sources.interface import Progress

SERVED = frozenset({"oci"})  # schemes that some source of ours reads; everything else needs a local copy


def examiner() -> Examiner:
    """An examiner with the real formats and signatures."""
    from modeltrust.signing.verify import verify  # noqa: PLC0415 - heavy

    return Examiner(inspect=_inspect(), verify=verify)


def open_folder(path: Path, *, signature: Path | None = None, progress: "Progress | None" = None) -> Source:
    """A model in a local folder; every byte is hashed when it is listed.

    Args:
        path: the folder.
        signature: a bundle elsewhere, instead of model.sig in the folder.
        progress: told how many bytes have been read since the last call.
    """
    from modeltrust.sources.filesystem import FolderSource  # noqa: PLC0415 - heavy

    return FolderSource(path, signature=signature, progress=progress)


def open_reference(reference: ModelReference, revision: Revision, *, plain_http: bool = False) -> Source:
    """A model at a source that some implementation serves.

    Args:
        reference: which model.
        revision: immutable.
        plain_http: speak HTTP, to a registry on this machine only.

    Raises:
        InvalidInputError: no source serves this scheme yet, or the revision is not immutable.
    """
    if reference.scheme not in SERVED:
        raise InvalidInputError(f"got {quote(reference)}, expected a folder or oci://: no other source is served yet")
    from modeltrust.sources.http import Client  # noqa: PLC0415 - heavy
    from modeltrust.sources.oci import OciSource  # noqa: PLC0415 - heavy

    return OciSource(reference, revision, Client(plain_http=plain_http, allow_private=True))


def _inspect() -> Inspect:
    from modeltrust.formats.inspect import inspect  # noqa: PLC0415 - heavy
    from modeltrust.wiring.rules import load_rules  # noqa: PLC0415 - heavy

    rules = load_rules()
    return lambda listing, reader: inspect(listing, reader, rules)
