"""Builders for OMS statements, bundles, listings and signers; each takes the one thing that a test wants different."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.reference import NO_REVISION
from modeltrust.domain.signer import KeyTrust, Purpose, TrustedSigner

IN_TOTO = "application/vnd.in-toto+json"
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "sub/vocab.txt": b"a b c"}
HASHES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def listing(
    files: Mapping[str, bytes] | None = None, *, bytes_read: bool = False, known: bool = True, kind: FileKind = FileKind.FILE
) -> SourceListing:
    """What a source states about these files."""
    entries = tuple(
        FileEntry(path, len(data), sha256=sha256(data) if known else None, kind=kind)
        for path, data in sorted((FILES if files is None else files).items())
    )
    return SourceListing(None, NO_REVISION, entries, bytes_read=bytes_read)


def resources(files: Mapping[str, bytes] | None = None) -> list[dict[str, Any]]:
    """Resources of method files with sha256."""
    return [
        {"name": path, "algorithm": "sha256", "digest": sha256(data)}
        for path, data in sorted((FILES if files is None else files).items())
    ]


def statement(listed: list[dict[str, Any]] | None = None, **serialization: Any) -> dict[str, Any]:
    """An OMS statement with a consistent root; keyword arguments go into ``serialization``."""
    listed = resources() if listed is None else listed
    digests = [item["digest"] for item in listed if isinstance(item.get("digest"), str)]
    try:
        root = sha256(b"".join(bytes.fromhex(digest) for digest in digests))
    except ValueError:
        root = "0" * 64
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, **serialization},
            "resources": listed,
        },
    }


def payload(files: Mapping[str, bytes] | None = None, **serialization: Any) -> bytes:
    """The bytes of ``statement``."""
    return json.dumps(statement(resources(files), **serialization)).encode()


def legacy_payload(files: Mapping[str, bytes] | None = None) -> bytes:
    """A statement as releases before 1.0 wrote: one subject per file, no root digest."""
    subjects = [{"name": item["name"], "digest": {"sha256": item["digest"]}} for item in resources(files)]
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": "https://model_signing/Digests/v0.1",
            "predicate": {"unused": "Unused, just passed due to API requirements"},
        }
    ).encode()


def pae(payload_type: str, data: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(data), data)


def envelope(data: bytes, key: ec.EllipticCurvePrivateKey, payload_type: str = IN_TOTO) -> dict[str, Any]:
    """A signed DSSE envelope; the hash follows the curve."""
    signature = key.sign(pae(payload_type, data), ec.ECDSA(HASHES[key.curve.name]))
    return {
        "payload": base64.b64encode(data).decode(),
        "payloadType": payload_type,
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
    }


def key_document(
    data: bytes, key: ec.EllipticCurvePrivateKey, *, hint: str | None = None, payload_type: str = IN_TOTO
) -> dict[str, Any]:
    """A bundle signed by a key, as JSON objects, with the hint that model-signing writes."""
    named = hashlib.sha256(public_pem(key)).hexdigest() if hint is None else hint
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": named}, "tlogEntries": []},
        "dsseEnvelope": envelope(data, key, payload_type),
    }


def key_bundle(data: bytes, key: ec.EllipticCurvePrivateKey, **options: Any) -> bytes:
    """The bytes of ``key_document``."""
    return json.dumps(key_document(data, key, **options)).encode()


def new_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Any, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))


def fingerprint(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der)


def key_signer(key: ec.EllipticCurvePrivateKey, name: str = "acme") -> TrustedSigner:
    return signer(KeyTrust(public_pem(key), fingerprint(key)), name)


def signer(trust: Any, name: str = "acme") -> TrustedSigner:
    return TrustedSigner(name, (), frozenset({Purpose.AUTHOR}), trust, ())


def write(folder: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """A model on disk."""
    for path, data in (FILES if files is None else files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def read(folder: Path) -> SourceListing:
    """Every file of a folder, links as links."""
    entries = []
    for path in sorted(item for item in folder.rglob("*") if item.is_symlink() or item.is_file()):
        kind = FileKind.SYMLINK if path.is_symlink() else FileKind.FILE
        data = path.read_bytes()
        entries.append(FileEntry(path.relative_to(folder).as_posix(), len(data), sha256=sha256(data), kind=kind))
    return SourceListing(None, NO_REVISION, tuple(entries), bytes_read=True)
