"""Writes tests/assets/content-digest.json: vectors of the content digest for other implementers.

Written without the implementation: the canonical text is put together here by hand, as docs/content-digest.md describes it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "tests" / "assets" / "content-digest.json"

_CONFIG, _WEIGHTS, _EMPTY = (hashlib.sha256(data).hexdigest() for data in (b"{}", b"weights", b""))

_GOOD: dict[str, list[tuple[str, str]]] = {
    "one file": [("config.json", _CONFIG)],
    "sorted by code point, not as given": [("model.safetensors", _WEIGHTS), ("config.json", _CONFIG), ("Z", _EMPTY)],
    "an upper-case letter sorts before a lower-case one": [("b", _CONFIG), ("B2", _WEIGHTS), ("a", _EMPTY)],
    "code points, not UTF-16 units": [("\uff5e", _CONFIG), ("\U0001f600", _WEIGHTS)],
    "a slash sorts as a character": [("a/b", _CONFIG), ("a-b", _WEIGHTS), ("a.b", _EMPTY)],
    "non-ASCII is not escaped": [("模型/größe.json", _CONFIG)],
    "a quote is escaped, DEL's neighbour and U+2028 are not": [('a"b', _CONFIG), ("c\u2028d~", _WEIGHTS)],
    "an empty file counts": [("empty", _EMPTY), ("config.json", _CONFIG)],
    "residue does not count": [
        ("config.json", _CONFIG),
        ("model.sig", _WEIGHTS),
        (".gitattributes", _EMPTY),
        (".gitignore", _EMPTY),
        (".cache/huggingface/download/config.json.metadata", _EMPTY),
    ],
    "a model where downloads leave their residue counts": [
        ("config.json", _CONFIG),
        (".cache/huggingface/config.json", _CONFIG),
        (".cache/huggingface/download/model.safetensors", _WEIGHTS),
        (".cache/huggingface/download/sub/config.json.lock", _EMPTY),
        (".cache/huggingface/CACHEDIR.TAG", _EMPTY),
    ],
    "a signature in a folder or under another name counts": [
        ("config.json", _CONFIG),
        ("sub/model.sig", _EMPTY),
        ("m.asc", _EMPTY),
    ],
    "other hidden files count": [("config.json", _CONFIG), (".cache/other", _EMPTY), (".gitmodules", _EMPTY)],
}
_BAD: dict[str, list[tuple[str, str]]] = {
    "no file": [],
    "nothing but residue": [("model.sig", _CONFIG)],
    "a path twice": [("a", _CONFIG), ("a", _CONFIG)],
    "paths that differ in case only": [("config.json", _CONFIG), ("Config.json", _WEIGHTS)],
    "paths that differ in compatibility form only": [("ﬁle", _CONFIG), ("file", _WEIGHTS)],
    "an absolute path": [("/config.json", _CONFIG)],
    "a path that leads out": [("../config.json", _CONFIG)],
    "a part that is a dot": [("./config.json", _CONFIG)],
    "an empty part": [("a//b", _CONFIG)],
    "a backslash": [("a\\b", _CONFIG)],
    "a control character": [("a\nb", _CONFIG)],
    "a NUL": [("a\0b", _CONFIG)],
    "not in normalisation form C": [("e\u0301.json", _CONFIG)],
    "an upper-case digest": [("config.json", _CONFIG.upper())],
    "a short digest": [("config.json", _CONFIG[:-1])],
}
_RESIDUE = (
    "model.sig",
    ".gitattributes",
    ".gitignore",
    ".cache/huggingface/download/config.json.metadata",
    ".cache/huggingface/download/sub/config.json.lock",
    ".cache/huggingface/CACHEDIR.TAG",
)


def _canonical(files: list[tuple[str, str]]) -> str:
    counted = sorted(entry for entry in files if entry[0] not in _RESIDUE)
    entries = (f',["{path.replace(chr(34), chr(92) + chr(34))}","sha256:{digest}"]' for path, digest in counted)
    return f'["modeltrust/content/v1"{"".join(entries)}]'


def _vector(name: str, files: list[tuple[str, str]], **more: str) -> dict[str, Any]:
    return {"name": name, "files": [{"path": path, "sha256": digest} for path, digest in files]} | more


def generate() -> dict[str, str]:
    """The file's text, by its path below the repository."""
    vectors = []
    for name, files in _GOOD.items():
        text = _canonical(files)
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        vectors.append(_vector(name, files, canonical=text, contentDigest=digest))
    vectors += [_vector(name, files, refused=name) for name, files in _BAD.items()]
    document = {"definition": "docs/content-digest.md", "version": "modeltrust/content/v1", "vectors": vectors}
    return {str(FILE.relative_to(ROOT)): json.dumps(document, indent=1) + "\n"}
