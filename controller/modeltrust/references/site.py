"""Where words are read: a container, its Pod's volumes, and what else decides how they are read."""

import msgspec

from modeltrust.references.mentions import Mention
from modeltrust.references.places import Place
from modeltrust.references.pod import Container, Volume
from modeltrust.references.tables import Program


class Pending(msgspec.Struct, gc=False):
    """A path reference that waits until every container has been read."""

    mention: Mention
    path: str
    place: Place | None
    accelerated: bool


class Fill(msgspec.Struct, gc=False):
    """Something written by a container, or by the controller, before the server starts."""

    place: Place | None
    path: str


class Volumes(msgspec.Struct, gc=False):
    """The volumes of one Pod.

    Attributes:
        pointer: of the list of volumes.
        by_name: volume and its index in the list.
        fills: what containers and controllers write.
        pending: path references to link at the end.
        linked: volumes that a path reference already accounts for.
        outliving: volumes whose content may be older than the Pod.
    """

    pointer: str = ""
    by_name: dict[str, tuple[Volume, int]] = {}
    fills: list[Fill] = []
    pending: list[Pending] = []
    linked: set[str] = set()
    outliving: set[str] = set()


class Site(msgspec.Struct, gc=False):
    """A container in its Pod.

    Attributes:
        container: what runs.
        pointer: of the container.
        volumes: of its Pod.
        accelerated: whether it asks for an accelerator.
        hint: its program when neither command nor image tell.
        implied: whether its command is complete, so that a program's default model counts.
    """

    container: Container
    pointer: str
    volumes: Volumes
    accelerated: bool = False
    hint: Program | None = None
    implied: bool = True
