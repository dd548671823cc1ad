"""What a reconciliation may know besides its object: trust as of one moment, our keys, and how evaluations ended."""

from collections.abc import Callable

from modeltrust.domain.evidence import EvaluationVerdict
from modeltrust.domain.reference import Identity
from modeltrust.operator.keys import Keys
from modeltrust.policy.policy import Policy, Trust
from modeltrust.store.store import Store

Evaluations = Callable[[Identity], tuple[EvaluationVerdict, ...] | None]


class ClusterState:
    """The store, the keys, and whoever runs evaluations."""

    def __init__(self, store: Store, keys: Keys, evaluations: Evaluations = lambda _identity: None) -> None:
        """Join the parts.

        Args:
            store: what decides.
            keys: that sign.
            evaluations: verdicts that are to be stated about a model; None: those of the last statement.
        """
        self._store = store
        self._keys = keys
        self._evaluations = evaluations

    def trust(self, now: int) -> tuple[Trust, tuple[Policy, ...]]:
        """Signers, revocations and policies of one moment."""
        snapshot = self._store.snapshot()
        return self._store.trust(snapshot, now), snapshot.policies

    def ours(self, key: str) -> bool:
        """Whether a signing key is one that we hold."""
        return self._keys.ours(key)

    def evaluations(self, identity: Identity) -> tuple[EvaluationVerdict, ...] | None:
        """The verdicts that are to be stated about a model; None: those of the last statement."""
        return self._evaluations(identity)
