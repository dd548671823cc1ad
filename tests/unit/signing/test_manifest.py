import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UntrustedError
from modeltrust.domain.reasons import Reason
from modeltrust.signing.manifest import Manifest, Method, parse_manifest, predicate_type
from tests.support import oms

Change = Callable[[dict[str, Any]], None]
ZERO = "0" * 64
SHARDED = {"method": "shards", "shard_size": 4}


def parse(value: Any) -> Manifest:
    return parse_manifest(json.dumps(value).encode())


def resource(name: Any = "a", algorithm: Any = "sha256", digest: Any = ZERO) -> dict[str, Any]:
    return {"name": name, "algorithm": algorithm, "digest": digest}


def shard(name: str, size: int = 4) -> dict[str, Any]:
    return resource(name, f"sha256-sharded-{size}")


def test_a_statement_names_files_and_their_digests() -> None:
    manifest = parse_manifest(oms.payload())
    assert (manifest.name, manifest.method, manifest.hash_type) == ("model", Method.FILES, "sha256")
    assert {item.path: item.digest for item in manifest.resources} == {path: oms.sha256(data) for path, data in oms.FILES.items()}


def test_resources_are_sorted_and_the_root_is_recomputed_in_the_listed_order() -> None:
    listed = list(reversed(oms.resources()))
    manifest = parse(oms.statement(listed))
    assert [item.path for item in manifest.resources] == sorted(oms.FILES)
    assert manifest.root != parse_manifest(oms.payload()).root


def test_the_root_does_not_bind_names_so_nothing_may_pin_on_it() -> None:
    renamed = {"configuration_evil.py" if path == "config.json" else path: data for path, data in oms.FILES.items()}
    original, evil = parse_manifest(oms.payload()), parse(oms.statement([*oms.resources(renamed)]))
    assert original.root == evil.root
    assert [item.path for item in original.resources] != [item.path for item in evil.resources]


@pytest.mark.parametrize(("hash_type", "digits"), [("sha256", 64), ("blake2b", 128), ("blake3", 64)])
def test_three_algorithms_are_known(hash_type: str, digits: int) -> None:
    listed = [resource("a", hash_type, "0" * digits)]
    assert parse(oms.statement(listed, hash_type=hash_type)).hash_type == hash_type


def test_a_shard_size_that_protobuf_made_a_double_is_read() -> None:
    manifest = parse(oms.statement([shard("a:0:4"), shard("a:4:6")], method="shards", shard_size=4.0))
    assert [(item.path, item.start, item.end) for item in manifest.resources] == [("a", 0, 4), ("a", 4, 6)]


def test_a_shard_name_is_split_at_the_last_two_colons() -> None:
    assert parse(oms.statement([shard("a:b:0:4")], **SHARDED)).resources[0].path == "a:b"


def test_ignored_paths_are_shown() -> None:
    assert parse(oms.statement(ignore_paths=["model.sig", ".git"])).ignore_paths == (".git", "model.sig")


def test_the_subject_may_have_no_name() -> None:
    value = oms.statement()
    del value["subject"][0]["name"]
    assert parse(value).name == ""


def test_a_legacy_statement_is_refused_as_legacy() -> None:
    with pytest.raises(UntrustedError, match=r"legacy signature: .*Digests/v0\.1") as caught:
        parse_manifest(oms.legacy_payload())
    assert caught.value.reason == Reason.SIGNATURE_INVALID.value


@pytest.mark.parametrize("name", ["Digest", "DigestOfDigests", "DigestOfShardDigests", "ShardDigests"])
def test_so_are_the_other_four_kinds_of_statement_of_that_time(name: str) -> None:
    value = {**json.loads(oms.legacy_payload()), "predicateType": f"https://model_signing/{name}/v0.1"}
    with pytest.raises(UntrustedError, match="legacy signature"):
        parse(value)


def test_the_predicate_type_is_readable_before_anything_is_believed() -> None:
    assert predicate_type(oms.legacy_payload()) == "https://model_signing/Digests/v0.1"


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"predicateType": 1}', b"nonsense", b""])
def test_a_payload_without_predicate_type_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        predicate_type(data)
    with pytest.raises(MalformedError):
        parse_manifest(data)


def serialization(**fields: Any) -> Change:
    def change(value: dict[str, Any]) -> None:
        value["predicate"]["serialization"] |= fields

    return change


def put(name: str, item: Any) -> Change:
    def change(value: dict[str, Any]) -> None:
        value[name] = item

    return change


def drop(*path: str) -> Change:
    def change(value: dict[str, Any]) -> None:
        for name in path[:-1]:
            value = value[name]
        del value[path[-1]]

    return change


SUBJECT = {"name": "model", "digest": {"sha256": ZERO}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("_type", "https://in-toto.io/Statement/v0.1"), "statement type"),
        (put("predicateType", "https://model_signing/signature/v1.1"), "predicate type"),
        (put("predicateType", "https://slsa.dev/provenance/v1"), "predicate type"),
        (put("predicateType", None), "predicate type"),
        (put("extra", 1), "extra"),
        (put("predicate", []), "predicate"),
        (put("subject", []), "0 subjects"),
        (put("subject", [SUBJECT, SUBJECT]), "2 subjects"),
        (put("subject", SUBJECT), "0 subjects"),
        (put("subject", ["x"]), "subject"),
        (put("subject", [{"name": "model"}]), "digest"),
        (put("subject", [{"name": 1, "digest": {"sha256": ZERO}}]), "name"),
        (put("subject", [{"name": "model", "digest": {"sha256": ZERO, "sha512": ZERO}}]), "sha512"),
        (put("subject", [{"name": "model", "digest": {"sha256": ZERO.upper() + "0"}}]), "digest"),
        (put("subject", [SUBJECT]), "root digest"),
        (drop("_type"), "_type"),
        (drop("predicate", "serialization"), "serialization"),
        (drop("predicate", "resources"), "resources"),
        (drop("predicate", "serialization", "method"), "method"),
        (drop("predicate", "serialization", "hash_type"), "hash_type"),
        (serialization(method="archive"), "method"),
        (serialization(method=["files"]), "method"),
        (serialization(hash_type="md5"), "hash_type"),
        (serialization(hash_type="blake2"), "hash_type"),
        (serialization(hash_type={}), "hash_type"),
        (serialization(hash_type="blake3"), "algorithm"),
        (serialization(allow_symlinks="false"), "allow_symlinks"),
        (serialization(shard_size=8), "shard_size"),
        (serialization(extra=1), "extra"),
        (serialization(ignore_paths=""), "ignore_paths"),
        (serialization(ignore_paths=[1]), "ignore_paths"),
        (serialization(ignore_paths=[""]), "ignore_paths"),
        (serialization(ignore_paths=["."]), "ignore_paths"),
        (serialization(ignore_paths=["/models/guard"]), "ignore_paths"),
        (serialization(ignore_paths=["a/../b"]), "ignore_paths"),
        (serialization(ignore_paths=[".."]), "ignore_paths"),
    ],
)
def test_each_deviation_is_refused(change: Change, says: str) -> None:
    value = oms.statement()
    change(value)
    with pytest.raises(MalformedError, match=says):
        parse(value)


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ([], "no resources"),
        (None, "no resources"),
        ({}, "no resources"),
        (["x"], "resource"),
        ([resource("a"), resource("a")], "twice"),
        ([resource("/etc/passwd")], "path"),
        ([resource("../secret.txt")], "path"),
        ([resource("a/../b")], "path"),
        ([resource("./a")], "path"),
        ([resource("sub/./t.json")], "path"),
        ([resource("a//b")], "path"),
        ([resource("a/")], "path"),
        ([resource("a\\b")], "backslash"),
        ([resource("a\x00b")], "control"),
        ([resource("a\nb")], "control"),
        ([resource("")], "path"),
        ([resource(".")], "path"),
        ([resource("cafe\u0301")], "normalisation"),
        ([resource(1)], "name"),
        ([resource(digest=ZERO.replace("0", "A"))], "digest"),
        ([resource(digest=ZERO[2:])], "digest"),
        ([resource(digest=ZERO + "00")], "digest"),
        ([resource(digest="0" * 63 + " ")], "digest"),
        ([resource(digest=None)], "digest"),
        ([resource(algorithm="md5")], "algorithm"),
        ([resource(algorithm="blake2b")], "algorithm"),
        ([resource(algorithm=None)], "algorithm"),
        ([resource(algorithm=["sha256"])], "algorithm"),
        ([{**resource(), "size": 3}], "size"),
        ([{"name": "a", "algorithm": "sha256"}], "digest"),
        ([{"algorithm": "sha256", "digest": ZERO}], "name"),
    ],
)
def test_each_bad_resource_is_refused(listed: Any, says: str) -> None:
    dicts = [item for item in listed or [] if isinstance(item, dict)]
    value = oms.statement(dicts)  # with a root that fits, so that nothing but the one thing is wrong
    value["predicate"]["resources"] = listed
    with pytest.raises(MalformedError, match=says):
        parse(value)


@pytest.mark.parametrize(
    ("listed", "size", "says"),
    [
        ([shard("a:0:4")], 4.5, "shard_size"),
        ([shard("a:0:4")], 0, "shard_size"),
        ([shard("a:0:4")], -4, "shard_size"),
        ([shard("a:0:4")], True, "shard_size"),
        ([shard("a:0:4")], "4", "shard_size"),
        ([shard("a:0:4")], None, "shard_size"),
        ([shard("a:0:4")], 1e300, "shard_size"),
        ([shard("a:0:4")], 8, "algorithm"),
        ([resource("a:0:4")], 4, "algorithm"),
        ([shard("a")], 4, "path:start:end"),
        ([shard("a:0")], 4, "path:start:end"),
        ([shard("a:0:")], 4, "path:start:end"),
        ([shard("a:00:4")], 4, "path:start:end"),
        ([shard("a:-4:0")], 4, "path:start:end"),
        ([shard("a:0:x")], 4, "path:start:end"),
        ([shard("a:0:\u0664")], 4, "path:start:end"),
        ([shard("../a:0:4")], 4, "path"),
        ([shard(":0:4")], 4, "path"),
        ([shard("a:0:5")], 4, "at most 4"),
        ([shard("a:0:0")], 4, "at most 4"),
        ([shard("a:4:2")], 4, "at most 4"),
        ([shard("a:2:4")], 4, "multiple"),
        ([shard("a:4:8")], 4, "expected 0"),
        ([shard("a:0:4"), shard("a:8:12")], 4, "expected 4"),
        ([shard("a:0:4"), shard("a:0:4")], 4, "expected 4"),
        ([shard("a:0:2"), shard("a:4:8")], 4, "expected 2"),
    ],
)
def test_each_bad_shard_is_refused(listed: Any, size: Any, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        parse(oms.statement(listed, method="shards", shard_size=size))


def test_duplicate_keys_in_the_payload_are_refused() -> None:
    text = oms.payload().decode().replace('"resources"', '"resources": [], "resources"', 1)
    with pytest.raises(MalformedError, match="duplicate key resources"):
        parse_manifest(text.encode())


def test_more_resources_than_the_limit_are_refused() -> None:
    listed = [resource(f"f{number}") for number in range(limits.MANIFEST_RESOURCES + 1)]
    with pytest.raises(LimitExceededError, match="resources"):
        parse(oms.statement(listed))


def test_more_ignored_paths_than_the_limit_are_refused() -> None:
    with pytest.raises(LimitExceededError, match="ignore_paths"):
        parse(oms.statement(ignore_paths=["a"] * (limits.MANIFEST_RESOURCES + 1)))


NAMES = st.text("ab./\\:\u0301\x00", min_size=0, max_size=6)
VALUES = st.none() | st.booleans() | st.integers() | NAMES | st.lists(NAMES, max_size=2) | st.just(ZERO)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.fixed_dictionaries({"name": NAMES, "algorithm": st.just("sha256"), "digest": st.just(ZERO)}), max_size=4))
def test_whatever_is_accepted_has_canonical_unique_names(listed: list[dict[str, Any]]) -> None:
    try:
        manifest = parse(oms.statement(listed))
    except MalformedError:
        return
    names = [item.path for item in manifest.resources]
    assert names == sorted(set(names))
    assert not any(part in {"", ".", ".."} for name in names for part in name.split("/"))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["_type", "subject", "predicateType", "predicate"]), st.dictionaries(NAMES, VALUES, max_size=2) | VALUES)
def test_nothing_but_our_errors_comes_out(where: str, what: Any) -> None:
    value = oms.statement()
    value[where] = what
    with pytest.raises((MalformedError, UntrustedError)):
        parse(value)
