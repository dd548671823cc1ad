import pytest

from modeltrust.domain.digest import content_digest
from modeltrust.domain.errors import MalformedError


def test_an_empty_model_has_no_content_digest() -> None:
    with pytest.raises(MalformedError, match="at least one"):
        content_digest([])
