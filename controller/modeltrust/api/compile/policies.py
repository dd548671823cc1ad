"""ModelPolicy, from what is written to what decides. A policy that cannot be read is quarantined, never dropped.

A requirement that was written must never vanish: whatever is wrong anywhere in the object makes the whole policy broken, and a
broken policy denies what it matches, in its own mode (design/admission.md, "Modes and failure"; attack M9).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from modeltrust.api.compile.reading import name_of, read, read_part
from modeltrust.api.compile.selectors import compile_selector, globs
from modeltrust.api.v1alpha1 import model_policy as api
from modeltrust.api.v1alpha1.fields import unix_time
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.domain.evidence import Assurance
from modeltrust.domain.signer import Purpose
from modeltrust.policy.policy import Match, Mode, Pending, Policy, UnresolvedAction
from modeltrust.policy.requirements.evaluation import Evaluation, Inconclusive
from modeltrust.policy.requirements.formats import Formats, RemoteCode, Scope, Templates
from modeltrust.policy.requirements.lineage import Base, Lineage
from modeltrust.policy.requirements.pinned import Pinned
from modeltrust.policy.requirements.serving_image import ServingImage
from modeltrust.policy.requirements.signature import Alternative, Signature
from modeltrust.policy.requirements.sources import Sources

UNNAMED = "(unnamed)"


class Subject(Enum):
    """What a requirement looks at."""

    WORKLOAD = "workload"
    REFERENCE = "reference"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement of the registry: how it is built, and its subject."""

    build: Callable[[api.Requirement], Any]
    subject: Subject


REGISTRY: Mapping[str, Row] = {
    "Pinned": Row(lambda _: Pinned(), Subject.REFERENCE),
    "Sources": Row(lambda entry: Sources(allowed=globs(_the(entry.sources).allowed)), Subject.REFERENCE),
    "Signature": Row(lambda entry: _signature(_the(entry.signature)), Subject.STATEMENT),
    "Formats": Row(lambda entry: _formats(_the(entry.formats)), Subject.STATEMENT),
    "ServingImage": Row(lambda entry: ServingImage(allowed=globs(_the(entry.serving_image).allowed)), Subject.WORKLOAD),
    "Lineage": Row(lambda entry: Lineage(base=Base(_the(entry.lineage).base)), Subject.STATEMENT),
    "Evaluation": Row(lambda entry: _evaluation(_the(entry.evaluation)), Subject.STATEMENT),
}


def check_policy(obj: Mapping[str, Any]) -> None:
    """Refuse a ModelPolicy that would be quarantined.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    _compile(obj)


def compile_policy(obj: Mapping[str, Any]) -> Policy:
    """Compile a ModelPolicy; never raises.

    Returns:
        The policy; with ``broken`` set where anything in the object cannot be read: then it holds no requirements, an unreadable
        match covers everything, and an unreadable mode enforces.
    """
    try:
        return _compile(obj)
    except InvalidInputError as error:
        return _quarantine(obj, str(error))
    except Exception as error:  # noqa: BLE001 - a bug of ours must end in a quarantine, not in a policy that is missing
        return _quarantine(obj, f"cannot be compiled: {type(error).__name__}")


def effective_requirements(policy: Policy) -> tuple[str, ...]:
    """The types of the requirements that are in effect, as in the API, for ``status.effectiveRequirements``; none when broken."""
    names = {requirement.name for requirement in policy.on_workload}
    names |= {requirement.name for requirement in policy.on_reference}
    names |= {requirement.name for requirement in policy.on_statement}
    return tuple(kind for kind in REGISTRY if kind[:1].lower() + kind[1:] in names)


def _compile(obj: Mapping[str, Any]) -> Policy:
    found = read(api.KIND, obj)
    spec = found.spec
    built: dict[Subject, list[Any]] = {subject: [] for subject in Subject}
    for entry in spec.requirements:
        row = REGISTRY[entry.type]
        built[row.subject].append(row.build(entry))
    return Policy(
        name=found.name,
        mode=Mode(spec.mode),
        match=_match(spec.match),
        pending=Pending(spec.pending),
        unresolved=UnresolvedAction(spec.unresolved),
        enforce_after=None if spec.enforce_after_time is None else unix_time(spec.enforce_after_time),
        grace_seconds=spec.expired_grace_seconds,
        contact=spec.contact or "",
        on_workload=tuple(built[Subject.WORKLOAD]),
        on_reference=tuple(built[Subject.REFERENCE]),
        on_statement=tuple(built[Subject.STATEMENT]),
    )


def _match(match: api.Match) -> Match:
    namespaces = match.namespaces
    return Match(
        namespaces=frozenset(namespaces.names or () if namespaces is not None else ()),
        selector=compile_selector(namespaces.selector if namespaces is not None else None),
        models=globs(match.models),
        cluster_scoped=match.cluster_scoped,
    )


def _signature(signature: api.Signature) -> Signature:
    return Signature(
        any_of=tuple(
            Alternative(
                purpose=Purpose(alternative.purpose),
                signers=tuple(signer.name for signer in alternative.signers or ()),
                selector=compile_selector(alternative.signer_selector),
                threshold=alternative.threshold,
            )
            for alternative in signature.any_of
        ),
        minimum_assurance=Assurance.parse(signature.minimum_assurance),
        unsigned_paths=tuple(signature.unsigned_paths or ()),
    )


def _formats(formats: api.Formats) -> Formats:
    return Formats(
        allowed=frozenset(formats.allowed),
        remote_code=RemoteCode(formats.remote_code),
        templates=Templates(formats.templates),
        scope=Scope(formats.scope),
    )


def _evaluation(evaluation: api.Evaluation) -> Evaluation:
    return Evaluation(
        suites=tuple(suite.name for suite in evaluation.suites),
        max_age_seconds=evaluation.max_age_seconds,
        inconclusive=Inconclusive(evaluation.inconclusive),
    )


def _the(member: Any) -> Any:
    if member is None:
        raise InvalidInputError("got a requirement without its member")
    return member


def _quarantine(obj: Mapping[str, Any], why: str) -> Policy:
    """What can still be read of a broken policy: name, mode, match, date and contact, each by itself."""
    metadata, spec = obj.get("metadata"), obj.get("spec")
    fields: Mapping[str, Any] = spec if isinstance(spec, dict) else {}
    return Policy(
        name=_readable_name(metadata),
        mode=_readable_mode(fields.get("mode")),
        match=_readable_match(fields.get("match")),
        enforce_after=_readable_time(fields.get("enforceAfterTime")),
        contact=_readable_contact(fields.get("contact")),
        broken=why,
    )


def _readable_name(metadata: Any) -> str:
    try:
        return name_of(metadata)
    except (InvalidInputError, AttributeError):
        return UNNAMED


def _readable_mode(value: Any) -> Mode:
    return Mode(value) if isinstance(value, str) and value in {mode.value for mode in Mode} else Mode.ENFORCE


def _readable_match(value: Any) -> Match:
    try:
        return _match(read_part(api.Match, value, "spec.match"))
    except Exception:  # noqa: BLE001 - whatever is wrong with it: an unreadable match covers everything (attack M9)
        return Match(everything=True)


def _readable_time(value: Any) -> int | None:
    try:
        return unix_time(value) if isinstance(value, str) else None
    except InvalidInputError:
        return None


def _readable_contact(value: Any) -> str:
    return quote(value).strip('"') if isinstance(value, str) else ""
