"""Tokenizers (facts/formats.md section 7): editing the vocabulary flips meaning with the weights unchanged.

The main check is equality of the file's digest with the declared base model's, which is the requirement Lineage; here is what one
model alone can show.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats.characters import hidden
from modeltrust.formats.rules import Problem

_LONG_WORDS = 4  # a replacement of so many words is language, not normalisation
_PIECES_FIELD = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Companions:
    """What stands beside tokenizer.json.

    Attributes:
        config: tokenizer_config.json, or None.
        special: special_tokens_map.json, or None.
        vocab_size: of config.json, or None.
        rows: of the embedding in the safetensors headers, or None.
    """

    config: Any = None
    special: Any = None
    vocab_size: int | None = None
    rows: int | None = None


def check_tokenizer(document: Any, companions: Companions) -> Iterator[Problem]:
    """Judge tokenizer.json, alone and against its companions."""
    yield from islice(_check(document, companions), limits.FINDINGS_PER_FILE)


def _check(document: Any, companions: Companions) -> Iterator[Problem]:
    vocabulary = _vocabulary(document)
    added = _added(document)
    if vocabulary is None or added is None:
        yield Problem("tokenizer.shape", "the vocabulary or the added tokens have another shape than the library writes")
        return
    yield from _check_unique(vocabulary, added)
    yield from _check_dense(vocabulary, added)
    yield from _check_range(vocabulary, added, companions)
    yield from _check_added(added, companions)
    yield from _check_replacements(document)


def check_vocabulary(document: Any) -> Iterator[Problem]:
    """Judge vocab.json or added_tokens.json: a map of tokens to ids; other shapes are other formats and not judged here."""
    if isinstance(document, dict) and all(type(number) is int for number in document.values()):
        yield from _check_unique(list(document.items()), {})


def _vocabulary(document: Any) -> list[tuple[str, int]] | None:
    model = document.get("model") if isinstance(document, dict) else None
    vocabulary = model.get("vocab", {}) if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):  # BPE, WordPiece, WordLevel
        pairs = list(vocabulary.items())
        return pairs if all(type(number) is int for _, number in pairs) else None
    if isinstance(vocabulary, list):  # Unigram: [token, score]
        tokens = [entry[0] for entry in vocabulary if isinstance(entry, list) and entry and isinstance(entry[0], str)]
        return [(token, number) for number, token in enumerate(tokens)] if len(tokens) == len(vocabulary) else None
    return None


def _added(document: Any) -> dict[int, str] | None:
    entries = document.get("added_tokens") if isinstance(document, dict) else None
    if entries is None:
        return {}
    if not isinstance(entries, list):
        return None
    added: dict[int, str] = {}
    for entry in entries:
        number, content = (entry.get("id"), entry.get("content")) if isinstance(entry, dict) else (None, None)
        if type(number) is not int or not isinstance(content, str) or added.get(number, content) != content:
            return None
        added[number] = content
    return added


def _check_unique(vocabulary: list[tuple[str, int]], added: Mapping[int, str]) -> Iterator[Problem]:
    for kind, counted in (
        ("id", Counter(number for _, number in vocabulary)),
        ("token", Counter(token for token, _ in vocabulary)),
    ):
        twice = next((value for value, count in counted.items() if count > 1), None)
        if twice is not None:
            yield Problem("tokenizer.duplicate", f"the vocabulary has the {kind} {quote(twice)} twice")
    by_id, by_token = {number: token for token, number in vocabulary}, dict(vocabulary)
    seen: set[str] = set()
    for number, token in added.items():
        if by_id.get(number, token) != token or by_token.get(token, number) != number or token in seen:
            yield Problem(
                "tokenizer.duplicate", f"the added token {quote(token)} has the id {number}, the vocabulary says otherwise"
            )
        seen.add(token)


def _check_dense(vocabulary: list[tuple[str, int]], added: Mapping[int, str]) -> Iterator[Problem]:
    numbers = {number for _, number in vocabulary} | added.keys()
    if numbers and min(numbers) >= 0 and max(numbers) + 1 != len(numbers):
        yield Problem("tokenizer.hole", f"{max(numbers) + 1 - len(numbers)} ids below {max(numbers)} have no token")


def _check_range(vocabulary: list[tuple[str, int]], added: Mapping[int, str], companions: Companions) -> Iterator[Problem]:
    numbers = [number for _, number in vocabulary] + list(added)
    if not numbers:
        return
    if min(numbers) < 0:
        yield Problem("tokenizer.range", f"got the id {min(numbers)}")
    for size, what in ((companions.vocab_size, "vocab_size"), (companions.rows, "rows of the embedding")):
        if size is not None and max(numbers) >= size:
            yield Problem("tokenizer.range", f"got the id {max(numbers)}, expected less than the {size} {what}")


def _check_added(added: Mapping[int, str], companions: Companions) -> Iterator[Problem]:
    for token in added.values():
        if character := hidden(token):
            yield Problem("tokenizer.invisible", f"the added token {quote(token)} has the invisible character {character}")
    config = companions.config if isinstance(companions.config, dict) else {}
    decoder = config.get("added_tokens_decoder")
    for number, entry in decoder.items() if isinstance(decoder, dict) else ():
        content = entry.get("content") if isinstance(entry, dict) else entry
        if not (number.isascii() and number.isdigit() and len(number) < _VARINT_BYTES) or added.get(int(number)) != content:
            yield Problem(
                "tokenizer.mismatch",
                f"tokenizer_config.json gives the id {quote(number)} to {quote(content)}, tokenizer.json does not",
            )
    yield from _check_special(config, companions.special)


def _check_special(config: Mapping[str, Any], special: Any) -> Iterator[Problem]:
    for name, entry in special.items() if isinstance(special, dict) else ():
        stated, content = _content(config.get(name)), _content(entry)
        if isinstance(stated, str) and isinstance(content, str) and stated != content:
            yield Problem(
                "tokenizer.mismatch",
                f"{quote(name)} is {quote(content)} in special_tokens_map.json and {quote(stated)} in tokenizer_config.json",
            )


def _content(entry: Any) -> Any:
    return entry.get("content") if isinstance(entry, dict) else entry


def _check_replacements(document: Mapping[str, Any]) -> Iterator[Problem]:
    pending = [document.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            content = item.get("content")
            if item.get("type") == "Replace" and isinstance(content, str) and len(content.split()) >= _LONG_WORDS:
                yield Problem("tokenizer.replace", f"text is replaced with {quote(content)}")
            pending.extend(item.values())


# --- SentencePiece ---


def check_sentencepiece(data: bytes) -> Iterator[Problem]:
    """Walk a SentencePiece file: protobuf of known wire types whose fields end where the file ends, with at least one piece."""
    position, pieces = 0, 0
    for _ in range(limits.PROTOBUF_FIELDS):
        if position >= len(data):
            break
        field = _field(data, position)
        if field is None:
            yield Problem("tokenizer.protobuf", f"no protobuf field at byte {position}")
            return
        number, position = field
        pieces += number == _PIECES_FIELD
    if position != len(data) or not pieces:
        yield Problem("tokenizer.protobuf", f"got {pieces} pieces, and {len(data) - position} bytes that were not read")


def _field(data: bytes, position: int) -> tuple[int, int] | None:
    tag, position = _varint(data, position)
    kind = tag & 7
    if kind == _VARINT:
        _, position = _varint(data, position)
    elif kind == _BYTES:
        length, position = _varint(data, position)
        position += length
    elif kind in {_FIXED64, _FIXED32}:
        position += 8 if kind == _FIXED64 else 4
    else:
        return None
    return (tag >> 3, position) if tag >> 3 and 0 < position <= len(data) else None


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : position + _VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 (the format's continuation bit)
            return value, position + index + 1
    return 0, len(data) + 1
