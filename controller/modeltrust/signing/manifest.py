"""The OMS statement, parsed strictly, and its comparison with a source's listing.

Source of the rules: OpenSSF Model Signing specification v1.0, and facts/signing.md section 3. The reference library checks the
root, the method, the hash type and the number of subjects; everything else here is ours.
"""

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from modeltrust.domain import limits, strict_json
from modeltrust.domain.digest import check_path, is_residue
from modeltrust.domain.dsse import STATEMENT_TYPE
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.signing import legacy
from modeltrust.signing.fields import fields, text

PREDICATE_TYPE = "https://model_signing/signature/v1.0"

_DIGEST_BYTES = {"sha256": 32, "blake2b": 64, "blake3": 32}
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_OFFSET = re.compile(r"0|[1-9][0-9]{0,18}")
_COMPARABLE_KINDS = frozenset({FileKind.FILE, FileKind.ARCHIVE})


class Method(StrEnum):
    """How the signer cut the model into resources."""

    FILES = "files"
    SHARDS = "shards"


@dataclass(frozen=True, slots=True)
class Resource:
    """One signed digest.

    Attributes:
        path: canonical path of the file.
        digest: lower-case hex.
        start: first byte that the digest covers; 0 for a whole file.
        end: the byte after the last one; None for a whole file.
    """

    path: str
    digest: str
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was signed: a consistent set of files.

    Attributes:
        name: of the subject; the signer's folder name, informative only, never compared.
        root: 64 hex, the OMS root digest. It does not bind file names: never pin on it.
        method: files or shards.
        hash_type: ``sha256``, ``blake2b`` or ``blake3``.
        resources: sorted by path and start; never empty.
        ignore_paths: what the signer says it left out; shown, never an excuse for a file.
    """

    name: str
    root: str
    method: Method
    hash_type: str
    resources: tuple[Resource, ...]
    ignore_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A manifest against a listing: five sorted, disjoint sets of paths; residue is in none of them.

    Attributes:
        matched: listed with exactly the signed sha256.
        unsigned: listed and not signed.
        missing: signed and not listed.
        mismatched: listed with another sha256, or with another size than the shards add up to.
        unknown_digest: signed and listed, and equality cannot be seen from here: the source states no sha256, the signer used
            blake2b, blake3 or shards (which need the bytes), or the entry is a link.
    """

    matched: tuple[str, ...]
    unsigned: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unknown_digest: tuple[str, ...]


@dataclass(slots=True)
class _Sets:
    """Where ``compare`` collects."""

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unknown_digest: list[str] = field(default_factory=list)


def predicate_type(payload: bytes) -> str:
    """What a statement says it is about, before any of it is believed.

    Raises:
        MalformedError: not a strict JSON object with a text ``predicateType``.
    """
    statement = _load(payload)
    value = statement.get("predicateType")
    if not isinstance(value, str):
        raise MalformedError(f"got predicateType {quote(value)}, expected a string")
    return value


def parse_manifest(payload: bytes) -> Manifest:
    """Read the payload of an OMS envelope.

    Args:
        payload: an in-toto statement, JSON.

    Raises:
        UntrustedError: SignatureInvalid for the legacy predicates of releases before 1.0, which have no root digest.
        MalformedError: any other deviation from the specification.
        LimitExceededError: more resources than ``limits.MANIFEST_RESOURCES``.
    """
    statement = _load(payload)
    _check_predicate_type(statement)
    fields(statement, "the statement", required={"_type", "subject", "predicateType", "predicate"})
    if statement["_type"] != STATEMENT_TYPE:
        raise MalformedError(f"got statement type {quote(statement['_type'])}, expected {STATEMENT_TYPE}")
    name, root = _subject(statement["subject"])
    predicate = fields(statement["predicate"], "the predicate", required={"serialization", "resources"})
    serialization = _serialization(predicate["serialization"])
    resources = _resources(predicate["resources"], serialization)
    recomputed = hashlib.sha256(b"".join(bytes.fromhex(resource.digest) for resource in resources)).hexdigest()
    if recomputed != root:
        raise MalformedError(f"got root digest {quote(root)}, expected {recomputed}, which the resources hash to")
    ordered = tuple(sorted(resources, key=lambda resource: (resource.path, resource.start)))
    _check_unique(ordered)
    return Manifest(name, root, serialization.method, serialization.hash_type, ordered, serialization.ignore_paths)


def compare(manifest: Manifest, listing: SourceListing) -> Comparison:
    """Compare without reading a byte of the model.

    The signer's ``ignore_paths`` excuse nothing (facts/signing.md section 4.2): a listed file that is not signed is ``unsigned``.

    Raises:
        MalformedError: the listing names a path twice.
    """
    listed = _listed(listing)
    signed = _signed_sizes(manifest)
    sets = _Sets()
    digests = {resource.path: resource.digest for resource in manifest.resources}
    for path, size in signed.items():
        entry = listed.get(path)
        if entry is None:
            sets.missing.append(path)
        elif size is not None and size != entry.size:
            sets.mismatched.append(path)
        elif manifest.method is not Method.FILES or manifest.hash_type != "sha256" or not _comparable(entry):
            sets.unknown_digest.append(path)
        else:
            (sets.matched if entry.sha256 == digests[path] else sets.mismatched).append(path)
    return Comparison(
        matched=tuple(sorted(sets.matched)),
        unsigned=tuple(sorted(path for path in listed if path not in signed)),
        missing=tuple(sorted(sets.missing)),
        mismatched=tuple(sorted(sets.mismatched)),
        unknown_digest=tuple(sorted(sets.unknown_digest)),
    )


def _listed(listing: SourceListing) -> dict[str, FileEntry]:
    listed: dict[str, FileEntry] = {}
    for entry in listing.files:
        if entry.path in listed:
            raise MalformedError(f"got {quote(entry.path)} twice in the listing")
        if not is_residue(entry.path):
            listed[entry.path] = entry
    return listed


def _signed_sizes(manifest: Manifest) -> dict[str, int | None]:
    """Path → size that the shards add up to, or None for whole files."""
    sizes: dict[str, int | None] = {}
    for resource in manifest.resources:
        if not is_residue(resource.path):
            sizes[resource.path] = resource.end
    return sizes


def _comparable(entry: FileEntry) -> bool:
    return entry.sha256 is not None and entry.kind in _COMPARABLE_KINDS


@dataclass(frozen=True, slots=True)
class _Serialization:
    method: Method
    hash_type: str
    ignore_paths: tuple[str, ...]
    shard_size: int | None

    @property
    def algorithm(self) -> str:
        """What every resource must state."""
        return self.hash_type if self.shard_size is None else f"{self.hash_type}-sharded-{self.shard_size}"


def _load(payload: bytes) -> dict[str, Any]:
    statement = strict_json.loads(payload, max_bytes=limits.BUNDLE_BYTES)
    if not isinstance(statement, dict):
        raise MalformedError(f"got {type(statement).__name__}, expected an in-toto statement")
    return statement


def _check_predicate_type(statement: dict[str, Any]) -> None:
    found = statement.get("predicateType")
    if isinstance(found, str) and found in legacy.PREDICATE_TYPES:
        raise legacy.refusal(f"predicate type {found}", PREDICATE_TYPE)
    if found != PREDICATE_TYPE:
        raise MalformedError(f"got predicate type {quote(found)}, expected {PREDICATE_TYPE}")


def _subject(value: Any) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 1:
        raise MalformedError(f"got {len(value) if isinstance(value, list) else 0} subjects, expected exactly one")
    subject = fields(value[0], "the subject", required={"digest"}, optional={"name"})
    digest = fields(subject["digest"], "the subject's digest", required={"sha256"})
    return text(subject.get("name", ""), "the subject's name"), _digest(digest["sha256"], "sha256")


def _serialization(value: Any) -> _Serialization:
    stated = fields(
        value,
        "the serialization",
        required={"method", "hash_type"},
        optional={"allow_symlinks", "ignore_paths", "shard_size"},
    )
    method, hash_type = stated["method"], stated["hash_type"]
    if not isinstance(method, str) or method not in {item.value for item in Method}:
        raise MalformedError(f"got method {quote(method)}, expected files or shards")
    if not isinstance(hash_type, str) or hash_type not in _DIGEST_BYTES:
        raise MalformedError(f"got hash_type {quote(hash_type)}, expected one of {', '.join(_DIGEST_BYTES)}")
    if not isinstance(stated.get("allow_symlinks", False), bool):
        raise MalformedError(f"got allow_symlinks {quote(stated['allow_symlinks'])}, expected true or false")
    return _Serialization(
        Method(method), hash_type, _ignore_paths(stated.get("ignore_paths")), _shard_size(Method(method), stated.get("shard_size"))
    )


def _shard_size(method: Method, value: Any) -> int | None:
    if method is Method.FILES:
        if value is not None:
            raise MalformedError(f"got shard_size {quote(value)} with method files, expected none")
        return None
    # protobuf's Struct writes every number as a double: 8.0 is how releases up to 1.1.1 write 8
    integral = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not integral or not 0 < value < 1 << 53:
        raise MalformedError(f"got shard_size {quote(value)}, expected a positive whole number")
    return int(value)


def _ignore_paths(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedError("got ignore_paths of another type, expected a list of strings")
    if len(value) > limits.MANIFEST_RESOURCES:
        raise LimitExceededError(f"got {len(value)} ignore_paths, expected at most {limits.MANIFEST_RESOURCES}")
    for item in value:
        # "", "." and an absolute path to the model all mean "everything" to the reference library
        if item in {"", "."} or item.startswith("/") or ".." in item.split("/"):
            raise MalformedError(f"got ignore_paths entry {quote(item)}, expected a relative path below the model")
    return tuple(sorted(value))


def _resources(value: Any, serialization: _Serialization) -> list[Resource]:
    if not isinstance(value, list) or not value:
        raise MalformedError("got no resources, expected at least one: an empty manifest fits every folder")
    if len(value) > limits.MANIFEST_RESOURCES:
        raise LimitExceededError(f"got {len(value)} resources, expected at most {limits.MANIFEST_RESOURCES}")
    return [_resource(item, serialization) for item in value]


def _resource(value: Any, serialization: _Serialization) -> Resource:
    stated = fields(value, "a resource", required={"name", "algorithm", "digest"})
    if stated["algorithm"] != serialization.algorithm:
        raise MalformedError(f"got algorithm {quote(stated['algorithm'])}, expected {serialization.algorithm} as serialized")
    digest = _digest(stated["digest"], serialization.hash_type)
    name = text(stated["name"], "a resource's name")
    if serialization.shard_size is None:
        check_path(name)
        return Resource(name, digest)
    return _shard(name, digest, serialization.shard_size)


def _shard(name: str, digest: str, shard_size: int) -> Resource:
    path, start, end = [*name.rsplit(":", 2), "", ""][:3]  # the last two colons: file names may hold further ones
    check_path(path)
    if not (_OFFSET.fullmatch(start) and _OFFSET.fullmatch(end)):
        raise MalformedError(f"got shard {quote(name)}, expected path:start:end")
    if int(start) % shard_size or not int(start) < int(end) <= int(start) + shard_size:
        raise MalformedError(f"got shard {quote(name)}, expected at most {shard_size} bytes from a multiple of it")
    return Resource(path, digest, int(start), int(end))


def _check_unique(ordered: tuple[Resource, ...]) -> None:
    """No path twice; the shards of a file follow each other without a gap, or bytes between them would be unsigned."""
    expected: dict[str, int | None] = {}
    for resource in ordered:
        if resource.end is None and resource.path in expected:
            raise MalformedError(f"got resource {quote(resource.path)} twice")
        if resource.start != (expected.get(resource.path) or 0):
            raise MalformedError(
                f"got shard of {quote(resource.path)} at {resource.start}, expected {expected.get(resource.path, 0)}"
            )
        expected[resource.path] = resource.end


def _digest(value: Any, hash_type: str) -> str:
    expected = _DIGEST_BYTES[hash_type] * 2
    if not isinstance(value, str) or len(value) != expected or not _HEX.fullmatch(value):
        raise MalformedError(f"got digest {quote(value)}, expected {expected} lower-case hexadecimal digits")
    return value
