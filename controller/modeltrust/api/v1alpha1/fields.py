"""Types of fields that several kinds share.

Reading is strict: unknown fields, nulls, numbers in strings and strings in numbers are refused, since a requirement that was
written must never vanish. Patterns stand in the schema too, so that the API server refuses what we refuse.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidReferenceError, ModelTrustError, quote
from modeltrust.domain.globs import check_glob
from modeltrust.domain.reference import parse_identity, parse_reference

PREFIX = "modeltrust.dev/"  # labels with it are guarded; others belong to whoever may edit a namespace (attack H16)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_GLOB_CHARACTERS = re.compile(r"[A-Za-z0-9._~:+=,!$&'()/@*-]+")
_SOME = ("x", "x/x", "x/x/x")  # what "**" may stand for
_MANY = tuple(f"{scheme}://{path}" for scheme in ("hf", "oci", "s3") for path in _SOME)  # where it begins the pattern
_HOSTED_GLOB = re.compile(r"(?:(?:oci|https?)|[^/]+\+https)://([^/]*)")


class Struct(BaseModel):
    """A JSON object with exactly the fields it names, in lower camel case."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


def problem(why: str, *, field: str = "") -> PydanticCustomError:
    """An error of our own: one sentence, and the field below the current one that it concerns."""
    return PydanticCustomError("modeltrust", "{why}", {"why": why, "field": field})


def checked(check: Callable[[str], object]) -> AfterValidator:
    """A validator that passes a string on when ``check`` raises none of our errors."""

    def validate(value: str) -> str:
        try:
            check(value)
        except ModelTrustError as error:
            raise problem(str(error)) from error
        return value

    return AfterValidator(validate)


def exactly_one(*names: str) -> Callable[[Struct], Struct]:
    """A validator of a Struct: one of the named optional fields is there, and no other; enforced in CEL too."""

    def validate(value: Struct) -> Struct:
        aliases = [to_camel(name) for name in names]
        present = [alias for name, alias in zip(names, aliases, strict=True) if getattr(value, name) is not None]
        if len(present) != 1:
            raise problem(f"got {' and '.join(present) or 'none of them'}, expected exactly one of {', '.join(aliases)}")
        return value

    return validate


def at_least_one(*names: str) -> Callable[[Struct], Struct]:
    """A validator of a Struct: at least one of the named optional fields is there; enforced in CEL too."""

    def validate(value: Struct) -> Struct:
        if all(getattr(value, name) is None for name in names):
            raise problem(f"got none of them, expected at least one of {', '.join(to_camel(name) for name in names)}")
        return value

    return validate


T = TypeVar("T")


def unique(values: list[T]) -> list[T]:
    """A validator of a list: no value twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise problem(f"got {quote(value)} twice, expected each value once")
    return values


def unique_by(key: str) -> Callable[[list[Any]], list[Any]]:
    """A validator of a ``map`` list: no key twice, as server-side apply demands."""

    def validate(entries: list[Any]) -> list[Any]:
        seen: set[str] = set()
        for entry in entries:
            value = getattr(entry, key)
            if value in seen:
                raise problem(f"got {key} {quote(value)} twice, expected each once")
            seen.add(value)
        return entries

    return validate


def list_map(*keys: str) -> dict[str, Any]:
    """Schema of a list whose entries are told apart by keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
LIST_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}


def cel(*rules: tuple[str, str]) -> dict[str, Any]:
    """Schema of rules that the API server checks: (expression, message)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


def cel_exactly_one(*names: str) -> tuple[str, str]:
    """The CEL rule of ``exactly_one``."""
    aliases = [to_camel(name) for name in names]
    return (" + ".join(f"(has(self.{a}) ? 1 : 0)" for a in aliases) + " == 1", f"exactly one of {', '.join(aliases)} is required")


def cel_at_least_one(*names: str) -> tuple[str, str]:
    """The CEL rule of ``at_least_one``."""
    aliases = [to_camel(name) for name in names]
    return (" || ".join(f"has(self.{a})" for a in aliases), f"at least one of {', '.join(aliases)} is required")


def unix_time(text: str) -> int:
    """Whole seconds since 1970 of an RFC 3339 time; fractions are dropped.

    Raises:
        InvalidReferenceError: never; see Raises of ``checked``: ModelTrustError for anything else than RFC 3339.
    """
    if not _RFC3339.fullmatch(text):
        raise InvalidReferenceError(f'got {quote(text)}, expected an RFC 3339 time such as "2027-01-15T00:00:00Z"')
    try:
        moment = datetime.fromisoformat(text)
        return int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise InvalidReferenceError(f"got {quote(text)}, expected a time that exists") from error


def check_model_glob(pattern: str) -> None:
    """Refuse a pattern that no canonical reference can match, with or without revision: a rule that silently does nothing.

    Raises:
        InvalidReferenceError: with what is wrong.
    """
    check_glob(pattern)
    if not _GLOB_CHARACTERS.fullmatch(pattern):
        raise InvalidReferenceError(f'got {quote(pattern)}, expected only characters of references, "*" and "**"')
    scheme, separator, rest = pattern.partition("://")
    if not separator and not pattern.startswith("**"):
        raise InvalidReferenceError(f'got {quote(pattern)}, expected a pattern such as "hf://owner/*", or "**"')
    if scheme != scheme.lower() and separator:
        raise InvalidReferenceError(f"got {quote(pattern)}, expected a scheme in lower case")
    path, at, revision = (rest if separator else pattern).partition("@")
    if any(part in {"", ".", ".."} for part in path.split("/")) or (at and not revision) or "@" in revision:
        raise InvalidReferenceError(f'got {quote(pattern)}, expected no empty, "." or ".." part and at most one revision')
    host = _HOSTED_GLOB.match(pattern)
    if host is not None and host.group(1) != host.group(1).lower():
        raise InvalidReferenceError(f"got {quote(pattern)}, expected a host in lower case")
    if not any(_is_reference(text) for text in _examples(pattern)):
        raise InvalidReferenceError(
            f"got {quote(pattern)}, which no canonical reference can match; "
            'expected a pattern such as "hf://owner/name", "oci://host/repository@tag" or "s3://bucket/**"'
        )


def _examples(pattern: str) -> Iterator[str]:
    """Texts that the pattern matches; enough kinds of them that one is canonical where any is."""
    body, at, revision = pattern.partition("@")
    for many, one in product(_MANY if body.startswith("**") else _SOME, ("x", "1")):
        text = body.replace("**", many).replace("*", one)
        # What a star in a revision stands for may be 40 digits or 64: no example is needed to know that there are some.
        yield text if "*" in revision else f"{text}{at}{revision}"


def _is_reference(text: str) -> bool:
    try:
        parse_reference(text)
    except InvalidReferenceError:
        return False
    return True


def check_reference(text: str) -> None:
    """Refuse what is no canonical reference, with or without revision."""
    parse_reference(text)


def check_pinned(text: str) -> None:
    """Refuse what is no canonical reference with an immutable revision."""
    parse_identity(text)


_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Name = Annotated[str, Field(min_length=1, max_length=limits.API_NAME_CHARACTERS, pattern=_NAME)]
EntryName = Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS, pattern=_LABEL)]
Namespace = EntryName
Text = Annotated[str, Field(min_length=1, max_length=limits.API_TEXT_CHARACTERS, pattern=_PRINTABLE)]
Url = Annotated[str, Field(min_length=9, max_length=limits.API_URL_CHARACTERS, pattern=r"^https://[^\s?#@\\*]+$")]
Sha256 = Annotated[str, Field(min_length=71, max_length=71, pattern=r"^sha256:[0-9a-f]{64}$"), checked(ContentDigest.parse)]
Fingerprint = Annotated[str, Field(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[
    str, Field(min_length=20, max_length=limits.API_TIME_CHARACTERS, json_schema_extra={"format": "date-time"}), checked(unix_time)
]
_GLOB: dict[str, Any] = {"pattern": r"^[A-Za-z0-9._~:+=,!$&'()/@*-]+$"}  # in the schema only: our own sentence says more
_REFERENCE: dict[str, Any] = {"pattern": r"^[a-z][a-z0-9]*(\+https)?://[A-Za-z0-9._~:+=,!$&'()/@-]+$"}
_PINNED: dict[str, Any] = {
    "pattern": r"^[a-z][a-z0-9]*(\+https)?://[A-Za-z0-9._~:+=,!$&'()/-]+@([0-9a-f]{40}|sha256:[0-9a-f]{64})$"
}
ModelGlob = Annotated[
    str, Field(min_length=1, max_length=limits.GLOB_CHARACTERS, json_schema_extra=_GLOB), checked(check_model_glob)
]
ModelGlobs = Annotated[
    list[ModelGlob], Field(min_length=1, max_length=limits.API_GLOBS, json_schema_extra=LIST_SET), AfterValidator(unique)
]
Reference = Annotated[
    str, Field(min_length=4, max_length=limits.REFERENCE_CHARACTERS, json_schema_extra=_REFERENCE), checked(check_reference)
]
PinnedReference = Annotated[
    str, Field(min_length=4, max_length=limits.REFERENCE_CHARACTERS, json_schema_extra=_PINNED), checked(check_pinned)
]
LabelKey = Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_KEY_CHARACTERS, pattern=_LABEL_KEY)]
LabelValue = Annotated[str, Field(max_length=limits.API_LABEL_CHARACTERS, pattern=_LABEL_VALUE)]
Positive = Annotated[int, Field(ge=1, le=2**53)]


class NamedObject(Struct):
    """A reference to another object of ours, by name."""

    name: Name


class Expression(Struct):
    """One metav1.LabelSelectorRequirement."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: (
        Annotated[list[LabelValue], Field(min_length=1, max_length=limits.API_SELECTOR_TERMS, json_schema_extra=LIST_ATOMIC)] | None
    ) = None

    @model_validator(mode="after")
    def _values_fit(self) -> "Expression":
        if (self.operator in {"In", "NotIn"}) != (self.values is not None):
            raise problem(f"got operator {self.operator} {'without' if self.values is None else 'with'} values", field="values")
        return self


class Selector(Struct):
    """A metav1.LabelSelector that selects something: an empty one is refused, never "everything"."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=limits.API_SELECTOR_TERMS)] | None = None
    match_expressions: (
        Annotated[list[Expression], Field(min_length=1, max_length=limits.API_SELECTOR_TERMS, json_schema_extra=LIST_ATOMIC)] | None
    ) = None

    model_config = ConfigDict(json_schema_extra=cel(cel_at_least_one("match_labels", "match_expressions")))
    _selects = model_validator(mode="after")(at_least_one("match_labels", "match_expressions"))

    def keys(self) -> list[str]:
        """Every label key that it reads."""
        return [*(self.match_labels or {}), *(expression.key for expression in self.match_expressions or [])]


class Condition(Struct):
    """A metav1.Condition."""

    type: Annotated[str, Field(min_length=1, max_length=316, pattern=_LABEL_KEY)]
    status: Literal["True", "False", "Unknown"]
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    last_transition_time: Time
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, Field(max_length=32768)]


class Status(Struct):
    """What every status holds: Ready, and kstatus' Reconciling and Stalled."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))] | None = None
