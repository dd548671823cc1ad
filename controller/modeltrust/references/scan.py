"""One extraction: what it reads with, what it may still spend, and the notebook of what it has found."""

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import ModelReference, Revision
from modeltrust.domain.workload import Confidence, FoundImage, FoundReference, Placed, Unresolved
from modeltrust.references.budget import Budget
from modeltrust.references.places import Place
from modeltrust.references.tables import Tables

_INFERRED = Confidence.INFERRED
_VALUE_CHARACTERS = limits.QUOTED_CHARACTERS


class Scan(Budget):
    """The state of one extraction, handed to everything that reads; readers themselves have none.

    Attributes:
        tables: what is known.
        namespace: of the object; empty for cluster-scoped ones.
        references: what was found, keyed by reference, revision and role so that the first place stands for all.
        unresolved: what cannot be named, keyed by (reason, locator, value).
        images: container images in order.
        inference: an engine, a downloader or a serving kind was seen.
        accelerators: a container asks for an accelerator.
        placed: where containers of a Pod write or read each model.
        paths: volume and path of what is read there.
    """

    __slots__ = ("accelerators", "images", "inference", "namespace", "paths", "placed", "references", "tables", "unresolved")

    def __init__(self, tables: Tables, namespace: str) -> None:
        super().__init__()
        self.tables = tables
        self.namespace = namespace
        self.references: dict[str, FoundReference] = {}
        self.unresolved: dict[tuple[Reason, str, str], Unresolved] = {}
        self.images: list[FoundImage] = []
        self.inference = False
        self.accelerators = False
        self.placed: list[Placed] = []
        self.paths: list[tuple[str, str]] = []

    def place(self, reference: ModelReference, revision: Revision, place: Place | None) -> None:
        """Keep where a model lies in a Pod; in no volume where there is no place."""
        key = f"{reference.text}@{revision.value}" if revision.value else reference.text
        self.placed.append(Placed(key, "", "") if place is None else Placed(key, place.volume, place.path))

    def add(self, found: FoundReference) -> None:
        """Keep a reference.

        Raises:
            LimitExceededError: too many.
        """
        # One string: hashing or formatting an enumeration, or a dataclass, would cost more than everything else here.
        key = " ".join((found.role, found.reference.text, found.revision.value))  # noqa: FLY002 - a string would format the enumeration
        known = self.references.get(key)
        if known is None:
            if len(self.references) >= limits.EXTRACT_REFERENCES:
                raise LimitExceededError(f"got more than {limits.EXTRACT_REFERENCES} references in one object")
            self.references[key] = found
        elif known.confidence is _INFERRED is not found.confidence:
            self.references[key] = found

    def problem(self, reason: Reason, locator: str, message: str, *, value: str = "", fix: str = "") -> None:
        """Keep something that cannot be named.

        Raises:
            LimitExceededError: too many.
        """
        shown = value if len(value) <= _VALUE_CHARACTERS else value[: _VALUE_CHARACTERS - 1] + "…"
        key = (reason, locator, shown)
        if key in self.unresolved:
            return
        if len(self.unresolved) >= limits.EXTRACT_FINDINGS:
            raise LimitExceededError(f"got more than {limits.EXTRACT_FINDINGS} findings in one object")
        self.unresolved[key] = Unresolved(reason, locator, message, shown, fix)

    @property
    def empty(self) -> bool:
        """Whether nothing at all was found."""
        return not self.references and not self.unresolved
