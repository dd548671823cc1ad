"""What S3 says, read strictly."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError
from modeltrust.sources.s3_listing import page, stated_sha256

HEAD = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def listing(inner: str) -> bytes:
    return f"{HEAD}{inner}</ListBucketResult>".encode()


def entry(key: str, size: str = "5") -> str:
    return f"<Contents><Key>{key}</Key><Size>{size}</Size></Contents>"


def test_keys_are_decoded_as_they_were_encoded() -> None:
    encoded = listing("<EncodingType>url</EncodingType>" + entry("m/a+b%2Bc%C3%BC") + entry("m/x", "0"))
    assert page(encoded).objects == (("m/a b+cü", 5), ("m/x", 0))
    assert page(listing(entry("m/a+b%2B"))).objects == (("m/a+b%2B", 5),)
    more = listing("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>")
    assert page(more).following == "t"


BAD = [
    b"",
    b"<html>",
    b"<Error><Code>AccessDenied</Code></Error>",
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ListBucketResult>&b;</ListBucketResult>',
    b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><ListBucketResult/>',
    "<ListBucketResult/>".encode("utf-16"),
    listing("<IsTruncated>true</IsTruncated>"),
    listing("<NextContinuationToken>t</NextContinuationToken>"),
    listing("<Contents><Size>5</Size></Contents>"),
    listing(entry("m/a", "-1")),
    listing(entry("m/a", "٣")),
    listing(entry("m/a", "9" * 16)),
    listing("<Contents><Key>a</Key><Key>b</Key><Size>1</Size></Contents>"),
    listing("<EncodingType>url</EncodingType>" + entry("m/%FF")),
    listing("<x>" * 5000),
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_page_of_keys_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        page(data)


def test_more_keys_than_any_model_has_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES", 2)
    with pytest.raises(LimitExceededError):
        page(listing(entry("a") * 3))


@given(st.binary(max_size=60) | st.text(max_size=40).map(listing))
@settings(max_examples=60)
def test_nothing_raises_anything_but_our_errors(data: bytes) -> None:
    try:
        page(data)
    except ModelTrustError:
        return


SHA256 = base64.b64encode(hashlib.sha256(b"x").digest()).decode()


def test_only_a_checksum_of_the_whole_object_is_a_digest() -> None:
    assert stated_sha256({"x-amz-checksum-sha256": SHA256}) == hashlib.sha256(b"x").hexdigest()
    assert stated_sha256({"x-amz-checksum-sha256": SHA256, "x-amz-checksum-type": "FULL_OBJECT"})
    for none in (
        {},
        {"etag": '"9dd4e461268c8034f5c8564e155c67a6"'},
        {"x-amz-meta-sha256": hashlib.sha256(b"x").hexdigest()},
        {"x-amz-checksum-sha256": f"{SHA256}-2"},
        {"x-amz-checksum-sha256": SHA256, "x-amz-checksum-type": "COMPOSITE"},
    ):
        assert stated_sha256(none) is None


@pytest.mark.parametrize("text", ["%%%", "AAAA", hashlib.sha256(b"x").hexdigest()])
def test_a_checksum_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        stated_sha256({"x-amz-checksum-sha256": text})
