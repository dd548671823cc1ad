"""200,000 length-correct mutants of safetensors headers against the reference library, and other parsers against noise."""

import random
import time

import pytest
import safetensors

from modeltrust.formats.gguf import check_gguf
from modeltrust.formats.safetensors import check_safetensors
from modeltrust.formats.templates import check_template
from modeltrust.wiring.rules import load_rules
from tests.support.gguf import gguf_bytes
from tests.support.safetensors_cases import mutants
from tests.support.safetensors_large import LARGE

pytestmark = pytest.mark.slow

MUTANTS = 200_000
SECONDS = 2.0  # for a header of 25 MB


def _reference_accepts(data: bytes) -> bool:
    try:
        safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # the library has no annotations
    except safetensors.SafetensorError:
        return False
    return True


def _accepts(data: bytes) -> bool:
    return check_safetensors(lambda start, length: data[start : start + length], len(data)).header is not None


def test_nothing_that_the_reference_refuses_is_accepted() -> None:
    laxer = []
    accepted = stricter = 0
    for mutant in mutants(MUTANTS, seed=20_261_124):
        ours, theirs = _accepts(mutant), _reference_accepts(mutant)
        accepted += ours
        stricter += theirs and not ours
        if ours and not theirs:
            laxer.append(mutant)
    assert laxer == []
    assert accepted > MUTANTS // 100, "the mutants must reach the end of the validator"
    assert stricter > 0, "the reference accepts duplicate keys and odd padding; we do not"


@pytest.mark.parametrize("name", LARGE)
def test_header_of_25_megabytes_is_judged_in_two_seconds(name: str) -> None:
    data = LARGE[name]()
    begin = time.thread_time()
    check_safetensors(lambda start, length: data[start : start + length], len(data))
    assert time.thread_time() - begin < SECONDS


def _is_gguf(data: bytes) -> bool:
    return not check_gguf(lambda start, length: data[start : start + length], len(data)).problems


def test_no_gguf_mutant_raises_anything() -> None:
    source = random.Random(7)  # noqa: S311 (repeatable)
    seed = gguf_bytes(
        [("general.alignment", 32), ("tokenizer.ggml.tokens", ["a", "b"]), ("tokenizer.chat_template", "{{ x }}"), ("n", [1, 2])],
        [("w", (4, 2), 0, 0), ("v", (32,), 8, 32)],
        data=bytes(96),
    )
    accepted = 0
    for _ in range(50_000):
        data = bytearray(seed)
        for _ in range(source.randint(0, 3)):
            data[source.randrange(len(data))] = source.choice((0, 1, 7, 8, 9, 0x7F, 0x80, 0xFF))
        accepted += _is_gguf(bytes(data))
    assert accepted > 1_000


def test_no_template_noise_raises_anything() -> None:
    source = random.Random(8)  # noqa: S311 (repeatable)
    rules = load_rules().templates
    words = [
        "{{",
        "}}",
        "{%",
        "%}",
        "if",
        "for",
        "in",
        "set",
        "x",
        "'a'",
        "_",
        ".",
        "[",
        "]",
        "(",
        ")",
        "|",
        "~",
        "+",
        "%",
        "map",
        "1e9",
        "else",
    ]
    words += [
        "endif",
        "endfor",
        "macro",
        "endmacro",
        "elif",
        "is",
        "not",
        "**",
        "{#",
        "#}",
        "\n",
        "-",
        ":",
        ",",
        "=",
        "generation",
        "loop",
    ]
    for _ in range(20_000):
        check_template(" ".join(source.choices(words, k=source.randint(1, 30))), rules)
