"""Our signatures against botocore's, which signs for the rest of the world."""

import datetime as dt
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.sources.aws_signature import Account, Target, encode_path, encode_query, signed_headers

NOW = 1_790_000_000


def theirs(method: str, host: str, path: str, query: str, amz: tuple[tuple[str, str], ...], region: str) -> str:
    request = AWSRequest(method, f"https://{host}{path}" + (f"?{query}" if query else ""), headers=dict(amz))
    request.context["payload_signing_enabled"] = True
    moment = dt.datetime.fromtimestamp(NOW, dt.UTC).replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        S3SigV4Auth(Credentials("key-id", "secret/+x"), "s3", region).add_auth(request)
    return str(request.headers["Authorization"]).replace(" ", "")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@given(
    st.text(min_size=1, max_size=20).filter(lambda t: t.isprintable() and "/" not in t and t not in {".", ".."}),
    st.dictionaries(st.sampled_from(["prefix", "versionId", "list-type", "continuation-token"]), st.text(max_size=12), max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_a_request_is_signed_as_botocore_signs_it(method: str, key: str, query: dict[str, str]) -> None:
    amz = (("x-amz-checksum-mode", "ENABLED"),)
    path, text = f"/bucket/{encode_path(key)}", encode_query(query)
    target = Target(method, "s3.test:8333", path, text, amz)
    ours = signed_headers(target, Account("key-id", "secret/+x"), region="eu-west-1", now=NOW)["authorization"]
    assert ours.replace(" ", "") == theirs(method, "s3.test:8333", path, text, amz, "eu-west-1")


def test_an_account_is_never_shown() -> None:
    assert "secret" not in repr(Account("key-id", "secret"))
