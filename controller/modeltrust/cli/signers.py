"""TrustedSigner files named on the command line."""

from modeltrust.api.compile import compile_signer
from modeltrust.cli import files
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.signer import TrustedSigner


def read_signers(names: tuple[str, ...]) -> tuple[TrustedSigner, ...]:
    """Every TrustedSigner in the named files and folders; other kinds beside them are passed over.

    Raises:
        InvalidInputError: a file cannot be read, a signer is wrong, or there is none.
    """
    documents = [document for document in files.documents(names, trust=True) if document.value.get("kind") == "TrustedSigner"]
    if not documents:
        raise InvalidInputError(f"got no TrustedSigner in {', '.join(names)}")
    return tuple(compile_signer(document.value) for document in documents)
