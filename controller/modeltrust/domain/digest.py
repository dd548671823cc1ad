"""The content digest, version 1: one byte-exact answer to "which files are these?".

    sha256 over UTF-8 JSON, no spaces, no escapes beyond what JSON requires: ["modeltrust/content/v1", [path, "sha256:<hex>"], …]

Entries are sorted by path in code-point order. Every file counts except the fixed, versioned residue list below. Design:
architecture.md, "The content digest, version 1"; test vectors: tests/assets/content-digest.json.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote

CONTENT_VERSION = "modeltrust/content/v1"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")

RESIDUE_TOP_LEVEL_SUFFIX = ".sig"  # the signature cannot be part of what it signs; only at the top level, only this suffix
RESIDUE_TOP_LEVEL_NAMES = frozenset({".gitattributes", ".gitignore"})  # git's own, never read by a loader
# What huggingface_hub leaves beside local_dir downloads, by its exact names (huggingface_hub/_local_folder.py). Not the whole
# folder: a complete other model in it would be part of every commit that proposes it, and covered by no signature (attack H6).
_RESIDUE_OF_DOWNLOADS = re.compile(
    r"\.cache/huggingface/(?:\.gitignore|\.gitignore\.lock|CACHEDIR\.TAG|(?:download|upload)/.+\.(?:metadata|lock))"
)


@dataclass(frozen=True, slots=True, order=True)
class ContentDigest:
    """What a model is, by all its files.

    Attributes:
        hex: 64 lower-case hexadecimal digits.
    """

    hex: str

    def __post_init__(self) -> None:
        if not is_sha256_hex(self.hex):
            raise MalformedError(f"got {quote(self.hex)}, expected 64 lower-case hexadecimal digits")

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> "ContentDigest":
        """Read ``sha256:<hex>``.

        Raises:
            MalformedError: anything else.
        """
        algorithm, separator, value = text.partition(":")
        if algorithm != "sha256" or not separator:
            raise MalformedError(f"got {quote(text)}, expected sha256: and 64 lower-case hexadecimal digits")
        return cls(value)


def is_sha256_hex(text: str) -> bool:
    """Whether the text is 64 lower-case hexadecimal digits."""
    return _SHA256_HEX.fullmatch(text) is not None


def is_residue(path: str) -> bool:
    """Whether a file never counts: the fixed, non-loadable residue list of version 1."""
    if "/" in path:
        return _RESIDUE_OF_DOWNLOADS.fullmatch(path) is not None
    return path in RESIDUE_TOP_LEVEL_NAMES or path.endswith(RESIDUE_TOP_LEVEL_SUFFIX)


def check_path(path: str) -> None:
    """Refuse a path that is not canonical: relative, NFC, "/" separated, no ".", "..", empty part, backslash or control character.

    Raises:
        MalformedError: with what is wrong.
        LimitExceededError: the path is too long or too deep.
    """
    if len(path) > limits.PATH_CHARACTERS:
        raise LimitExceededError(f"got a path of {len(path)} characters, expected at most {limits.PATH_CHARACTERS}")
    parts = path.split("/")
    if len(parts) > limits.PATH_PARTS:
        raise LimitExceededError(f"got {quote(path)} with {len(parts)} parts, expected at most {limits.PATH_PARTS}")
    if any(part in {"", ".", ".."} for part in parts):
        raise MalformedError(f'got path {quote(path)}, expected a relative path without empty, "." or ".." parts')
    if "\\" in path or _CONTROL.search(path):
        raise MalformedError(f"got path {quote(path)}, expected no backslash and no control character")
    if unicodedata.normalize("NFC", path) != path:
        raise MalformedError(f"got path {quote(path)}, expected Unicode normalisation form C")
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError(f"got path {quote(path)}, expected valid Unicode") from error


def content_digest(files: Iterable[tuple[str, str]]) -> ContentDigest:
    """Digest of a set of files.

    Args:
        files: (path, 64 hexadecimal digits of the file's sha256); residue is left out here, so callers pass every file.

    Raises:
        MalformedError: a path is not canonical, two paths are equal or differ in case only (attack H6), a digest is malformed, or
            nothing but residue is there (an empty model is refused, as by the OMS specification).
        LimitExceededError: too many files.
    """
    counted: dict[str, str] = {}
    folded: dict[str, str] = {}
    for path, sha256 in files:
        check_path(path)
        if not is_sha256_hex(sha256):
            raise MalformedError(f"got digest {quote(sha256)} for {quote(path)}, expected 64 lower-case hexadecimal digits")
        twin = folded.setdefault(unicodedata.normalize("NFKC", path).casefold(), path)
        if path in counted or twin != path:
            raise MalformedError(f"got {quote(path)} beside {quote(twin)}, expected paths that differ in more than case")
        if len(folded) > limits.FILES:
            raise LimitExceededError(f"got more than {limits.FILES} files")
        if not is_residue(path):
            counted[path] = sha256
    if not counted:
        raise MalformedError("got no files that count, expected at least one")
    entries = [[path, f"sha256:{counted[path]}"] for path in sorted(counted)]
    return ContentDigest(hashlib.sha256(strict_json.dumps([CONTENT_VERSION, *entries])).hexdigest())
