"""Sharded weights: what the index says against what is there (facts/formats.md section 3.2).

transformers and diffusers join the values of ``weight_map`` with the folder and validate nothing for local directories, and the
suffix chooses the loader: a value that ends in ``.bin`` goes to ``torch.load``.
"""

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats.rules import Problem
from modeltrust.formats.safetensors import SafetensorsHeader

_PLAIN_SHARD = re.compile(r"[A-Za-z0-9._-]+\.safetensors")
_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.safetensors")
_INDEX = re.compile(r"(?P<stem>.+)\.safetensors\.index(\.(?P<variant>[A-Za-z0-9_-]+))?\.json")


def check_index(
    path: str, document: Any, headers: Mapping[str, SafetensorsHeader | None], paths: AbstractSet[str]
) -> Iterator[Problem]:
    """Judge one index.

    Args:
        path: of the index.
        document: its content.
        headers: header of each safetensors file by path; None where the file itself is malformed.
        paths: every path of the model.
    """
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(shard, str) for shard in weight_map.values()):
        yield Problem("index.shape", "the index has no weight_map of names to names")
        return
    problems = _check_values(path, document, weight_map, headers, paths)
    yield from islice(problems, limits.FINDINGS_PER_FILE)


def _check_values(
    path: str,
    document: Mapping[str, Any],
    weight_map: Mapping[str, str],
    headers: Mapping[str, SafetensorsHeader | None],
    paths: AbstractSet[str],
) -> Iterator[Problem]:
    folder = _folder(path)
    shards = sorted(set(weight_map.values()))
    bad = [shard for shard in shards if not _PLAIN_SHARD.fullmatch(shard)]
    yield from (
        Problem("index.value", f"the index names {quote(shard)}, expected the name of a .safetensors file") for shard in bad
    )
    missing = [shard for shard in shards if shard not in bad and folder + shard not in paths]
    yield from (Problem("index.missing-shard", f"the index names {quote(shard)}, which is not there") for shard in missing)
    yield from _check_shadow(path, shards, paths)
    known = {shard: header for shard in shards if (header := headers.get(folder + shard)) is not None}
    if len(known) == len(shards):  # else the reason is already reported
        yield from _check_tensors(weight_map, known)
        yield from _check_total(document, known)


def _check_shadow(path: str, shards: list[str], paths: AbstractSet[str]) -> Iterator[Problem]:
    found = _INDEX.fullmatch(path)
    if found is None:
        return
    variant = f".{found['variant']}" if found["variant"] else ""
    single = f"{found['stem']}{variant}.safetensors"
    if single in paths and shards != [single.removeprefix(_folder(path))]:
        yield Problem("index.shadowed", f"{quote(single)} stands beside this index and wins over it")


def _check_tensors(weight_map: Mapping[str, str], known: Mapping[str, SafetensorsHeader]) -> Iterator[Problem]:
    where: dict[str, str] = {}
    for shard, header in known.items():
        for name in header.tensors:
            if name in where:
                yield Problem("index.wrong-shard", f"tensor {quote(name)} is in {quote(where[name])} and in {quote(shard)}")
            elif weight_map.get(name, shard) != shard:
                yield Problem("index.wrong-shard", f"tensor {quote(name)} is in {quote(shard)}, not in {quote(weight_map[name])}")
            where[name] = shard
    for name in weight_map.keys() - where.keys():
        yield Problem("index.tensors", f"the index names tensor {quote(name)}, which no shard holds")
    for name in where.keys() - weight_map.keys():
        yield Problem("index.tensors", f"tensor {quote(name)} of {quote(where[name])} is not in the index")


def _check_total(document: Mapping[str, Any], known: Mapping[str, SafetensorsHeader]) -> Iterator[Problem]:
    metadata = document.get("metadata")
    stated = metadata.get("total_size") if isinstance(metadata, dict) else None
    total = sum(header.data_bytes for header in known.values())
    if stated is not None and stated != total:
        yield Problem("index.total-size", f"metadata.total_size is {quote(stated)}, the shards hold {total} bytes")


def check_shards(paths: AbstractSet[str], indexed: AbstractSet[str]) -> Iterator[tuple[str, Problem]]:
    """Judge the numbered shards of a model against each other and the indexes.

    Args:
        paths: every path of the model.
        indexed: paths of the shards that some index names.

    Yields:
        (path, problem).
    """
    groups: dict[tuple[str, int], set[int]] = {}
    for path in sorted(paths):
        found = _NUMBERED.fullmatch(path)
        if found is None:
            continue
        if path not in indexed:
            yield path, Problem("index.unreferenced-shard", f"no index names the shard {quote(path)}")
        groups.setdefault((found["stem"], int(found["count"])), set()).add(int(found["number"]))
    for (stem, count), numbers in groups.items():
        # Comparing counts first bounds the work: "-of-99999" builds no large set.
        if numbers != set(range(1, min(count, limits.FILES) + 1)):
            example = f"{stem}-{min(numbers):05}-of-{count:05}.safetensors"
            yield example, Problem("index.missing-shard", f"{len(numbers)} of {count} shards of {quote(stem)} are there")


def indexed_shards(path: str, document: Any) -> frozenset[str]:
    """Paths of the shards that an index names; empty where it is malformed."""
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict):
        return frozenset()
    folder = _folder(path)
    return frozenset(folder + shard for shard in weight_map.values() if isinstance(shard, str))


def _folder(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return head + slash
