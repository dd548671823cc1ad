"""Strict reading of one object of ours into its model, with the path of whatever is wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from modeltrust.api.v1alpha1.fields import Struct, unix_time
from modeltrust.api.v1alpha1.kind import API_VERSION, Kind
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote

S = TypeVar("S", bound=Struct)

_TOP_LEVEL = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "string_unicode": "valid Unicode",
    "int_from_float": "a whole number",
}


@dataclass(frozen=True, slots=True)
class Read(Generic[S]):
    """One object that was read strictly.

    Attributes:
        name: metadata.name.
        labels: metadata.labels.
        created: metadata.creationTimestamp in unix seconds, None where a file states none.
        spec: the validated spec.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    created: int | None
    spec: S


def read(kind: Kind[S], obj: Mapping[str, Any]) -> Read[S]:
    """Read an object of one kind; the status is ours and not looked at.

    Raises:
        InvalidInputError: ``spec.keyless.identities[0].issuer: got …, expected …``.
    """
    if obj.get("apiVersion") != API_VERSION or obj.get("kind") != kind.name:
        raise InvalidInputError(
            f"kind: got {_shown(obj.get('apiVersion'))} {_shown(obj.get('kind'))}, expected {API_VERSION} {kind.name}"
        )
    unknown = sorted(str(key) for key in obj.keys() - _TOP_LEVEL)
    if unknown:
        raise InvalidInputError(f"{_segment(unknown[0])[1:]}: got an unknown field, expected apiVersion, kind, metadata and spec")
    metadata = read_map(obj, "metadata")
    return Read(
        name=name_of(metadata),
        labels=_labels(metadata),
        created=_created(metadata),
        spec=read_part(kind.spec, read_map(obj, "spec"), "spec"),
    )


def read_part(model: type[S], value: Any, path: str) -> S:
    """Read one part of an object.

    Args:
        model: what it must be.
        value: what was written.
        path: where it stands, the beginning of every message.

    Raises:
        InvalidInputError: it is something else; names up to three problems.
    """
    _refuse_nulls(value, path)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [_sentence(path, item) for item in error.errors(include_url=False)]
        shown = "; ".join(problems[: limits.API_PROBLEMS])
        more = len(problems) - limits.API_PROBLEMS
        raise InvalidInputError(shown + (f"; and {more} more" if more > 0 else "")) from error


def read_map(obj: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A member that must be a map.

    Raises:
        InvalidInputError: it is missing or something else.
    """
    value = obj.get(key)
    if not isinstance(value, dict):
        raise InvalidInputError(f"{key}: got {_shown(value)}, expected a map")
    return value


def name_of(metadata: Mapping[str, Any]) -> str:
    """metadata.name.

    Raises:
        InvalidInputError: it is missing or not a name that the API server accepts.
    """
    name = metadata.get("name")
    if not isinstance(name, str) or len(name) > limits.API_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise InvalidInputError(f"metadata.name: got {_shown(name)}, expected a DNS subdomain in lower case")
    return name


def _labels(metadata: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    labels = metadata.get("labels")
    if labels is None:
        return ()
    if not isinstance(labels, dict):
        raise InvalidInputError(f"metadata.labels: got {_shown(labels)}, expected a map")
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidInputError(f"metadata.labels: got {quote(key)}: {_shown(value)}, expected strings")
    return tuple(sorted(labels.items()))


def _created(metadata: Mapping[str, Any]) -> int | None:
    created = metadata.get("creationTimestamp")
    if created is None:
        return None
    if not isinstance(created, str):
        raise InvalidInputError(f"metadata.creationTimestamp: got {_shown(created)}, expected an RFC 3339 time")
    try:
        return unix_time(created)
    except InvalidInputError as error:
        raise InvalidInputError(f"metadata.creationTimestamp: {error}") from error


def _refuse_nulls(value: Any, path: str) -> None:
    """A null is dropped by the API server without a word, and with it what somebody meant to write there."""
    pending = [(value, path)]
    for _ in range(limits.API_SPEC_NODES):
        if not pending:
            return
        item, where = pending.pop()
        if item is None:
            raise InvalidInputError(f"{where}: got null, expected a value or no such field")
        if isinstance(item, dict):
            pending.extend((child, where + _segment(key)) for key, child in item.items())
        elif isinstance(item, list):
            pending.extend((child, f"{where}[{index}]") for index, child in enumerate(item))
    raise InvalidInputError(f"{path}: got more than {limits.API_SPEC_NODES} values")


def _sentence(path: str, item: Any) -> str:
    kind, context = item["type"], item.get("ctx") or {}
    where = path + "".join(_segment(part) for part in item["loc"] if part != "[key]")
    if kind == "modeltrust":
        return f"{where}{_segment(context['field']) if context['field'] else ''}: {context['why']}"
    if kind == "missing":
        return f"{where}: got nothing, expected this field"
    if kind == "extra_forbidden":
        return f"{where}: got an unknown field"
    return f"{where}: got {_shown(item['input'])}, expected {_expected(kind, item['msg'], context)}"


def _expected(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "string_pattern_mismatch":
        return f"what matches {context['pattern']}"
    lowered = message[:1].lower() + message[1:]
    return lowered.removeprefix("input should be ").replace(" should have ", " of ")


def _segment(part: object) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    text = str(part)
    return f".{text}" if _PLAIN_KEY.fullmatch(text) else f"[{quote(text)}]"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else quote(value).strip('"')
    if isinstance(value, dict):
        return "a map" if value else "an empty map"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else quote(type(value).__name__)
