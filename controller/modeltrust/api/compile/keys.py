"""Public keys, certificate roots and trusted_root.json: parsed once, so that a broken one is refused when it is written.

A fingerprint is the sha256, in hex, of the DER SubjectPublicKeyInfo.
"""

import base64
import binascii
import hashlib
import math
import re
import warnings
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, quote

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_ONE_KEY = re.compile(rb"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----")
_CERTIFICATES = re.compile(rb"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----")
_ROOTS = 32  # certificates in one list: fingerprints are compared one by one
_MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot"

Windows = frozenset[tuple[str, int, int | None]]
"""Fingerprints, each with the first second in which it is trusted and the second from which it is not (None: open)."""


def read_public_key(pem: str, path: str) -> tuple[bytes, str]:
    """A PEM public key on P-256, P-384 or P-521: what OMS signs with.

    Args:
        pem: exactly one PUBLIC KEY block.
        path: where it stands.

    Returns:
        The PEM bytes, normalised, and the fingerprint.

    Raises:
        InvalidInputError: something else; a private key is never echoed.
    """
    data = _normalised(pem, path)
    if not _ONE_KEY.fullmatch(data):
        raise InvalidInputError(f"{path}: got something else, expected one PEM block PUBLIC KEY and nothing beside it")
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError(f"{path}: got a key that cannot be read, expected an EC key on P-256, P-384 or P-521") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise InvalidInputError(f"{path}: got another kind of key, expected an EC key on P-256, P-384 or P-521")
    return data + b"\n", _fingerprint(key)


def read_roots(pem: str, path: str) -> tuple[bytes, frozenset[str]]:
    """PEM certificates that anchor a chain.

    Returns:
        The PEM bytes, normalised, and the fingerprints of their keys.

    Raises:
        InvalidInputError: no certificate, something beside certificates, or one that cannot be read or is no CA.
    """
    data = _normalised(pem, path)
    blocks = _CERTIFICATES.findall(data)
    if not blocks or _CERTIFICATES.sub(b"", data).strip():
        raise InvalidInputError(f"{path}: got something else, expected PEM blocks CERTIFICATE and nothing beside them")
    if len(blocks) > _ROOTS:
        raise InvalidInputError(f"{path}: got {len(blocks)} certificates, expected at most {_ROOTS}")
    return b"\n".join(blocks) + b"\n", frozenset(_root(block, path) for block in blocks)


def read_trusted_root(text: str, path: str) -> tuple[bytes, Windows]:
    """An inline trusted_root.json.

    Returns:
        Its bytes, and every key that may vouch, with when: CAs (each certificate of a chain), CT logs, logs, TSAs.

    Raises:
        InvalidInputError: no such document, or one without CA and log: an empty root trusts nobody and means a mistake.
    """
    data = text.encode("utf-8", "surrogatepass")
    try:
        root = strict_json.loads(data, max_bytes=limits.TRUSTED_ROOT_CHARACTERS)
    except ModelTrustError as error:
        raise InvalidInputError(f"{path}: {error}, expected a trusted_root.json") from error
    if not isinstance(root, dict) or not str(root.get("mediaType")).startswith(_MEDIA_TYPE):
        raise InvalidInputError(f"{path}: got another document, expected a trusted_root.json (mediaType {_MEDIA_TYPE}+json)")
    authorities = _authorities(root, "certificateAuthorities", path)
    logs = _logs(root, "tlogs", path)
    if not authorities or not logs:
        raise InvalidInputError(f"{path}: got {len(authorities)} CA keys and {len(logs)} log keys, expected at least one of each")
    return data, authorities | logs | _logs(root, "ctlogs", path) | _authorities(root, "timestampAuthorities", path)


def _normalised(pem: str, path: str) -> bytes:
    try:
        lines = pem.encode("ascii").replace(b"\r\n", b"\n").split(b"\n")
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{path}: got other characters than ASCII, expected PEM") from error
    return b"\n".join(line.strip() for line in lines if line.strip())


def _fingerprint(key: Any) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _root(block: bytes, path: str) -> str:
    certificate = _certificate(x509.load_pem_x509_certificate, block, path)
    try:
        ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound as error:
        raise InvalidInputError(f"{path}: got a certificate without basic constraints, expected a CA") from error
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError) as error:  # no common base class
        raise InvalidInputError(f"{path}: got a certificate whose extensions cannot be read, expected a CA") from error
    if not ca:
        raise InvalidInputError(f"{path}: got a leaf certificate, expected a CA")
    return _fingerprint(certificate.public_key())


def _certificate(load: Any, data: bytes, path: str) -> x509.Certificate:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            certificate: x509.Certificate = load(data)
            certificate.public_key()
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, CryptographyDeprecationWarning) as error:
        raise InvalidInputError(f"{path}: got a certificate that cannot be read") from error
    return certificate


def _authorities(root: dict[str, Any], member: str, path: str) -> Windows:
    found = set[tuple[str, int, int | None]]()
    for index, entry in enumerate(_entries(root, member, path)):
        where = f"{path}: {member}[{index}]"
        chain = entry.get("certChain")
        certificates = chain.get("certificates") if isinstance(chain, dict) else None
        if not isinstance(certificates, list) or not certificates or len(certificates) > limits.CERTIFICATES_IN_CHAIN:
            raise InvalidInputError(f"{where}: got no certChain, expected 1 to {limits.CERTIFICATES_IN_CHAIN} certificates")
        window = _window(entry.get("validFor"), where)
        for certificate in certificates:
            data = _raw_bytes(certificate, where)
            found.add((_fingerprint(_certificate(x509.load_der_x509_certificate, data, where).public_key()), *window))
    return frozenset(found)


def _logs(root: dict[str, Any], member: str, path: str) -> Windows:
    found = set[tuple[str, int, int | None]]()
    for index, entry in enumerate(_entries(root, member, path)):
        where = f"{path}: {member}[{index}].publicKey"
        data = _raw_bytes(entry.get("publicKey"), where)
        window = _window(entry["publicKey"].get("validFor"), where)
        try:
            found.add((_fingerprint(serialization.load_der_public_key(data)), *window))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidInputError(f"{where}: got a key that cannot be read") from error
    return frozenset(found)


def _window(stated: Any, where: str) -> tuple[int, int | None]:
    """When a key is trusted; rounded up, so that a signing time in whole seconds compares as with the exact moments."""
    if not isinstance(stated, dict) or "start" not in stated:
        raise InvalidInputError(f"{where}.validFor: got no start, expected since when it is trusted")
    start, end = _moment(stated["start"], where), stated.get("end")
    return start, None if end is None else _moment(end, where)


def _moment(value: Any, where: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{where}.validFor: got {quote(value)}, expected RFC 3339") from error
    if moment.tzinfo is None:
        raise InvalidInputError(f"{where}.validFor: got {quote(value)} without a zone, expected RFC 3339")
    return math.ceil(moment.timestamp())


def _entries(root: dict[str, Any], member: str, path: str) -> list[dict[str, Any]]:
    entries = root.get(member, [])
    if not isinstance(entries, list) or len(entries) > _ROOTS or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInputError(f"{path}: {member}: got something else, expected a list of at most {_ROOTS} maps")
    return entries


def _raw_bytes(holder: Any, where: str) -> bytes:
    value = holder.get("rawBytes") if isinstance(holder, dict) else None
    if not isinstance(value, str):
        raise InvalidInputError(f"{where}: got no rawBytes, expected base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"{where}.rawBytes: got {quote(value, 16)}, expected base64") from error
