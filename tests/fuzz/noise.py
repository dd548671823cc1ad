"""Damage without a plan: typed changes of a JSON tree, and of the bytes. What comes out is judged by the reference alone."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.fuzz.world import MODEL, REVISION

_Slot = tuple[Any, Any]  # container and key
_STRANGE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    [],
    {},
    [[]],
    {"": None},
    "evil/model",
    "hf://evil/model",
    f"hf://{MODEL}",
    f"{MODEL}@{REVISION}",
    "$(X)",
    "$X",
    "main",
    "\u0000",
    "\ud800",
    "\u202eevil",
    "е",  # noqa: RUF001 - Cyrillic: the attack
    "%s%n{}",
    "../../etc",
    "--trust-remote-code",
    "vllm",
    "sh",
    "-c",
)
_KEYS = (
    "command",
    "args",
    "env",
    "envFrom",
    "image",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "volumes",
    "spec",
    "template",
    "metadata",
    "annotations",
    "labels",
    "valueFrom",
    "value",
    "name",
    "lifecycle",
    "storageUri",
    "kind",
    "apiVersion",
    "workingDir",
    "volumeMounts",
    "Command",
    "ARGS",
)


def slots(value: Any) -> Iterator[_Slot]:
    """Every place in a tree."""
    stack = [value]
    while stack:
        inner = stack.pop()
        keys: Any = inner.keys() if isinstance(inner, dict) else range(len(inner))
        for key in keys:
            yield inner, key
            if isinstance(inner[key], (dict, list)):
                stack.append(inner[key])


def damage(rng: random.Random, document: Any) -> str:
    """Change one place of a tree in place; returns what was done."""
    places = list(slots(document["request"]))
    inner, key = rng.choice(places)
    name, change = rng.choice(_CHANGES)
    change(rng, inner, key, rng.choice(places))
    return name


def _copied(value: Any) -> Any:
    """A copy; of what a few nestings in one another made too deep for that, its outside only."""
    try:
        return copy.deepcopy(value)
    except RecursionError:
        return type(value)()


def _replace(rng: random.Random, inner: Any, key: Any, _: _Slot) -> None:
    inner[key] = copy.deepcopy(rng.choice(_STRANGE))


def _remove(_rng: random.Random, inner: Any, key: Any, _: _Slot) -> None:
    del inner[key]


def _insert(rng: random.Random, inner: Any, key: Any, other: _Slot) -> None:
    value = _copied(rng.choice([*_STRANGE, other[0][other[1]]]))
    if isinstance(inner, dict):
        inner[rng.choice(_KEYS)] = value
    else:
        inner.insert(key, value)


def _swap(_rng: random.Random, inner: Any, key: Any, other: _Slot) -> None:
    inner[key] = _copied(other[0][other[1]])


def _duplicate(_rng: random.Random, inner: Any, key: Any, _: _Slot) -> None:
    if isinstance(inner, list):
        inner.insert(key, _copied(inner[key]))
    else:
        inner[f"{key}2"] = _copied(inner[key])


def _nest(rng: random.Random, inner: Any, key: Any, _: _Slot) -> None:
    value = inner[key]
    for _step in range(rng.choice([1, 2, 10, 300])):
        value = [value] if rng.random() < 0.5 else {rng.choice(_KEYS): value}
    inner[key] = value


def _text(rng: random.Random, inner: Any, key: Any, _: _Slot) -> None:
    value = inner[key]
    if isinstance(value, str):
        place = rng.randrange(len(value) + 1)
        middle = rng.choice(
            ["", "\n", " ", "'", '"', "$", "$(", "`", "\\", "\u200b", "#", ";", "evil", "=", "@", ":", "//", "\ud83d"]
        )
        inner[key] = value[:place] + middle + value[place + rng.choice([0, 0, 1, len(value)]) :]


def _case(rng: random.Random, inner: Any, key: Any, _: _Slot) -> None:
    if isinstance(inner[key], str):
        inner[key] = rng.choice([str.upper, str.title, str.swapcase])(inner[key])


def _huge(rng: random.Random, inner: Any, key: Any, _: _Slot) -> None:
    if isinstance(inner[key], str):
        inner[key] = inner[key] * rng.choice([2, 50, 2000])
    elif isinstance(inner[key], list) and len(json.dumps(inner[key])) < 20_000:
        inner[key] = inner[key] * rng.choice([2, 20, 200])


_CHANGES: tuple[tuple[str, Callable[[random.Random, Any, Any, _Slot], None]], ...] = (
    ("replace", _replace),
    ("remove", _remove),
    ("insert", _insert),
    ("insert", _insert),
    ("swap", _swap),
    ("duplicate", _duplicate),
    ("nest", _nest),
    ("text", _text),
    ("text", _text),
    ("case", _case),
    ("huge", _huge),
)


_INVALID = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80")
_TOKENS = (b"\0", b"{", b"}", b"[", b'"', b",", b"null", b"NaN", b"1e999", b"//")
_UIDS = (b'"uid":7,"uid":', b'"uid":"",', b'"Uid":', b'"uid":"other","uid":')


def break_bytes(rng: random.Random, body: bytes) -> tuple[str, bytes]:
    """Change the bytes; returns what was done, too."""
    place = rng.randrange(len(body))
    start, rest = body[:place], body[place:]
    broken = {
        "truncate": start,
        "flip": start + bytes([rest[0] ^ (1 << rng.randrange(8))]) + rest[1:],
        "invalid utf-8": start + rng.choice(_INVALID) + rest,
        "insert": start + rng.choice(_TOKENS) + rest,
        "deep": body.replace(b'"options":null', b'"options":' + b"[" * 5000 + b"]" * 5000),
        "twice": body + body,
        "bom": b"\xef\xbb\xbf" + body,
        "uid": body.replace(b'"uid":', rng.choice(_UIDS), 1),
        "empty": b"",
    }
    name = rng.choice(sorted(broken))
    return name, broken[name]
