"""Strings are read with the grammar of their kind, or refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.reference import parse_reference
from modeltrust.references.uris import LocalPath, Named, read
from modeltrust.wiring.rows import load_tables
from tests.support.workloads import COMMIT

PROFILES = load_tables().profiles
DIGEST = "sha256:" + "ab" * 32


def _text(profile: str, text: str) -> str:
    reading = read(PROFILES[profile], text, namespace="team")
    if isinstance(reading, LocalPath):
        return f"path {reading.path}"
    value = reading.revision.value
    return str(reading.reference) + (f"@{value}" if value else "") + (" opaque" if reading.revision.state == "opaque" else "")


@pytest.mark.parametrize(
    ("profile", "text", "expected"),
    [
        ("kserve", "hf://a/b", "hf://a/b"),
        ("kserve", f"hf://a/b:{COMMIT}", f"hf://a/b@{COMMIT}"),
        ("kserve", "hf://a/b:main", "hf://a/b@main"),
        ("kserve", "modelscope://a/b", "ms://a/b"),
        ("kserve", f"oci://r.example/m@{DIGEST}", f"oci://r.example/m@{DIGEST}"),
        ("kserve", "oci+native://r.example/m:1", "oci://r.example/m@1"),
        ("kserve", "s3://bucket/prefix/", "s3://bucket/prefix"),
        ("kserve", "pvc://claim/sub/", "pvc://team/claim/sub"),
        ("kserve", "pvc://claim", "pvc://team/claim"),
        ("kserve", "https://x.example/m.tar.gz", "https://x.example/m.tar.gz"),
        ("kserve", "file:///m", "path /m"),
        ("kserve", "/mnt/models", "path /mnt/models"),
        ("ome", "hf://a/b@main", "hf://a/b@main"),
        ("ome", "pvc://ns:claim/sub", "pvc://ns/claim/sub"),
        ("kthena", "pvc:///path", "path /path"),
        ("bare-hf", "gpt2", "hf://gpt2"),
        ("bare-hf", "a/b", "hf://a/b"),
        ("bare-hf", "hf.co/a/b", "hf://a/b"),
        ("bare-hf", f"https://huggingface.co/a/b/resolve/{COMMIT}/x.gguf", f"hf://a/b@{COMMIT}"),
        ("bare-hf", "https://www.modelscope.cn/models/a/b", "ms://a/b"),
        ("bare-hf", "https://modelscope.cn/a/b.git", "ms://a/b"),
        ("bare-hf", "./local", "path ./local"),
        ("bare-hf", "a/b/c", "path a/b/c"),
        ("bare-hf", "model.gguf", "path model.gguf"),
        ("rclone", "remote:bucket/m", "rclone://remote/bucket/m opaque"),
        ("rclone", "just/a/path", "path just/a/path"),
        ("nim", "org/team/model:1", "ngc://org/team/model:1 opaque"),
        ("triton", "s3://host.example:9000/bucket/m", "s3+https://host.example:9000/bucket/m"),
        ("triton", "s3://https://host.example:9000/bucket", "s3+https://host.example:9000/bucket"),
        ("llamacpp", "a/b:Q4", "hf://a/b"),
        ("docker-model-runner", "ai/smollm2", "oci://docker.io/ai/smollm2@latest"),
        ("docker-model-runner", "hf.co/a/b", "hf://a/b"),
        ("ollama", "phi", "oci://registry.ollama.ai/library/phi@latest"),
        ("ollama", "me/phi:3b", "oci://registry.ollama.ai/me/phi@3b"),
        ("ollama", "host.example/me/phi:3b", "oci://host.example/me/phi@3b"),
        ("ollama", "hf.co/a/b:Q4", "hf://a/b"),
        ("image", "nginx", "oci://docker.io/library/nginx@latest"),
        ("image", "localhost/x:1", "oci://localhost/x@1"),
        ("image", "host:5000/x", "oci://host:5000/x@latest"),
        ("image", f"a/b:tag@{DIGEST}", f"oci://docker.io/a/b@{DIGEST}"),
        ("image", f"a/b:{COMMIT}", f"oci://docker.io/a/b@{COMMIT}"),
        ("pvc-name", "claim/sub", "pvc://team/claim/sub"),
    ],
)
def test_readings(profile: str, text: str, expected: str) -> None:
    assert _text(profile, text) == expected


def test_forty_digits_are_a_commit_only_on_the_hub() -> None:
    for profile, text in (("image", f"a/b:{COMMIT}"), ("kserve", f"modelscope://a/b:{COMMIT}")):
        reading = read(PROFILES[profile], text, namespace="team")
        assert isinstance(reading, Named)
        assert not reading.revision.immutable


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        ("kserve", ""),
        ("kserve", "x" * 2000),
        ("kserve", "hf://a/b/c"),
        ("kserve", "hf://a/b:"),
        ("kserve", "hf://datasets/a/b"),
        ("kserve", "unknown://a/b"),
        ("kserve", "model-registry://m/1"),
        ("kserve", "s3://user@bucket/m"),
        ("kserve", "https://user:secret@x.example/m"),
        ("kserve", "https://x.example/m?token=1"),
        ("kserve", "pvc://claim?x"),
        ("kserve", "s3://bucket/../x"),
        ("kubeai", "a/b"),
        ("kubeai", "ollama://phi?insecure=true"),
        ("bare-hf", "a--b/c"),
        ("bare-hf", "https://huggingface.co/datasets/a/b"),
        ("bare-hf", "https://huggingface.co/a/b/settings"),
        ("bare-hf", "https://huggingface.co/a/b/resolve/main/x?download=true"),
        ("image", "Upper/x"),
        ("image", "a/b@sha256:short"),
        ("image", "a/b@md5:x"),
        ("ollama", "phi@sha256:1"),
        ("url", "no-url"),
        ("dynamo", "a/b"),
        ("kserve", f"oci+fetch://r.example/m@{DIGEST}"),
        ("kserve-storage-initializer", f"oci://r.example/m@{DIGEST}"),
    ],
)
def test_what_cannot_be_read_is_refused(profile: str, text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        read(PROFILES[profile], text, namespace="team")


@given(st.sampled_from(sorted(PROFILES)), st.text(alphabet="ab:/@.-_?$%A{<1é", max_size=24))
@settings(max_examples=250, deadline=None)
def test_a_reading_is_canonical_or_refused(profile: str, text: str) -> None:
    try:
        reading = read(PROFILES[profile], text, namespace="team")
    except InvalidReferenceError:
        return
    if isinstance(reading, Named):
        assert parse_reference(str(reading.reference))[0] == reading.reference
