import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidReferenceError, MalformedError, ModelTrustError
from modeltrust.domain.reference import (
    NO_REVISION,
    Identity,
    ModelReference,
    Revision,
    RevisionState,
    hub_revision,
    model_reference,
    parse_identity,
    parse_identity_key,
    parse_reference,
)
from tests.support.steps import calls

COMMIT = "9f2c41d0a6e1b75c3d8e4f60718293a4b5c6d7e8"
DIGEST = "sha256:" + "0123456789abcdef" * 4

READ = [
    ("hf://acme/guard-7b", "hf", "acme/guard-7b", None, NO_REVISION),
    ("hf://gpt2", "hf", "gpt2", None, NO_REVISION),
    (f"hf://acme/guard@{COMMIT}", "hf", "acme/guard", None, Revision(RevisionState.COMMIT, COMMIT)),
    ("hf://acme/guard@main", "hf", "acme/guard", None, Revision(RevisionState.TAG, "main")),
    ("hf://acme/guard@refs/pr/1", "hf", "acme/guard", None, Revision(RevisionState.TAG, "refs/pr/1")),
    (f"hf://acme/guard@{COMMIT[:7]}", "hf", "acme/guard", None, Revision(RevisionState.TAG, COMMIT[:7])),
    (f"hf://acme/guard@{COMMIT.upper()}", "hf", "acme/guard", None, Revision(RevisionState.TAG, COMMIT.upper())),
    (f"hf://acme/guard@{COMMIT}0", "hf", "acme/guard", None, Revision(RevisionState.TAG, f"{COMMIT}0")),
    ("hf+https://hub.acme.example/acme/guard", "hf", "acme/guard", "https://hub.acme.example", NO_REVISION),
    ("hf+https://hub.acme.example:8443/acme/guard", "hf", "acme/guard", "https://hub.acme.example:8443", NO_REVISION),
    (
        f"oci://registry.acme.example/m/guard@{DIGEST}",
        "oci",
        "registry.acme.example/m/guard",
        None,
        Revision(RevisionState.DIGEST, DIGEST),
    ),
    ("oci://localhost:5000/guard@v1", "oci", "localhost:5000/guard", None, Revision(RevisionState.TAG, "v1")),
    (f"oci://r.example/guard@{COMMIT}", "oci", "r.example/guard", None, Revision(RevisionState.TAG, COMMIT)),
    ("s3://bucket/key/model", "s3", "bucket/key/model", None, NO_REVISION),
    ("s3+https://minio.acme.example/bucket/key", "s3", "bucket/key", "https://minio.acme.example", NO_REVISION),
    ("pvc://team-a/claim/path", "pvc", "team-a/claim/path", None, NO_REVISION),
    ("https://host.example/model.bin", "https", "host.example/model.bin", None, NO_REVISION),
    (f"https://host.example/m@{COMMIT}", "https", "host.example/m", None, Revision(RevisionState.TAG, COMMIT)),
    ("ms://org/model", "ms", "org/model", None, NO_REVISION),
]


@pytest.mark.parametrize(("text", "scheme", "path", "resolver", "revision"), READ)
def test_a_canonical_reference_is_read_and_written_back(
    text: str, scheme: str, path: str, resolver: str | None, revision: Revision
) -> None:
    reference, stated = parse_reference(text)
    assert (reference, stated) == (ModelReference(scheme, path, resolver), revision)
    assert f"{reference}{'@' if str(stated) else ''}{stated}" == text


REFUSED = [
    "",
    "acme/guard",
    "hf:acme/guard",
    "hf:/acme/guard",
    "hf://",
    "://acme/guard",
    "HF://acme/guard",
    "h_f://acme/guard",
    "0hf://acme/guard",
    "a" * 17 + "://x",
    "hf://acme/guard@",
    "hf://acme/guard@main@main",
    "hf://acme/guard:main",
    "hf://acme/guard/extra",
    "hf://acme//guard",
    "hf:///acme/guard",
    "hf://acme/guard/",
    "hf://acme/../guard",
    "hf://acme/./guard",
    "hf://.acme/guard",
    "hf://acme/guard.",
    "hf://acme/-guard",
    "hf://acme/gu--ard",
    "hf://acme/gu..ard",
    "hf://acme/guard.git",
    "hf://acme/" + "x" * 97,
    "hf://acmé/guard",
    "hf://acme/guаrd",  # noqa: RUF001 - a Cyrillic letter is the point
    "hf://acme/gu%61rd",
    "hf://acme/guard?x=y",
    "hf://acme/guard#x",
    "hf://acme\\guard",
    "hf://acme/guard ",
    " hf://acme/guard",
    "hf://acme/guard\n",
    "hf://acme/guard@main\n",
    "hf://acme/guard@ma in",
    "hf://acme/guard@../main",
    "hf://acme/guard@a//b",
    "hf://acme/guard@-x",
    f"hf://acme/guard@sha1:{COMMIT}",
    "hf://acme/guard@sha256:abc",
    f"oci://r.example/guard@{DIGEST.upper()}",
    f"oci://r.example/guard@{DIGEST}0",
    "hf+http://hub.acme.example/acme/guard",
    "hf+ftp://hub.acme.example/acme/guard",
    "hf+https://hub.acme.example",
    "hf+https://hub.acme.example/",
    "hf+https://user@hub.acme.example/acme/guard",
    "hf+https://HUB.acme.example/acme/guard",
    "hf+https://hub.acme.example:443/acme/guard",
    "hf+https://huggingface.co/acme/guard",
    "hf+https+x://hub.acme.example/acme/guard",
    "+https://hub.acme.example/acme/guard",
    "oci://registry.acme.example",
    "oci://registry.acme.example/",
    "oci://Registry.acme.example/guard",
    "oci://registry.acme.example/Guard",
    "oci://registry.acme.example/guard:v1",
    "oci://registry.acme.example/gu___ard",
    "oci://registry.acme.example/.guard",
    "oci://registry.acme.example:443/guard",
    "oci://registry.acme.example:05000/guard",
    "oci://registry.acme.example:0/guard",
    "oci://registry.acme.example:65536/guard",
    "oci://registry.acme.example:/guard",
    "oci://registry..example/guard",
    "oci://registry.acme.example./guard",
    "oci://-registry.example/guard",
    "oci://registry-.example/guard",
    "oci://" + "x" * 64 + ".example/guard",
    "oci://user@registry.acme.example/guard",
    "https://host.example:443/x",
    "http://host.example:80/x",
    "https://user:secret@host.example/x",
    "https://host.example/x?X-Amz-Signature=secret",
    "pvc://team-a",
    "s3://bucket/ke y",
    "s3://bucket/" + "x" * limits.REFERENCE_CHARACTERS,
]


@pytest.mark.parametrize("text", REFUSED)
def test_a_reference_that_is_not_canonical_is_refused_and_not_repaired(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)


def test_a_refusal_of_many_bytes_is_a_short_message() -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference("hf://" + "x/" * 400)
    assert len(str(caught.value)) < 300


PARTS = st.text(alphabet=string.ascii_letters + string.digits + "._~:+=,!$&'()-", min_size=1, max_size=8)
HOSTS = st.sampled_from(["r.example", "localhost:5000", "a-b.c1:8443"])
OCI_NAMES = st.from_regex(r"[a-z0-9]{1,5}([._-][a-z0-9]{1,5})?(/[a-z0-9]{1,5}){0,2}", fullmatch=True)
REVISIONS = st.sampled_from(["", f"@{COMMIT}", f"@{DIGEST}", "@main", "@refs/pr/1"])
TEXTS = st.one_of(
    st.builds(lambda parts, rev: f"hf://{'/'.join(parts)}{rev}", st.lists(PARTS, min_size=1, max_size=2), REVISIONS),
    st.builds(lambda host, parts, rev: f"s3+https://{host}/{'/'.join(parts)}{rev}", HOSTS, st.lists(PARTS, min_size=1), REVISIONS),
    st.builds(lambda host, name, rev: f"oci://{host}/{name}{rev}", HOSTS, OCI_NAMES, REVISIONS),
    st.builds(lambda parts, rev: f"pvc://{'/'.join(parts)}{rev}", st.lists(PARTS, min_size=1, max_size=4), REVISIONS),
    st.text(max_size=40),
)


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_what_is_read_is_written_back_as_it_was(text: str) -> None:
    try:
        reference, revision = parse_reference(text)
    except InvalidReferenceError:
        return
    assert f"{reference}{'@' if str(revision) else ''}{revision}" == text
    assert model_reference(reference.scheme, reference.path, resolver=reference.resolver) == reference
    if revision.immutable:
        identity = Identity(reference, revision)
        assert parse_identity_key(identity.key) == identity == parse_identity(text)


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_no_text_raises_anything_but_our_errors(text: str) -> None:
    for read in (parse_reference, parse_identity, parse_identity_key):
        try:
            read(text)
        except ModelTrustError:
            continue


def test_another_resolver_is_another_name() -> None:
    here, there = model_reference("hf", "acme/guard"), model_reference("hf", "acme/guard", resolver="https://evil.example")
    assert here != there
    assert Identity(here, hub_revision(COMMIT)).key != Identity(there, hub_revision(COMMIT)).key


RESOLVERS = [
    "",
    "hub.example",
    "http://hub.example",
    "https://",
    "https://hub.example/",
    "https://hub.example:443",
    "https://H.example",
]


@pytest.mark.parametrize("resolver", [*RESOLVERS, "https://huggingface.co"])
def test_a_resolver_has_one_spelling(resolver: str) -> None:
    with pytest.raises(InvalidReferenceError):
        model_reference("hf", "acme/guard", resolver=resolver)


def test_the_parts_together_are_bounded() -> None:
    with pytest.raises(InvalidReferenceError, match="more than"):
        model_reference("s3", "x" * (limits.REFERENCE_CHARACTERS - 3))


# --- identities --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["hf://acme/guard", "hf://acme/guard@main", f"hf://acme/guard@{COMMIT[:12]}", "oci://r.example/x@v1"]
)
def test_what_can_change_is_no_identity(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_identity(text)
    with pytest.raises(InvalidReferenceError):
        parse_identity_key(text)


FAKES = [
    Revision(RevisionState.COMMIT, "main"),
    Revision(RevisionState.COMMIT, COMMIT.upper()),
    Revision(RevisionState.COMMIT, DIGEST),
    Revision(RevisionState.DIGEST, COMMIT),
    Revision(RevisionState.DIGEST, DIGEST[7:]),
    Revision(RevisionState.DIGEST, f"sha512:{DIGEST[7:]}"),
    Revision(RevisionState.LIVE, COMMIT),
    Revision(RevisionState.OPAQUE),
    Revision(RevisionState.TAG, COMMIT),
    NO_REVISION,
]


@pytest.mark.parametrize("revision", FAKES)
def test_a_state_without_the_value_that_belongs_to_it_pins_nothing(revision: Revision) -> None:
    with pytest.raises(InvalidReferenceError, match="immutable"):
        Identity(model_reference("hf", "acme/guard"), revision)


def test_a_content_digest_pins_what_has_no_revisions() -> None:
    content = ContentDigest("a" * 64)
    identity = parse_identity("s3://bucket/model", content=content)
    assert identity.key == f"s3://bucket/model@content:sha256:{'a' * 64}"
    assert str(identity) == identity.key
    assert parse_identity_key(identity.key) == identity
    assert identity != Identity(identity.reference, Revision(RevisionState.DIGEST, str(content)))


def test_a_revision_and_a_content_digest_are_one_too_many() -> None:
    with pytest.raises(InvalidReferenceError, match="one of them"):
        parse_identity(f"hf://acme/guard@{COMMIT}", content=ContentDigest("a" * 64))


@pytest.mark.parametrize("key", ["s3://b/m@content:", "s3://b/m@content:sha256:abc", "@content:sha256:" + "a" * 64])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises((InvalidReferenceError, MalformedError)):
        parse_identity_key(key)


def test_a_hub_revision_is_a_commit_only_with_forty_digits() -> None:
    assert hub_revision(COMMIT).immutable
    for text in ("main", COMMIT[:39], COMMIT.upper(), "v1.0"):
        assert not hub_revision(text).immutable
    for text in ("", "a b", "x" * 256, "-x", "a\n"):
        with pytest.raises(InvalidReferenceError):
            hub_revision(text)


def test_reading_costs_few_calls() -> None:
    text = f"hf+https://hub.acme.example/acme/guard-7b@{COMMIT}"
    assert calls(lambda: Identity(*parse_reference(text))) < 100
