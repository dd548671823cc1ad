"""ModelRevocation, from what is written to what decides."""

from collections.abc import Mapping
from typing import Any

from modeltrust.api.compile.reading import read
from modeltrust.api.compile.selectors import globs
from modeltrust.api.v1alpha1 import model_revocation as api
from modeltrust.api.v1alpha1.fields import unix_time
from modeltrust.policy.policy import Revocation, RevokedSigner


def compile_revocation(obj: Mapping[str, Any]) -> Revocation:
    """Compile a ModelRevocation; deny-lists fold case (attack H9).

    Raises:
        InvalidInputError: with the path of what is wrong. A caller must not go on as if nothing were revoked.
    """
    found = read(api.KIND, obj)
    spec = found.spec
    return Revocation(
        name=found.name,
        models=globs(spec.models or (), fold_case=True),
        contents=_hex(spec.content_digests),
        files=_hex(spec.file_digests),
        signers=tuple(_signer(signer) for signer in spec.signers or ()),
        reason=spec.reason,
        reference=spec.reference or "",
    )


def _hex(digests: list[str] | None) -> frozenset[str]:
    return frozenset(digest.removeprefix("sha256:") for digest in digests or ())


def _signer(signer: api.RevokedSigner) -> RevokedSigner:
    return RevokedSigner(
        fingerprint=signer.fingerprint or "",
        issuer=signer.identity.issuer if signer.identity is not None else "",
        subject=signer.identity.subject.casefold() if signer.identity is not None else "",
        signed_after=None if signer.signed_after is None else unix_time(signer.signed_after),
    )
