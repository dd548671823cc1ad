"""Which ModelAttestations there are, so that a change of a signer, source or policy finds those it concerns."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from modeltrust.domain.globs import Glob


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as it was last seen.

    Attributes:
        uid: of the object.
        generation: of its spec.
        model: canonical reference without revision.
        marks: of its annotations and labels, compared for equality.
    """

    uid: str
    generation: int
    model: str
    marks: int = 0


class Index:
    """By (plural, name)."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def seen(self, key: tuple[str, str], entry: Entry) -> bool:
        """Remember an object; returns whether it is new, or more of it changed than its status.

        Without this, each status that we write would send us back to the object, past every back-off.
        """
        with self._changing:
            before = self._entries.get(key)
            self._entries[key] = entry
        return before != entry

    def find(self, key: tuple[str, str]) -> Entry | None:
        """As it was last seen."""
        return self._entries.get(key)

    def gone(self, key: tuple[str, str]) -> None:
        """Forget an object."""
        with self._changing:
            self._entries.pop(key, None)

    def of(self, plural: str) -> list[tuple[str, str]]:
        """Every key of one kind."""
        with self._changing:
            return [key for key in self._entries if key[0] == plural]

    def matching(self, plural: str, globs: Iterable[Glob]) -> list[tuple[str, str]]:
        """The keys of one kind whose model matches one of the patterns."""
        patterns = tuple(globs)
        with self._changing:
            entries = [(key, entry.model) for key, entry in self._entries.items() if key[0] == plural]
        return [key for key, model in entries if model and any(_matches(glob, model) for glob in patterns)]


def _matches(glob: Glob, model: str) -> bool:
    if "@" in glob.pattern:  # of one revision: every revision of the model is looked at, which costs little
        return Glob(glob.pattern.partition("@")[0], fold_case=glob.fold_case).matches(model)
    return glob.matches(model)
