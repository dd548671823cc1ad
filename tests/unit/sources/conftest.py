"""A registry, and a client that may speak to it in the clear and waits for nobody."""

from collections.abc import Iterator

import pytest

from modeltrust.sources.http import Client
from tests.support.registry import Registry, serving


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as registry:
        yield registry


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(plain_http=True, sleep=lambda _: None)
    yield client
    client.close()
