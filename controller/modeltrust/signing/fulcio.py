"""What a Fulcio certificate says about its holder: subject, issuer and claims, by the names of Fulcio's own documentation.

Source: sigstore/fulcio docs/oid-info.md; object identifiers under 1.3.6.1.4.1.57264.1.
"""

from dataclasses import dataclass

from cryptography import x509

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError, quote

_ARC = "1.3.6.1.4.1.57264.1."
_ISSUER, _ISSUER_V2, _OTHER_NAME = (f"{_ARC}{number}" for number in (1, 8, 7))
_RAW = {
    2: "githubWorkflowTrigger",
    3: "githubWorkflowSHA",
    4: "githubWorkflowName",
    5: "githubWorkflowRepository",
    6: "githubWorkflowRef",
}
_UTF8 = {
    9: "buildSignerURI",
    10: "buildSignerDigest",
    11: "runnerEnvironment",
    12: "sourceRepositoryURI",
    13: "sourceRepositoryDigest",
    14: "sourceRepositoryRef",
    15: "sourceRepositoryIdentifier",  # survives renames and account re-registration; names do not
    16: "sourceRepositoryOwnerURI",
    17: "sourceRepositoryOwnerIdentifier",
    18: "buildConfigURI",
    19: "buildConfigDigest",
    20: "buildTrigger",
    21: "runInvocationURI",
    22: "sourceRepositoryVisibilityAtSigning",
    23: "deploymentEnvironment",
}
_RAW_NAMES = {f"{_ARC}{number}": name for number, name in _RAW.items()}
_UTF8_NAMES = {f"{_ARC}{number}": name for number, name in _UTF8.items()}
CLAIMS = frozenset(_RAW_NAMES.values()) | frozenset(_UTF8_NAMES.values())

_UTF8_STRING = 0x0C
_LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Holder:
    """Who held the certificate.

    Attributes:
        subject: the one subject alternative name: an e-mail address, a URI, or a user name.
        issuer: the OIDC issuer that vouched for it.
        claims: sorted names and values.
    """

    subject: str
    issuer: str
    claims: tuple[tuple[str, str], ...]


def holder(certificate: x509.Certificate) -> Holder:
    """Read the holder.

    Raises:
        MalformedError: not exactly one subject alternative name, no issuer, two different issuers, or a value that is not text.
    """
    values = {
        extension.oid.dotted_string: extension.value.value
        for extension in certificate.extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }
    claims = [(name, _text(values[oid], name)) for oid, name in _RAW_NAMES.items() if oid in values]
    claims += [(name, _utf8_string(values[oid], name)) for oid, name in _UTF8_NAMES.items() if oid in values]
    return Holder(_subject(certificate), _issuer(values), tuple(sorted(claims)))


def _subject(certificate: x509.Certificate) -> str:
    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound as error:
        raise MalformedError("got a certificate without subject alternative name") from error
    if len(names) != 1:
        raise MalformedError(f"got {len(names)} subject alternative names, expected exactly one")
    name = names[0]
    if isinstance(name, (x509.RFC822Name, x509.UniformResourceIdentifier)):
        return _bounded(name.value, "subject")
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == _OTHER_NAME:
        return _utf8_string(name.value, "subject")
    raise MalformedError(f"got a subject alternative name of kind {type(name).__name__}, expected e-mail, URI or user name")


def _issuer(values: dict[str, bytes]) -> str:
    stated = {_utf8_string(values[_ISSUER_V2], "issuer")} if _ISSUER_V2 in values else set()
    if _ISSUER in values:
        stated.add(_text(values[_ISSUER], "issuer"))
    if len(stated) != 1:
        raise MalformedError(f"got {len(stated)} OIDC issuers in a certificate, expected one")
    return stated.pop()


def _utf8_string(der: bytes, name: str) -> str:
    """A DER UTF8String, shortest form, nothing behind it."""
    if len(der) < 2 or der[0] != _UTF8_STRING:  # noqa: PLR2004 - tag and length
        raise MalformedError(f"got {name} that is no DER string")
    size, header = der[1], 2
    if size >= _LONG_FORM:
        header += size - _LONG_FORM
        size = int.from_bytes(der[2:header], "big")
        if size < _LONG_FORM or der[2] == 0:
            raise MalformedError(f"got {name} with a length that is not in its shortest form")
    if len(der) != header + size:
        raise MalformedError(f"got {name} of {len(der) - header} bytes, expected {size}")
    return _text(der[header:], name)


def _text(value: bytes, name: str) -> str:
    try:
        return _bounded(value.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise MalformedError(f"got {name} {quote(value)}, expected UTF-8") from error


def _bounded(value: str, name: str) -> str:
    if not 0 < len(value) <= limits.CLAIM_CHARACTERS:
        raise MalformedError(f"got {name} of {len(value)} characters, expected 1 to {limits.CLAIM_CHARACTERS}")
    return value
