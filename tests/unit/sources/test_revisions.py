import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from modeltrust.domain.errors import InvalidReferenceError, ModelTrustError, NotFoundError, UnavailableError
from modeltrust.domain.reference import Revision, RevisionState, parse_reference
from modeltrust.sources.http import Client
from modeltrust.sources.revisions import resolve
from tests.support.hub import File, Hub, serving_hub
from tests.support.registry import Answer, Registry

NAME = "acme/guard-7b"
COMMIT = "9f" * 20


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving_hub(Hub()) as serving_now:
        yield serving_now


def ask(text: str, client: Client, **more: Any) -> Revision:
    return resolve(*parse_reference(text), client, **more)


def test_a_branch_becomes_the_commit_that_it_points_to_now(hub: Hub, client: Client) -> None:
    repository = hub.model(NAME)
    first = repository.commit({"a": File(b"1")})
    second = repository.commit({"a": File(b"2")})
    repository.branches["v1"] = first
    assert ask(f"hf://{NAME}", client, hub=hub.url) == Revision(RevisionState.COMMIT, second)
    assert ask(f"hf://{NAME}@main", client, hub=hub.url).value == second
    assert ask(f"hf://{NAME}@v1", client, hub=hub.url).value == first


def test_what_is_immutable_asks_nobody(client: Client) -> None:
    assert ask(f"hf://{NAME}@{COMMIT}", client, hub="http://127.0.0.1:1").value == COMMIT


def test_m10_a_renamed_repository_is_never_resolved_to_what_has_its_new_name(hub: Hub, client: Client) -> None:
    hub.model("acme/guard-8b").commit({"a": File(b"1")})
    hub.renamed[NAME] = "acme/guard-8b"
    with pytest.raises(UnavailableError, match="renamed"):
        ask(f"hf://{NAME}", client, hub=hub.url)


@pytest.mark.parametrize("reference", [f"hf://{NAME}@gone", "hf://acme/nobody"])
def test_what_is_not_there_is_an_absence(reference: str, hub: Hub, client: Client) -> None:
    hub.model(NAME).commit({"a": File(b"1")})
    with pytest.raises(NotFoundError):
        ask(reference, client, hub=hub.url)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"id": "acme/guard-7b"}',
        b'{"id": "acme/guard-7b", "sha": "main"}',
        b'{"id": "acme/guard-7b", "sha": "9F' + b"0" * 38 + b'"}',
        b'{"id": "Acme/guard-7b", "sha": "' + b"9" * 40 + b'"}',
        b'{"id": "acme/guard-7b", "id": "x", "sha": "' + b"9" * 40 + b'"}',
    ],
)
def test_an_answer_that_makes_no_sense_pins_nothing(body: bytes, hub: Hub, client: Client) -> None:
    hub.spoil = lambda _request, _answer: Answer(200, {}, body)
    with pytest.raises(UnavailableError):
        ask(f"hf://{NAME}", client, hub=hub.url)


@pytest.mark.parametrize("status", [403, 500, 418])
def test_a_hub_that_refuses_pins_nothing(status: int, hub: Hub, client: Client) -> None:
    hub.spoil = lambda _request, _answer: Answer(status)
    with pytest.raises(ModelTrustError):
        ask(f"hf://{NAME}", client, hub=hub.url)


def test_a_tag_becomes_the_digest_of_what_the_registry_serves(registry: Registry, client: Client) -> None:
    document = registry.document([])
    registry.push_manifest(document, tag="v1")
    digest = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    found = ask(f"oci://{registry.address}/models/guard@v1", client)
    assert found.state is RevisionState.DIGEST
    assert len(found.value) == len(f"sha256:{digest}")
    again = ask(f"oci://{registry.address}/models/guard@{found.value}", client)
    assert again == found


def test_a_tag_that_is_not_there_is_an_absence(registry: Registry, client: Client) -> None:
    with pytest.raises(NotFoundError):
        ask(f"oci://{registry.address}/models/guard", client)


@pytest.mark.parametrize("reference", ["s3://bucket/model", "pvc://team-a/claim/model", "https://example.com/m"])
def test_what_has_no_revisions_cannot_be_pinned(reference: str, client: Client) -> None:
    with pytest.raises(InvalidReferenceError):
        ask(reference, client)
