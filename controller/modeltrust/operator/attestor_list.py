"""The trust file of the webhook as the operator keeps it: its own keys, and whatever other people added."""

from typing import Any

import msgspec

from modeltrust.api.yaml_reader import read_yaml
from modeltrust.attestation.attestors import parse_attestors
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError

Entry = dict[str, Any]


def read_entries(text: str) -> list[Entry]:
    """The entries of a trust file; an empty one has none.

    Raises:
        InvalidInputError: it is no list of maps: nobody may overwrite what he cannot read.
    """
    if len(text) > limits.ATTESTORS_BYTES:
        raise InvalidInputError(f"got a trust file of {len(text)} characters, expected at most {limits.ATTESTORS_BYTES}")
    documents = list(read_yaml(text))
    value = documents[0].value if documents else None
    if len(documents) > 1 or not isinstance(value, list | None) or not all(isinstance(entry, dict) for entry in value or []):
        raise InvalidInputError("got a trust file that is no list of attestors")
    return value or []


def merged(entries: list[Entry], ours: list[Entry], *, managed: frozenset[str], until: str, now: str) -> list[Entry]:
    """What the trust file should hold.

    Args:
        entries: what it holds.
        ours: the entries of the keys that we have; their own restrictions, if somebody added some, are not kept.
        managed: ids of keys that were ours at any time.
        until: RFC 3339; a key of ours that we no longer have is believed until then, and no longer. Empty: not at all.
        now: RFC 3339.

    Returns:
        Ours first, then what other people added, unchanged and in order.
    """
    have = {entry["keyId"] for entry in ours}
    kept: list[Entry] = []
    for entry in entries:
        key = entry.get("keyId")
        if key in have:
            continue
        if key not in managed or str(entry.get("notAfter", "")) > now:
            kept.append(entry)
        elif until and "notAfter" not in entry:
            kept.append({**entry, "notAfter": until})
    return [*ours, *kept]


def write_entries(entries: list[Entry]) -> str:
    """The text of a trust file: JSON, which is YAML, so that it is read by everybody in one way.

    Raises:
        InvalidInputError: the webhook would refuse it.
    """
    parse_attestors(entries)
    return msgspec.json.format(msgspec.json.encode(entries), indent=2).decode("utf-8") + "\n"
