from dataclasses import replace

import pytest

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Revision, RevisionState
from modeltrust.domain.workload import FoundReference
from modeltrust.policy.requirements.pinned import Pinned
from tests.support.trust import GUARD, a_found, a_trust

DIGEST = "sha256:" + "5" * 64


def check(found: FoundReference) -> Finding:
    (finding,) = Pinned().check(found, a_trust())
    assert finding.requirement == "pinned"
    return finding


@pytest.mark.parametrize(
    "text", [GUARD, f"oci://registry.acme.example/guard@{DIGEST}", f"hf+https://hub.acme.example/acme/guard@{'1' * 40}"]
)
def test_a_commit_of_a_hub_and_a_digest_of_a_registry_pin(text: str) -> None:
    assert check(a_found(text)).status is Status.PASS


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("hf://acme/guard-7b@main", 'names tag "main"; expected a 40-hex commit'),
        ("hf://acme/guard-7b@9f2c41d", 'names tag "9f2c41d"; expected a 40-hex commit'),
        (f"hf://acme/guard-7b@{'A' * 40}", f'names tag "{"A" * 40}"; expected a 40-hex commit'),
        ("hf://acme/guard-7b", "names no revision; expected a 40-hex commit"),
        ("oci://registry.acme.example/guard@v1", 'names tag "v1"; expected a sha256 digest'),
        ("oci://registry.acme.example/guard", "names no revision; expected a sha256 digest"),
        (f"hf://acme/guard-7b@{DIGEST}", f'names digest "{DIGEST}"; expected a 40-hex commit'),
    ],
)
def test_what_can_change_is_said_with_what_was_expected(text: str, got: str) -> None:
    finding = check(a_found(text))
    assert (finding.status, finding.reason, finding.message) == (Status.FAIL, Reason.UNPINNED_REFERENCE, got)
    assert finding.fix


@pytest.mark.parametrize(
    "text",
    [
        f"s3://bucket/model@{DIGEST}",
        f"gs://bucket/model@{DIGEST}",
        f"pvc://team-a/claim/model@{DIGEST}",
        f"https://models.acme.example/guard@{'1' * 40}",
        f"https://models.acme.example/guard@{DIGEST}",
        f"s3+https://minio.acme.example/bucket/model@{DIGEST}",
        f"ms://acme/guard@{'1' * 40}",
        "s3://bucket/model",
    ],
)
def test_a_digest_in_the_name_of_something_mutable_pins_nothing(text: str) -> None:
    finding = check(a_found(text))
    assert finding.reason is Reason.UNPINNED_REFERENCE
    assert "verified at load: no policy here demands that" in finding.message


@pytest.mark.parametrize(
    ("state", "got"),
    [
        (RevisionState.LIVE, "follows its source after admission; expected a 40-hex commit"),
        (RevisionState.OPAQUE, "names a revision that cannot be read from the manifest; expected a 40-hex commit"),
    ],
)
def test_a_revision_that_is_live_or_opaque_pins_nothing(state: RevisionState, got: str) -> None:
    assert check(replace(a_found(GUARD), revision=Revision(state))).message == got
