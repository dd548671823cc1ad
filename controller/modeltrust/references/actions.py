"""What the rows of a kind ask for, as one list of (path, what to do there)."""

from dataclasses import dataclass
from enum import StrEnum

from modeltrust.references.paths import Path, parse_path
from modeltrust.references.schema import KindRow, RefRow


class Do(StrEnum):
    """What stands at a place."""

    REF = "ref"
    POD_TEMPLATE = "podTemplate"
    POD_SPEC = "podSpec"
    CONTAINER = "container"
    VIRTUAL = "virtual"
    ENV_LIST = "envList"
    ENV_MAP = "envMap"
    ARGV = "argv"
    FLAG_MAP = "flagMap"
    SHELL = "shell"
    VOLUME = "volume"
    ANNOTATIONS = "annotations"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Action:
    """One row of a kind.

    Attributes:
        do: what stands there.
        path: where.
        ref: the row, for a reference.
        program: name of the program whose options or variables stand there, or of a document's topic.
    """

    do: Do
    path: Path
    ref: RefRow | None = None
    program: str = ""


def actions(row: KindRow) -> tuple[Action, ...]:
    """All actions of a kind, references first: they say what the controller puts into the containers.

    Raises:
        InvalidInputError: a path is outside the subset.
    """
    found = [Action(Do.REF, parse_path(ref.path), ref) for ref in row.refs]
    for do, paths in (
        (Do.ANNOTATIONS, row.annotations),
        (Do.POD_TEMPLATE, row.pod_templates),
        (Do.POD_SPEC, row.pod_specs),
        (Do.ENV_LIST, row.env_lists),
        (Do.SHELL, row.shell),
        (Do.VOLUME, row.volumes),
    ):
        found += [Action(do, parse_path(path)) for path in paths]
    for do, places in (
        (Do.CONTAINER, row.containers),
        (Do.VIRTUAL, row.virtual),
        (Do.ENV_MAP, row.env_maps),
        (Do.ARGV, row.argv),
        (Do.FLAG_MAP, row.flag_maps),
    ):
        found += [Action(do, parse_path(place.path), program=place.program) for place in places]
    found += [Action(Do.DOCUMENT, parse_path(document.path), program=document.topic) for document in row.documents]
    return tuple(found)
