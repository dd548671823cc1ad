"""ModelRevocation, from what is written to what decides. One that cannot be read is quarantined, never dropped.

A replica that gives no verdicts because of one broken revocation would, under failurePolicy Ignore, admit everything; so what can
be read of it is revoked, part by part and never less than is written there, and the rest is reported.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from modeltrust.api.compile.reading import name_of, read, read_part
from modeltrust.api.compile.selectors import globs
from modeltrust.api.v1alpha1 import model_revocation as api
from modeltrust.api.v1alpha1.fields import check_model_glob, unix_time
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, quote
from modeltrust.domain.globs import Glob
from modeltrust.policy.policy import Revocation, RevokedSigner

UNNAMED = "(unnamed)"
T = TypeVar("T")


def check_revocation(obj: Mapping[str, Any]) -> None:
    """Refuse a ModelRevocation that would be quarantined.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    _compile(obj)


def compile_revocation(obj: Mapping[str, Any]) -> Revocation:
    """Compile a ModelRevocation; deny-lists fold case (attack H9). Never raises.

    Returns:
        The revocation; with ``broken`` set where anything in the object cannot be read: then it revokes every entry that can be
        read alone, and a signer whose date cannot be read is revoked whenever it signed.
    """
    try:
        return _compile(obj)
    except InvalidInputError as error:
        return _quarantine(obj, str(error))
    except Exception as error:  # noqa: BLE001 - a bug of ours must end in a quarantine, not in a revocation that is missing
        return _quarantine(obj, f"cannot be compiled: {type(error).__name__}")


def _compile(obj: Mapping[str, Any]) -> Revocation:
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


def _quarantine(obj: Mapping[str, Any], why: str) -> Revocation:
    spec = obj.get("spec")
    written: Mapping[str, Any] = spec if isinstance(spec, dict) else {}
    return Revocation(
        name=_readable_name(obj.get("metadata")),
        models=tuple(_readable(written.get("models"), _readable_model)),
        contents=frozenset(_readable(written.get("contentDigests"), _readable_digest)),
        files=frozenset(_readable(written.get("fileDigests"), _readable_digest)),
        signers=tuple(_readable(written.get("signers"), _readable_signer)),
        reason=_readable_text(written.get("reason")),
        reference=_readable_text(written.get("reference")),
        broken=why,
    )


def _readable(entries: Any, read_one: Callable[[Any], T]) -> Iterator[T]:
    """The entries of a list that can be read, each by itself; a single value where a list was meant counts, too."""
    for entry in islice(entries if isinstance(entries, list) else [entries], limits.API_SPEC_NODES):
        try:
            yield read_one(entry)
        except Exception:  # noqa: BLE001, S112 - whatever is wrong with one entry, the others are revoked; `broken` says what
            continue


def _readable_model(value: Any) -> Glob:
    pattern = str.strip(value)
    check_model_glob(pattern.lower())
    return Glob(pattern, fold_case=True)


def _readable_digest(value: Any) -> str:
    return ContentDigest.parse(str.strip(value).lower()).hex


def _readable_signer(value: Any) -> RevokedSigner:
    """Key or identity of one entry; what else stands there narrows it, so it is left out where it cannot be read."""
    stated = {key: value[key] for key in ("fingerprint", "identity") if value.get(key) is not None}
    try:
        return _signer(read_part(api.RevokedSigner, value, "spec.signers"))
    except InvalidInputError:
        return _signer(read_part(api.RevokedSigner, stated, "spec.signers"))


def _readable_name(metadata: Any) -> str:
    try:
        return name_of(metadata)
    except (ModelTrustError, AttributeError):
        return UNNAMED


def _readable_text(value: Any) -> str:
    return quote(value).strip('"') if isinstance(value, str) else ""
