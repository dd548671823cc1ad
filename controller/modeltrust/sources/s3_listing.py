"""What S3 says of objects: strict reading of a page of keys, and of what HEAD states of one object."""

import base64
import binascii
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote

_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        objects: (key, size in bytes), in the server's order.
        following: the token of the next page, empty for none.
    """

    objects: tuple[tuple[str, int], ...]
    following: str


def page(data: bytes) -> Page:
    """Read the answer to ListObjectsV2 with ``encoding-type=url``.

    Raises:
        MalformedError: something else.
        LimitExceededError: more keys than any model has files.
    """
    root = _root(data)
    if _name(root) != "ListBucketResult":
        raise MalformedError(f"got {quote(_name(root))}, expected ListBucketResult")
    encoded = _text(root, "EncodingType") == "url"
    contents = [child for child in root if _name(child) == "Contents"]
    if len(contents) > limits.FILES:
        raise LimitExceededError(f"got {len(contents)} keys in one page, expected at most {limits.FILES}")
    objects = tuple(_object(child, encoded=encoded) for child in contents)
    following = _text(root, "NextContinuationToken")
    if (_text(root, "IsTruncated") == "true") != bool(following):
        raise MalformedError("got a page of keys that says it goes on without saying where, or the reverse")
    return Page(objects, following)


def stated_sha256(headers: Mapping[str, str]) -> str | None:
    """The sha256 of an object's bytes, 64 hex, where the store states it: neither an ETag nor a hash of hashes is one."""
    text = headers.get("x-amz-checksum-sha256", "")
    if not text or "-" in text or headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"got checksum {quote(text)}, expected base64") from error
    if len(digest) != _SHA256_BYTES:
        raise MalformedError(f"got a sha256 of {len(digest)} bytes, expected {_SHA256_BYTES}")
    return digest.hex()


def _root(data: bytes) -> ET.Element:
    # no document type and so no entities (billion laughs, external entities): what S3 writes has neither, in UTF-8
    if b"<!" in data or b"\0" in data:
        raise MalformedError("got XML with declarations, expected a plain document")
    try:
        return ET.fromstring(data.decode("utf-8"))  # noqa: S314 - no declarations, bounded by the client
    except (ET.ParseError, UnicodeDecodeError, ValueError) as error:
        raise MalformedError("got no XML, expected a page of keys") from error


def _object(element: ET.Element, *, encoded: bool) -> tuple[str, int]:
    key, size = _text(element, "Key"), _text(element, "Size")
    if not key or not (size.isascii() and size.isdigit() and len(size) <= 16):  # noqa: PLR2004 - digits of a pebibyte
        raise MalformedError(f"got a key {quote(key)} of size {quote(size)}, expected both")
    if int(size) > limits.OCI_BLOB_BYTES:
        raise LimitExceededError(f"got {quote(key)} of {size} bytes, expected at most {limits.OCI_BLOB_BYTES}")
    try:
        return (unquote_plus(key, errors="strict") if encoded else key), int(size)
    except UnicodeDecodeError as error:
        raise MalformedError(f"got key {quote(key)}, expected UTF-8") from error


def _text(element: ET.Element, name: str) -> str:
    found = [child.text or "" for child in element if _name(child) == name]
    if len(found) > 1:
        raise MalformedError(f"got {name} {len(found)} times, expected once")
    return found[0] if found else ""


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
