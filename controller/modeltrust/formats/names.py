"""Names and kinds of the entries of a listing (facts/formats.md section 4)."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from modeltrust.domain import limits
from modeltrust.domain.digest import is_residue
from modeltrust.domain.errors import quote
from modeltrust.domain.listing import FileEntry, FileKind
from modeltrust.formats.characters import CONTROL, hidden
from modeltrust.formats.rules import Problem

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|\Z)", re.IGNORECASE)
_VISIBLE = frozenset({".gitattributes", ".gitignore", ".", ".."})
_EXTENSION = re.compile(r"\.([A-Za-z0-9_]+)(?=\.|\Z)")
# Extensions of formats; two of them in one name are one too many. ".index.json" and ".onnx.data" belong to one format each.
_FORMAT_EXTENSIONS = frozenset(
    {
        "safetensors", "gguf", "bin", "pt", "pth", "ckpt", "pkl", "pickle", "joblib", "npy", "npz", "keras", "h5", "pb",
        "msgpack", "onnx", "engine", "plan", "trt", "nemo", "zip", "tar", "gz", "tgz", "7z", "rar", "xz", "zst", "bz2",
        "py", "pyc", "so", "dll", "exe", "sh", "json", "jinja", "yaml", "yml", "txt", "md", "html", "js", "png", "jpg",
        "jpeg", "gif", "pdf", "svg", "csv",
    }
)  # fmt: skip
_ONE_FORMAT = re.compile(r"(\.(safetensors|bin|pt|pth|h5|msgpack)\.index(\.[A-Za-z0-9_-]+)?\.json|\.onnx\.data|\.tar\.[a-z0-9]+)\Z")


def check_names(files: Sequence[FileEntry]) -> Iterator[tuple[str, Problem]]:
    """Judge every path and kind.

    Yields:
        (path, problem), in the order of the listing; collisions last.
    """
    for entry in files:
        for problem in _check_entry(entry):
            yield entry.path, problem
    yield from _check_collisions(files)


def _check_entry(entry: FileEntry) -> Iterator[Problem]:
    path = entry.path
    if entry.kind is not FileKind.FILE:
        yield Problem("names.kind", f"{quote(path)} is a {entry.kind.value}, expected a file")
    yield from _check_path(path)
    yield from _check_characters(path)
    parts = path.split("/")
    if any(part != part.rstrip(". ") and part not in {".", ".."} for part in parts):
        yield Problem("names.trailing", f"a part of {quote(path)} ends in a dot or a space")
    if any(_RESERVED.match(part) for part in parts):
        yield Problem("names.reserved", f"a part of {quote(path)} is a device name of Windows")
    if ":" in path:
        yield Problem("names.colon", f"{quote(path)} has a colon")
    if any(part.startswith(".") and part not in _VISIBLE for part in parts) and not is_residue(path):
        yield Problem("names.hidden", f"{quote(path)} is hidden")
    yield from _check_extensions(parts[-1])


def _check_path(path: str) -> Iterator[Problem]:
    if len(path) > limits.PATH_CHARACTERS or path.count("/") >= limits.PATH_PARTS:
        yield Problem("names.path", f"got a path of {len(path)} characters and {path.count('/') + 1} parts, expected fewer")
    elif any(part in {"", ".", ".."} for part in path.split("/")):
        yield Problem("names.path", f'got path {quote(path)}, expected a relative path without empty, "." or ".." parts')
    elif "\\" in path or CONTROL.search(path):
        yield Problem("names.path", f"got path {quote(path)}, expected no backslash and no control character")


def _check_characters(path: str) -> Iterator[Problem]:
    if path.isascii():
        return
    character = hidden(path)
    if character:
        yield Problem("names.invisible", f"{quote(path)} has the invisible character {character}")
    if unicodedata.normalize("NFC", path) != path:
        yield Problem("names.unicode-form", f"{quote(path)} is not in Unicode normalisation form C")
    yield Problem("names.non-ascii", f"{quote(path.encode('unicode_escape').decode())} has characters outside ASCII")


def _check_extensions(name: str) -> Iterator[Problem]:
    stem = _ONE_FORMAT.sub(".one", name)
    found = [extension for extension in _EXTENSION.findall(stem) if extension.lower() in _FORMAT_EXTENSIONS or extension == "one"]
    if len(found) > 1:
        yield Problem("names.double-extension", f"{quote(name)} has the extensions {' and '.join(found)}")


def _check_collisions(files: Sequence[FileEntry]) -> Iterator[tuple[str, Problem]]:
    seen: dict[str, str] = {}
    for entry in files:
        key = unicodedata.normalize("NFKC", entry.path).casefold()
        twin = seen.get(key)
        seen[key] = entry.path
        if twin is None:
            continue
        if twin == entry.path:
            yield entry.path, Problem("names.duplicate", f"{quote(entry.path)} is listed twice")
        else:
            yield entry.path, Problem("names.collision", f"{quote(entry.path)} differs from {quote(twin)} in case or form only")
