"""Our answer beside the reference implementation's: equal, or a difference that is listed here and in docs/signing.md.

Ours is what a policy with every default says; theirs is model-signing's public ``verifying.Config``, or sigstore-python's
``Verifier`` for what is keyless. Inputs: the traps of facts/signing.md section 4.2, the reject rules of section 3, the negatives
of section 6.6.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.oracle import certificates, files, keyless, statements
from tests.support.oracle.bench import Answers, Row

ROWS = (*statements.ROWS, *files.ROWS, *certificates.ROWS, *keyless.ROWS)
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "signing.md"


def _both(*names: str) -> tuple[str, ...]:
    return tuple(f"keyless v{version}: {name}" for name in names for version in (1, 2))


# Where the library accepts and we do not: why → rows. Each sentence stands in docs/signing.md.
STRICTER: dict[str, tuple[str, ...]] = {
    "A manifest names at least one file, each once, by its canonical path below the model.": (
        "statement: a name twice",
        "statement: a name that begins with ./",
        "statement: a name with //",
        "statement: a name with /./",
        "statement: a name that ends with /",
        "statement: a name with a backslash",
        "statement: a name that is not normalised",
        "statement: a name with a control character",
        "key: a single file",
        "trap: a name outside of the model",
        "trap: an empty model",
    ),
    "Digests are lower-case hexadecimal without spaces, so that equal digests are equal text.": (
        "statement: an upper-case digest",
        "statement: a digest with spaces",
    ),
    "Nobody may leave out a file that counts: not the signer by ignoring paths, not git folders, not the caller.": (
        "statement: an absolute ignored path",
        "statement: an ignored path with ..",
        "trap: a file in .github",
        "trap: a file in .git",
        "trap: a file that the signer ignored",
        "trap: a signer who ignored everything",
        "trap: unsigned files ignored",
    ),
    "Nothing is carried from one verification to the next.": ("trap: a verifier used twice",),
    "JSON is read strictly: no key twice, no field that the specification does not know.": (
        "statement: a field that the specification does not know",
        "statement: a key twice",
        "bundle: a key twice",
        *_both("a key twice"),
    ),
    "A bundle holds exactly one signature, and it is over an in-toto statement.": (
        "bundle: two signatures",
        *_both("another payload type, really signed"),
    ),
    "blake2b, blake3, shards and links prove only who signed (`SignatureOnly`), since comparing them needs the bytes; "
    "the default policy wants `SourceDigests`.": (
        "key: blake2b",
        "key: blake3",
        "key: shards",
        "key: blake3 shards, written as files",
        "key: shards and an empty file more",
        "key: links",
    ),
    "Statements and encodings of releases before 1.0 are refused as legacy.": (
        "trap: a statement of 0.2.0",
        "trap: the encoding of 0.2.0",
        "release: 0.2.0-certificate",
        "release: 0.2.0-key",
    ),
    "A certificate is valid at the time that counts, is for signing code, is no CA, and is under another certificate that the "
    "signer states as a root.": (
        "certificate: expired 500 days ago",
        "certificate: valid in 200 days",
        "certificate: for TLS servers",
        "certificate: for no purpose",
        "certificate: a CA as signer",
        "certificate: its own root",
        "certificate: no root stated, a public web root",
    ),
    "A certificate has exactly one name, the one that the signer states.": (
        "certificate: another name under the same root",
        "certificate: no name",
        "certificate: two names",
        *_both("two names"),
    ),
    "An entry of a trust root vouches for nothing outside of its validity window.": _both(
        "an ended log", "an ended CT log", "an ended CA"
    ),
    "A bundle holds at most one timestamp, so that nobody has to choose whose time counts.": (
        "keyless v2: two good timestamps",
        "keyless v2: a good timestamp and 31 bad ones",
        "keyless v2: a bad timestamp beside a good one",
    ),
}

# Where we accept and the library does not. Neither lets a file that counts or a key that nobody trusts pass.
LENIENT: dict[str, tuple[str, ...]] = {
    "Residue (top-level `*.sig`, `.gitattributes`, `.gitignore`, and the bookkeeping of downloads under `.cache/huggingface/`) "
    "never counts; the library calls it extra files until it is told to ignore them, and then agrees.": (
        "key: residue, and not told",
    ),
    "The hint of a bundle only names a key and the signature decides, so a hint that hashes the key otherwise is no refusal.": (
        "key: a hint that hashes DER",
    ),
}
STRICTER_ROWS = {name for names in STRICTER.values() for name in names}
LENIENT_ROWS = {name for names in LENIENT.values() for name in names}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh path for each row, made by the rows that need one: ``tmp_path`` for each would cost a second in all."""
    root = tmp_path_factory.mktemp("oracle")
    return (root / str(number) for number in count())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_both_say_the_same_or_the_difference_is_listed(row: Row, folders: Iterator[Path]) -> None:
    if row.name in STRICTER_ROWS:
        expected = Answers(ours=False, theirs=True)
    elif row.name in LENIENT_ROWS:
        expected = Answers(ours=True, theirs=False)
    else:
        expected = Answers(ours=row.good, theirs=row.good)
    assert row.ask(next(folders)) == expected


def test_every_row_has_one_name_and_every_listed_difference_one_row() -> None:
    names = Counter(row.name for row in ROWS)
    listed = Counter(name for table in (STRICTER, LENIENT) for rows in table.values() for name in rows)
    assert set(names.values()) == set(listed.values()) == {1}
    assert listed.keys() <= names.keys()
    assert not {row.name for row in ROWS if row.good} & listed.keys()


@pytest.mark.parametrize(("heading", "table"), [("Stricter", STRICTER), ("More lenient", LENIENT)])
def test_the_document_lists_exactly_these_sentences(heading: str, table: dict[str, tuple[str, ...]]) -> None:
    assert points(DOCUMENT.read_text(encoding="utf-8"), heading) == list(table)


def points(document: str, heading: str) -> list[str]:
    """The points of the list under a heading, each on one line."""
    section = re.split(r"^## ", document, flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(f"{heading}\n")).removeprefix(heading)
    return [" ".join(point.split()) for point in text.split("\n- ")[1:]]
