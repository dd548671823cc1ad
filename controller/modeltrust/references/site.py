"""Where words are read: a container, its Pod's volumes, and what else decides how they are read."""

from dataclasses import dataclass

from modeltrust.references.mentions import Mention
from modeltrust.references.pod import Container, Volume
from modeltrust.references.tables import Program


@dataclass(slots=True)
class Place:
    """Where a path of a container really is.

    Attributes:
        volume: name of the volume.
        path: path inside it, without leading or trailing slash.
    """

    volume: str
    path: str


@dataclass(slots=True)
class Pending:
    """A path reference that waits until every container has been read."""

    mention: Mention
    path: str
    place: Place | None
    accelerated: bool


@dataclass(slots=True)
class Fill:
    """Something written by a container, or by the controller, before the server starts."""

    place: Place | None
    path: str


class Volumes:
    """The volumes of one Pod.

    Attributes:
        pointer: of the list of volumes.
        by_name: volume and its index in the list.
        fills: what containers and controllers write.
        pending: path references to link at the end.
        linked: volumes that a path reference already accounts for.
        outliving: volumes whose content may be older than the Pod.
    """

    __slots__ = ("by_name", "fills", "linked", "outliving", "pending", "pointer")

    def __init__(self, supplied: tuple[str, ...] = (), pointer: str = "") -> None:
        self.pointer = pointer
        self.by_name: dict[str, tuple[Volume, int]] = {}
        self.fills = [Fill(None, path) for path in supplied] if supplied else []
        self.pending: list[Pending] = []
        self.linked: set[str] = set()
        self.outliving: set[str] = set()


class Site:
    """A container in its Pod.

    Attributes:
        container: what runs.
        pointer: of the container.
        volumes: of its Pod.
        accelerated: whether it asks for an accelerator.
        hint: its program when neither command nor image tell.
        implied: whether its command is complete, so that a program's default model counts.
    """

    __slots__ = ("accelerated", "container", "hint", "implied", "pointer", "volumes")

    def __init__(self, container: Container, pointer: str, volumes: Volumes) -> None:
        self.container = container
        self.pointer = pointer
        self.volumes = volumes
        self.accelerated = False
        self.hint: Program | None = None
        self.implied = True
