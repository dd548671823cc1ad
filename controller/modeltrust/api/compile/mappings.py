"""ModelReferenceMapping, from what is written to what extraction runs. One that cannot be used is quarantined, never dropped.

Its tests are run here, wherever it is compiled: webhook, operator and command line find out for themselves whether they hold, so
that nobody who may write a status can switch a mapping on or off (docs/adr/0008).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modeltrust.api.compile.reading import name_of, read
from modeltrust.api.v1alpha1 import model_reference_mapping as api
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, quote
from modeltrust.domain.reference import NO_REVISION, parse_reference
from modeltrust.domain.workload import FoundReference, Role, Workload
from modeltrust.references.actions import Action
from modeltrust.references.extract import Extractor
from modeltrust.references.mappings import EVERY_KIND, KindMapping, by_kind, reference_action, template_action

UNNAMED = "(unnamed)"


class UnprovenError(InvalidInputError):
    """A test of a mapping does not hold: what it expects is not found."""


def check_mapping(obj: Mapping[str, Any], extractor: Extractor) -> KindMapping:
    """Compile a ModelReferenceMapping, or refuse one that would be quarantined.

    Args:
        obj: the object.
        extractor: reads the objects of its tests, with this mapping and no other.

    Raises:
        InvalidInputError: with the path of what is wrong, a test that does not hold included.
    """
    found = read(api.KIND, obj)
    spec = found.spec
    mapping = KindMapping(found.name, spec.match.group, tuple(spec.match.kinds), tuple(_actions(spec, extractor)))
    taught = extractor.taught(lambda: by_kind([mapping]))
    size = 0
    for index, test in enumerate(spec.tests):
        where = f"spec.tests[{index}]"
        data = _encoded(test.object, f"{where}.object")
        size += len(data)
        if size > limits.MAPPING_TEST_BYTES:
            raise InvalidInputError(f"{where}: got tests of more than {limits.MAPPING_TEST_BYTES} bytes, expected smaller objects")
        _check_kind(test.object, mapping, f"{where}.object")
        _check_found(test.expect, _extracted(taught, data, f"{where}.object"), where)
    return mapping


def compile_mapping(obj: Mapping[str, Any], extractor: Extractor) -> KindMapping:
    """Compile a ModelReferenceMapping. Never raises.

    Returns:
        The mapping; with ``broken`` set where it cannot be used: then it stands for the kinds that can be read of it, every kind of
        its group where none can, and nothing where the group is one that no mapping may name.
    """
    try:
        return check_mapping(obj, extractor)
    except InvalidInputError as error:
        return _quarantine(obj, str(error))
    except Exception as error:  # noqa: BLE001 - a bug of ours must end in a quarantine, not in a mapping that is missing
        return _quarantine(obj, f"cannot be compiled: {type(error).__name__}")


def _actions(spec: api.ModelReferenceMappingSpec, extractor: Extractor) -> Iterator[Action]:
    profiles = extractor.tables.profiles
    for index, row in enumerate(spec.refs or ()):
        try:
            yield reference_action(row.path, Role(row.role.lower()), row.uri_profile, profiles)
        except InvalidInputError as error:
            raise InvalidInputError(f"spec.refs[{index}].{error}") from error
    for index, template in enumerate(spec.pod_templates or ()):
        try:
            yield template_action(template.path)
        except InvalidInputError as error:
            raise InvalidInputError(f"spec.podTemplates[{index}].{error}") from error


def _check_kind(obj: Mapping[str, Any], mapping: KindMapping, where: str) -> None:
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    if group != mapping.group or obj.get("kind") not in mapping.kinds:
        shown = f"{quote(obj.get('apiVersion'))} {quote(obj.get('kind'))}"
        raise InvalidInputError(f"{where}: got {shown}, expected an object of {mapping.group} and of spec.match.kinds")


def _encoded(obj: Mapping[str, Any], where: str) -> bytes:
    try:
        return msgspec.json.encode(obj)
    except RecursionError as error:
        raise InvalidInputError(f"{where}: got an object that is nested too deep") from error


def _extracted(extractor: Extractor, data: bytes, where: str) -> Workload:
    try:
        return extractor.extract(data)
    except ModelTrustError as error:
        raise InvalidInputError(f"{where}: {error}") from error


def _check_found(expected: list[str], workload: Workload, where: str) -> None:
    for index, text in enumerate(expected):
        if not any(_is(text, found) for found in workload.references):
            raise UnprovenError(f"{where}.expect[{index}]: got {_shown(workload)}, expected {quote(text)}")


def _is(text: str, found: FoundReference) -> bool:
    reference, revision = parse_reference(text)
    return found.reference == reference and revision in {NO_REVISION, found.revision}


def _shown(workload: Workload) -> str:
    """What was found instead, as much of it as people read."""
    found = [f"{r.reference.text}@{r.revision.value}" if r.revision.value else r.reference.text for r in workload.references]
    said = [quote(name) for name in found] or ["no reference"]
    said += [f"{entry.reason.value} ({entry.message})" for entry in workload.unresolved]
    more = len(said) - limits.API_PROBLEMS
    return " and ".join(said[: limits.API_PROBLEMS]) + (f" and {more} more" if more > 0 else "")


def _quarantine(obj: Mapping[str, Any], why: str) -> KindMapping:
    match = _member(_member(obj, "spec"), "match")
    group, kinds = match.get("group"), match.get("kinds")
    try:
        api.check_group(group if isinstance(group, str) else "")
    except ModelTrustError:
        group = ""
    named = tuple(dict.fromkeys(kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)))
    return KindMapping(_readable_name(obj), str(group), named or (EVERY_KIND,), broken=why)


def _member(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _readable_name(obj: Mapping[str, Any]) -> str:
    try:
        return name_of(_member(obj, "metadata"))
    except ModelTrustError:
        return UNNAMED
