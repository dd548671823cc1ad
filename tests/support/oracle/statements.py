"""Rows by what the statement says: every reject rule of facts/signing.md section 3, over a model that is otherwise in order."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support import oms
from tests.support.oracle.bench import KEY, Answers, Bench, Row

Edit = Callable[[dict[str, Any]], None]
CONFIG = oms.FILES["config.json"]


def resources(
    listed: list[dict[str, Any]], files: Mapping[str, bytes] | None = None, **serialization: Any
) -> Callable[[Path], Answers]:
    """These resources, with a root that fits, over a model of these files."""

    def ask(folder: Path) -> Answers:
        bench = Bench(folder, files)
        named = [{**item, "name": item["name"].replace("MODEL", str(bench.model))} for item in listed]
        return bench.answers(oms.key_bundle(json.dumps(oms.statement(named, **serialization)).encode(), KEY))

    return ask


def edited(edit: Edit) -> Callable[[Path], Answers]:
    """A good statement with one thing changed before it was signed."""

    def ask(folder: Path) -> Answers:
        value = oms.statement()
        edit(value)
        return Bench(folder).answers(oms.key_bundle(json.dumps(value).encode(), KEY))

    return ask


def renamed(name: str) -> list[dict[str, Any]]:
    """The config under another name, the other files under their own."""
    return [{**item, "name": name if item["name"] == "config.json" else item["name"]} for item in oms.resources()]


def put(**fields: Any) -> Edit:
    return lambda value: value.update(fields)


def serialized(**fields: Any) -> Edit:
    return lambda value: value["predicate"]["serialization"].update(fields)


def of_config(**fields: Any) -> list[dict[str, Any]]:
    """The config's resource with other fields."""
    return [{**item, **(fields if item["name"] == "config.json" else {})} for item in oms.resources()]


def named(path: str) -> Callable[[Path], Answers]:
    """A model with one more file of this name, which is signed under it."""
    files = {**oms.FILES, path: b"x"}
    return resources(oms.resources(files), files)


def duplicate_key(folder: Path) -> Answers:
    payload = oms.payload().decode().replace('"resources"', '"resources": [], "resources"', 1)
    return Bench(folder).answers(oms.key_bundle(payload.encode(), KEY))


def wrong_root(value: dict[str, Any]) -> None:
    value["subject"][0]["digest"]["sha256"] = "0" * 64


def two_subjects(value: dict[str, Any]) -> None:
    value["subject"] *= 2


def extra_field(value: dict[str, Any]) -> None:
    value["predicate"]["note"] = "x"


DIGEST = oms.sha256(CONFIG)
SHARDS = [
    {"name": f"{path}:0:{len(data)}", "algorithm": "sha256-sharded-4.5", "digest": oms.sha256(data)}
    for path, data in oms.FILES.items()
]
ROWS = (
    Row("statement: good", edited(lambda _: None), good=True),
    Row("statement: no name of the subject's", edited(lambda value: value["subject"][0].update(name="")), good=True),
    Row("statement: ignored paths that hide nothing", edited(serialized(ignore_paths=["model.sig"])), good=True),
    Row("statement: no resources", resources([])),
    Row("statement: a name twice", resources([{**oms.resources()[0], "digest": "0" * 64}, *oms.resources()])),
    Row("statement: an absolute name", resources(renamed("MODEL/config.json"))),
    Row("statement: a name with ..", resources(renamed("sub/../config.json"))),
    Row("statement: a name that begins with ./", resources(renamed("./config.json"))),
    Row("statement: a name with //", resources([{**item, "name": item["name"].replace("/", "//")} for item in oms.resources()])),
    Row("statement: a name with /./", resources([{**item, "name": item["name"].replace("/", "/./")} for item in oms.resources()])),
    Row("statement: a name that ends with /", resources(renamed("config.json/"))),
    Row("statement: a name with a backslash", named("a\\b")),
    Row("statement: a name that is not normalised", named("cafe\u0301")),
    Row("statement: a name with a control character", named("a\tb")),
    Row("statement: a name with NUL", resources(renamed("config.json\x00"))),
    Row("statement: an upper-case digest", resources(of_config(digest=DIGEST.upper()))),
    Row("statement: a digest that is too short", resources(of_config(digest=DIGEST[:-2]))),
    Row("statement: a digest that is not hexadecimal", resources(of_config(digest="x" * 64))),
    Row("statement: a digest with spaces", resources(of_config(digest=f"{DIGEST[:2]} {DIGEST[2:]}"))),
    Row("statement: an unknown algorithm", resources(of_config(algorithm="md5"))),
    Row("statement: an algorithm other than the hash type", resources(of_config(algorithm="blake2b"))),
    Row("statement: an unknown method", edited(serialized(method="archive"))),
    Row("statement: an unknown hash type", edited(serialized(hash_type="md5"))),
    Row("statement: a hash type other than the algorithms", edited(serialized(hash_type="blake3"))),
    Row("statement: a shard size that is not whole", resources(SHARDS, None, method="shards", shard_size=4.5)),
    Row("statement: two subjects", edited(two_subjects)),
    Row("statement: a root that does not fit", edited(wrong_root)),
    Row("statement: an empty ignored path", edited(serialized(ignore_paths=[""]))),
    Row("statement: the ignored path .", edited(serialized(ignore_paths=["."]))),
    Row("statement: an absolute ignored path", edited(serialized(ignore_paths=["/models"]))),
    Row("statement: an ignored path with ..", edited(serialized(ignore_paths=["sub/../junk"]))),
    Row("statement: another statement type", edited(put(_type="https://in-toto.io/Statement/v0.1"))),
    Row("statement: another predicate", edited(put(predicateType="https://slsa.dev/provenance/v1"))),
    Row("statement: a later minor version", edited(put(predicateType="https://model_signing/signature/v1.1"))),
    Row("statement: a field that the specification does not know", edited(extra_field)),
    Row("statement: a key twice", duplicate_key),
)
