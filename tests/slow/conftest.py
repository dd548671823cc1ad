"""What several slow modules start once: a private Sigstore of real services."""

from collections.abc import Iterator

import pytest

from tests.support import tools
from tests.support.private_signing import Signing, signing


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    """An instance and its issuers; skipped, loudly, only where it was not built."""
    if not tools.complete("sigstore"):
        pytest.skip(tools.NO_SIGSTORE)
    with signing(tmp_path_factory.mktemp("private")) as found:
        yield found


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    """Another instance, which has nothing in common with the first."""
    if not tools.complete("sigstore"):
        pytest.skip(tools.NO_SIGSTORE)
    with signing(tmp_path_factory.mktemp("foreign")) as found:
        yield found
