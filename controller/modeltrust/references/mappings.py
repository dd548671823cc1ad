"""ModelReferenceMappings, compiled: what objects of kinds taught by configuration load, beside what the rows say.

A mapping adds references and findings and takes none away. One that cannot be used adds a finding to every object of the kinds
that it names: somebody said that models stand there, and nobody can read them (docs/mappings.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.domain.workload import Role
from modeltrust.references.actions import Action, Do
from modeltrust.references.paths import Path, parse_path
from modeltrust.references.schema import ProfileRow, RefRow

EVERY_KIND = "*"
_NOT_COMPARED = frozenset({"metadata", "status"})  # of an update: what stands there could change unjudged (attack C2)
_HEADER = frozenset({"apiVersion", "kind"})


@dataclass(frozen=True, slots=True)
class KindMapping:
    """One ModelReferenceMapping, ready for use.

    Attributes:
        name: of the object.
        group: API group; empty where not even that can be read, so that it stands for nothing.
        kinds: names of kinds; ``EVERY_KIND`` for all of the group, in a broken one whose kinds cannot be read.
        actions: what stands where; empty in a broken one.
        broken: why it cannot be used; empty where it can.
    """

    name: str
    group: str
    kinds: tuple[str, ...]
    actions: tuple[Action, ...] = ()
    broken: str = ""


Mapped = Mapping[tuple[str, str], tuple[KindMapping, ...]]
NOTHING_MAPPED: Mapped = MappingProxyType({})


def nothing_mapped() -> Mapped:
    """No mappings."""
    return NOTHING_MAPPED


def by_kind(mappings: Iterable[KindMapping]) -> Mapped:
    """Mappings by (group, kind); several of one kind are united, in the order of their names."""
    found: dict[tuple[str, str], tuple[KindMapping, ...]] = {}
    for mapping in sorted(mappings, key=lambda mapping: mapping.name):
        for kind in mapping.kinds if mapping.group else ():
            found[mapping.group, kind] = (*found.get((mapping.group, kind), ()), mapping)
    return MappingProxyType(found)


def mappings_of(mapped: Mapped, group: str, kind: str) -> tuple[KindMapping, ...]:
    """The mappings that concern a kind, in any version."""
    return mapped.get((group, kind), ()) + mapped.get((group, EVERY_KIND), ())


def reference_action(path: str, role: Role, profile: str, profiles: Mapping[str, ProfileRow]) -> Action:
    """One row of ``spec.refs``.

    Args:
        path: JSONPath.
        role: what stands there is used for.
        profile: whose grammar, as people write it: ``BareHF``.
        profiles: by name, as the tables have it: ``bare-hf``.

    Raises:
        InvalidInputError: no such profile, or a path that no mapping may have.
    """
    known = {name.replace("-", ""): name for name in profiles}
    name = known.get(profile.lower())
    if name is None:
        raise InvalidInputError(f"uriProfile: got {quote(profile)}, expected one of {', '.join(sorted(map(camel, profiles)))}")
    return Action(Do.REF, _path(path), RefRow(path=path, role=role, profile=name))


def template_action(path: str) -> Action:
    """One row of ``spec.podTemplates``.

    Raises:
        InvalidInputError: a path that no mapping may have.
    """
    return Action(Do.POD_TEMPLATE, _path(path))


def camel(profile: str) -> str:
    """A profile as people write it: ``bare-hf`` is ``BareHF``."""
    return "".join(_SPELT.get(part, part.capitalize()) for part in profile.split("-"))


_SPELT = {"hf": "HF", "kserve": "KServe", "kubeai": "KubeAI", "aibrix": "AIBrix", "nim": "NIM", "ome": "OME", "ovms": "OVMS",
          "url": "URL", "pvc": "PVC", "llamacpp": "LlamaCpp", "localai": "LocalAI", "modelscope": "ModelScope",
          "torchserve": "TorchServe", "kaito": "KAITO"}  # fmt: skip


def _path(text: str) -> Path:
    path = parse_path(text)
    first = path.steps[0].names if path.steps and not path.steps[0].deep else ()
    refused = sorted((_NOT_COMPARED | _HEADER).intersection(first))
    if not first or refused:
        found = refused[0] if refused else text
        raise InvalidInputError(
            f"path: got {quote(found)} at the top of the object, expected a field by its name outside metadata and status, "
            "which updates may change unjudged"
        )
    return path
