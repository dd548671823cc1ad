import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.signing.trust_root import TrustRoot, Window, covering, parse_trust_root
from tests.support.sigstore_ca import NOW, TestSigstore, b64, rfc3339

INSTANCE = TestSigstore()
Change = Callable[[dict[str, Any]], None]


def parse(value: Any) -> TrustRoot:
    return parse_trust_root(json.dumps(value).encode())


def test_a_root_is_read_with_its_keys_and_windows() -> None:
    root = parse_trust_root(INSTANCE.trusted_root())
    assert [len(part) for part in (root.logs, root.ct_logs, root.authorities, root.timestamp_authorities)] == [1, 1, 1, 1]
    assert {root.logs[0].fingerprint, root.ct_logs[0].fingerprint} < INSTANCE.fingerprints()


def test_narrowing_keeps_exactly_what_is_left() -> None:
    root = parse_trust_root(INSTANCE.trusted_root())
    assert json.loads(root.narrowed()) == INSTANCE.root_document()
    assert json.loads(replace(root, timestamp_authorities=()).narrowed())["timestampAuthorities"] == []


def test_a_log_is_found_by_its_stated_id_and_by_the_hash_of_its_key() -> None:
    value = INSTANCE.root_document()
    value["tlogs"][0]["logId"]["keyId"] = b64(b"note key id")
    assert parse(value).logs[0].key_ids == {b"note key id", bytes.fromhex(parse(value).logs[0].fingerprint)}


@pytest.mark.parametrize(("seconds", "covered"), [(NOW - 1, False), (NOW, True), (NOW + 9, True), (NOW + 10, False)])
def test_a_window_holds_its_start_and_not_its_end(seconds: int, covered: bool) -> None:  # noqa: FBT001 - a table
    window = Window(datetime.fromtimestamp(NOW, UTC), datetime.fromtimestamp(NOW + 10, UTC))
    assert window.covers(seconds) is covered


def test_nothing_covers_nothing() -> None:
    assert not covering((), NOW)


def log(*path: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        target = document["tlogs"][0]
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = value

    return change


def authority(name: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["certificateAuthorities"][0][name] = value

    return change


def top(name: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (top("mediaType", "application/vnd.dev.sigstore.trustedroot+json;version=0.2"), "media type"),
        (top("extra", 1), "extra"),
        (top("tlogs", {}), "list"),
        (top("tlogs", [1]), "log"),
        (top("ctlogs", None), "list"),
        (log("publicKey", value={}), "publicKey"),
        (log("publicKey", "rawBytes", value="?"), "base64"),
        (log("publicKey", "validFor", value=None), "validFor"),
        (log("publicKey", "validFor", value={}), "start"),
        (log("publicKey", "validFor", value={"start": 1}), "time"),
        (log("publicKey", "validFor", value={"start": "yesterday"}), "RFC 3339"),
        (log("publicKey", "validFor", value={"start": "2025-01-01T00:00:00"}), "zone"),
        (log("publicKey", "validFor", value={"start": rfc3339(NOW), "end": ""}), "RFC 3339"),
        (log("logId", value={}), "keyId"),
        (log("extra", value=1), "extra"),
        (authority("certChain", {}), "certificates"),
        (authority("certChain", {"certificates": []}), "certChain"),
        (authority("certChain", {"certificates": [{}] * (limits.CERTIFICATES_IN_CHAIN + 1)}), "certChain"),
        (authority("certChain", {"certificates": [{"rawBytes": b64(b"junk")}]}), "no certificate"),
        (authority("validFor", {"end": rfc3339(NOW)}), "start"),
        (authority("extra", 1), "extra"),
    ],
)
def test_anything_else_is_refused(change: Change, says: str) -> None:
    value = INSTANCE.root_document()
    change(value)
    with pytest.raises(MalformedError, match=says):
        parse(value)


def test_too_many_entries_are_refused() -> None:
    value = INSTANCE.root_document()
    value["tlogs"] *= limits.TRUSTED_ROOT_ENTRIES + 1
    with pytest.raises(LimitExceededError, match="tlogs"):
        parse(value)


def test_a_huge_root_is_not_parsed() -> None:
    with pytest.raises(LimitExceededError, match="bytes"):
        parse_trust_root(b" " * (limits.TRUSTED_ROOT_BYTES + 1))


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=100)
    | st.recursive(st.none() | st.text(max_size=4), st.lists, max_leaves=4).map(lambda v: json.dumps(v).encode())
)
def test_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_trust_root(data)
