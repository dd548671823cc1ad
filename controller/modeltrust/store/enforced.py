"""What if every policy were enforced now? The same store, read so: for counts that are seen before anybody enforces."""

from dataclasses import replace

from modeltrust.policy.policy import Mode, Trust
from modeltrust.references.mappings import Mapped
from modeltrust.store.store import Snapshot, Store


class Enforced(Store):
    """A view of another store in which each policy is in mode Enforce, from now on; it is never fed itself."""

    def __init__(self, store: Store) -> None:
        """Look at a store.

        Args:
            store: read at each question.
        """
        self._of = store
        self._seen: tuple[Snapshot, Snapshot] | None = None
        self.statements = store.statements
        self.freshness = store.freshness

    def snapshot(self) -> Snapshot:
        """The small kinds as they are now, each policy enforced."""
        real, seen = self._of.snapshot(), self._seen
        if seen is None or seen[0] is not real:
            policies = tuple(replace(policy, mode=Mode.ENFORCE, enforce_after=None) for policy in real.policies)
            seen = self._seen = (real, replace(real, policies=policies))
        return seen[1]

    def mapped(self) -> Mapped:
        """Kinds that mappings teach, as they are now."""
        return self._of.mapped()

    def trust(self, snapshot: Snapshot, now: int) -> Trust:
        """Everything that a judgement may read, as of now."""
        return self._of.trust(snapshot, now)
