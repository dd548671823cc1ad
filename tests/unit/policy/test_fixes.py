import pytest

from modeltrust.domain.workload import Role
from modeltrust.policy import fixes
from tests.support.statements import COMMIT
from tests.support.trust import a_found

DIGEST = "sha256:" + "5" * 64


@pytest.mark.parametrize(
    ("spelling", "role", "expected"),
    [
        ("kserve", Role.BASE, "hf://acme/guard-7b:<40-hex commit>"),
        ("bare-hf", Role.BASE, "--revision <40-hex commit>"),
        ("bare-hf", Role.TOKENIZER, "--tokenizer-revision <40-hex commit>"),
        ("bare-hf", Role.CODE, "--code-revision <40-hex commit>"),
        ("", Role.BASE, "hf://acme/guard-7b@<40-hex commit>"),
        ("unknown", Role.BASE, "hf://acme/guard-7b@<40-hex commit>"),
    ],
)
def test_a_hub_reference_is_pinned_in_the_grammar_of_its_field(spelling: str, role: Role, expected: str) -> None:
    found = a_found("hf://acme/guard-7b@main", raw="acme/guard-7b", spelling=spelling, role=role)
    assert fixes.pin(found) == expected
    assert fixes.pin(found, COMMIT) == expected.replace("<40-hex commit>", COMMIT)


@pytest.mark.parametrize("spelling", ["ome", "dynamo", "nim", "bare-hf"])
def test_a_uri_that_takes_its_revision_behind_an_at_sign_gets_it_there(spelling: str) -> None:
    found = a_found("hf://acme/guard-7b", raw="hf://acme/guard-7b", spelling=spelling)
    assert fixes.pin(found) == "hf://acme/guard-7b@<40-hex commit>"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("registry.acme.example/guard:v1", "registry.acme.example/guard"),
        ("oci://registry.acme.example/guard:v1", "oci://registry.acme.example/guard"),
        ("registry.acme.example:5000/guard", "registry.acme.example:5000/guard"),
        ("", "oci://registry.acme.example/guard"),
    ],
)
def test_an_image_is_pinned_by_digest_as_it_is_written(raw: str, expected: str) -> None:
    found = a_found("oci://registry.acme.example/guard@v1", raw=raw)
    assert fixes.pin(found) == f"{expected}@sha256:<64-hex digest>"
    assert fixes.pin(found, DIGEST) == f"{expected}@{DIGEST}"


@pytest.mark.parametrize("text", ["s3://bucket/model", "pvc://team-a/claim/model", "https://models.acme.example/guard"])
def test_what_cannot_be_pinned_is_to_be_copied_where_it_can(text: str) -> None:
    assert fixes.pin(a_found(text)) == "copy the model to hf:// or oci://, where a revision can be named"
