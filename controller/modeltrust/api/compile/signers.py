"""TrustedSigner, from what is written to what decides."""

from collections.abc import Mapping
from typing import Any

from modeltrust.api.compile.keys import read_public_key, read_roots, read_trusted_root
from modeltrust.api.compile.reading import read
from modeltrust.api.compile.selectors import globs
from modeltrust.api.v1alpha1 import trusted_signer as api
from modeltrust.api.v1alpha1.fields import unix_time
from modeltrust.domain.globs import Glob
from modeltrust.domain.signer import (
    CertificateTime,
    CertificateTrust,
    KeylessIdentity,
    KeylessTrust,
    KeyTrust,
    Purpose,
    TrustedSigner,
)


def compile_signer(obj: Mapping[str, Any]) -> TrustedSigner:
    """Compile a TrustedSigner; a broken one is no signer, which disables its alternative and not the policy.

    Raises:
        InvalidInputError: with the path of what is wrong, e.g. ``spec.keyless.identities[0].issuer: got …, expected …``.
    """
    found = read(api.KIND, obj)
    spec = found.spec
    validity = spec.validity or api.Validity.model_construct()
    return TrustedSigner(
        name=found.name,
        labels=found.labels,
        purposes=frozenset(Purpose(purpose) for purpose in spec.purposes),
        trust=_trust(spec),
        scope=globs(spec.scope.models),
        not_before=None if validity.not_before is None else unix_time(validity.not_before),
        not_after=None if validity.not_after is None else unix_time(validity.not_after),
    )


def _trust(spec: api.TrustedSignerSpec) -> KeylessTrust | KeyTrust | CertificateTrust:
    if spec.keyless is not None:
        return _keyless(spec.keyless)
    if spec.public_key is not None:
        pem, fingerprint = read_public_key(spec.public_key.pem, "spec.publicKey.pem")
        return KeyTrust(pem=pem, fingerprint=fingerprint)
    assert spec.certificate is not None  # noqa: S101 - the model demands exactly one of the three
    return _certificate(spec.certificate)


def _keyless(keyless: api.Keyless) -> KeylessTrust:
    identities = tuple(_identity(identity) for identity in keyless.identities)
    if keyless.trust_root is None:
        return KeylessTrust(identities)
    root, windows = read_trusted_root(keyless.trust_root.inline, "spec.keyless.trustRoot.inline")
    fingerprints = frozenset(fingerprint for fingerprint, _, _ in windows)
    return KeylessTrust(identities, root, fingerprints, windows=tuple(sorted(windows, key=str)))


def _identity(identity: api.Identity) -> KeylessIdentity:
    return KeylessIdentity(
        name=identity.name,
        issuer=identity.issuer,
        subject=identity.subject or "",
        subject_pattern=None if identity.subject_pattern is None else Glob(identity.subject_pattern),
        claims=tuple(sorted((identity.claims or {}).items())),
    )


def _certificate(certificate: api.Certificate) -> CertificateTrust:
    roots, fingerprints = read_roots(certificate.roots, "spec.certificate.roots")
    name = certificate.subject_alternative_name
    kinds = {"uri": name.uri, "email": name.email, "dns": name.dns}
    san_type, san_value = next((kind, value) for kind, value in kinds.items() if value is not None)
    return CertificateTrust(roots, fingerprints, san_type=san_type, san_value=san_value, time=CertificateTime(certificate.validity))
