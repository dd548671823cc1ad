"""Which bases a model names: README front matter, adapter_config.json, config.json; claims, all (facts/formats.md section 12)."""

import re
from collections.abc import Iterator
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, quote
from modeltrust.domain.evidence import LineageClaim
from modeltrust.domain.reference import ModelReference, parse_reference

_KEY = re.compile(r"(base_model|base_model_relation):(.*)")
_ITEM = re.compile(r"\s*-\s+(.*)")
_RELATIONS = frozenset({"adapter", "finetune", "quantized", "merge"})
_DEFAULT_RELATION = "finetune"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def claims(readme: str | None, adapter: Any, config: Any, itself: ModelReference | None) -> tuple[LineageClaim, ...]:
    """The bases that a model names, each once.

    Args:
        readme: text of README.md, or None.
        adapter: content of adapter_config.json, or None.
        config: content of config.json, or None.
        itself: what was examined; a model often names itself in ``_name_or_path``.

    Returns:
        Claims with canonical references where the text is one, else the text as it stands: a base without a name is still one.
    """
    found: dict[str, LineageClaim] = {}
    for claim in [*_adapter(adapter), *_readme(readme), *_config(config)]:
        name = claim.base.partition("@")[0]
        if itself is None or name != itself.text:
            found.setdefault(name, claim)
    return tuple(found.values())[: limits.LINEAGE_CLAIMS]


def _adapter(adapter: Any) -> Iterator[LineageClaim]:
    if isinstance(adapter, dict) and adapter.get("base_model_name_or_path"):
        revision = adapter.get("revision")
        base = canonical(str(adapter["base_model_name_or_path"]), revision if isinstance(revision, str) else "")
        yield LineageClaim("adapter", base)


def _config(config: Any) -> Iterator[LineageClaim]:
    name = config.get("_name_or_path") if isinstance(config, dict) else None
    if isinstance(name, str) and (base := _hub(name, "")) is not None:  # often a folder on the author's machine
        yield LineageClaim(_DEFAULT_RELATION, base)


def _readme(readme: str | None) -> Iterator[LineageClaim]:
    bases: list[str] = []
    relation = ""
    listing = False
    for line in _front_matter(readme or ""):
        key = _KEY.match(line)
        item = _ITEM.match(line)
        if key is not None:
            value = _plain(key[2])
            listing = key[1] == "base_model" and not value
            if key[1] == "base_model_relation":
                relation = value
            else:
                bases += _inline(value)
        elif listing and item is not None:
            bases.append(_plain(item[1]))
        else:
            listing = False
    stated = relation if relation in _RELATIONS else "merge" if len(bases) > 1 else _DEFAULT_RELATION
    yield from (LineageClaim(stated, canonical(base, "")) for base in bases if base)


def _front_matter(text: str) -> Iterator[str]:
    lines = text.removeprefix("\ufeff").splitlines()[: limits.FRONT_MATTER_LINES]
    if not lines or lines[0].strip() != "---":
        return
    for line in lines[1:]:
        if line.strip() == "---":
            return
        yield line


def _inline(value: str) -> list[str]:
    if value.startswith("[") and value.endswith("]"):
        return [_plain(part) for part in value[1:-1].split(",")]
    return [value] if value else []


def _plain(text: str) -> str:
    return text.partition(" #")[0].strip().strip("\"'")


def canonical(name: str, revision: str) -> str:
    """A base as canonical reference text where it is a hub id or a reference, else the text itself, quoted and bounded."""
    return _hub(name, revision) or quote(name)


def _hub(name: str, revision: str) -> str | None:
    text = name if "://" in name else f"hf://{name}"
    stated = f"{text}@{revision}" if revision and "@" not in text else text
    for candidate in (stated, text):
        try:
            reference, found = parse_reference(candidate)
        except InvalidReferenceError:
            continue
        if "/" in reference.path:
            return f"{reference.text}@{found}" if found.value else reference.text
    return None
