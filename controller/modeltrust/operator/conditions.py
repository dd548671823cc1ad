"""metav1 conditions, and statuses that are written only when they say something else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modeltrust.domain import limits
from modeltrust.kube.client import Object
from modeltrust.policy.wording import moment

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"


@dataclass(frozen=True, slots=True)
class Condition:
    """What holds.

    Attributes:
        type: ``Ready`` …
        status: ``True``, ``False`` or ``Unknown``.
        reason: CamelCase; what went wrong has its word from ``domain.reasons``.
        message: one or two sentences.
    """

    type: str
    status: str
    reason: str
    message: str = ""


def conditions(status: Mapping[str, Any], wanted: Iterable[Condition], *, generation: int, now: int) -> list[Object]:
    """Conditions as the API has them; the time of a transition changes with the status alone.

    Args:
        status: the object's status until now.
        wanted: what holds now.
        generation: of the object that was looked at.
        now: unix seconds.
    """
    before = {entry.get("type"): entry for entry in status.get("conditions") or () if isinstance(entry, dict)}
    return [_entry(condition, before.get(condition.type), generation, now) for condition in wanted]


def _entry(condition: Condition, before: Mapping[str, Any] | None, generation: int, now: int) -> Object:
    same = before is not None and before.get("status") == condition.status and before.get("lastTransitionTime")
    return {
        "type": condition.type,
        "status": condition.status,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same and before is not None else moment(now),
        "reason": condition.reason,
        "message": condition.message[: limits.CONDITION_CHARACTERS],
    }


def ready(*, why: str = "", reason: str = "", message: str = "") -> tuple[Condition, ...]:
    """Ready, and with ``why`` not: then nothing changes until somebody changes the object, which kstatus calls Stalled.

    Args:
        why: what is wrong; empty where nothing is.
        reason: of either.
        message: where nothing is wrong.
    """
    if why:
        return Condition(READY, FALSE, reason, why), Condition(STALLED, TRUE, reason, why)
    return (Condition(READY, TRUE, reason, message),)


def changed(status: Mapping[str, Any], wanted: Mapping[str, Any], *, foreign: frozenset[str] = frozenset()) -> bool:
    """Whether a status says something else than it should.

    Args:
        status: as the API server has it.
        wanted: every field that we write.
        foreign: fields that somebody else writes.
    """
    ours = {key: value for key, value in status.items() if key not in foreign}
    return ours != dict(wanted)
