"""The state of watches in an EvaluationSuite's status: a few numbers, as strings, since the API has no floats.

Whoever may write a status could quieten a stream; only the operator may (its Role), and a watch that cannot be read begins anew.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from modeltrust.domain import limits
from modeltrust.evaluation.eprocess import CANARY_TOLERANCE, IDENTITY_TOLERANCE, SHARES, Stream
from modeltrust.evaluation.monitor import Watch
from modeltrust.operator.monitoring import COMMITTED, RUNNING, WAITING, Monitored
from modeltrust.policy.wording import moment

_NOTHING = "none"  # a bettor that has not started yet
_LARGEST = 1e9  # a logarithm of capital beyond it is no capital


def monitored_of(status: Mapping[str, Any]) -> dict[str, Monitored]:
    """The watches that a status tells of, by model; what cannot be read begins anew."""
    found = {}
    entries = status.get("monitors")
    for entry in entries if isinstance(entries, list) else ():
        try:
            one = _read(entry)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
            continue
        found[one.model] = one
    return found


def described(monitored: Iterable[Monitored]) -> list[dict[str, Any]]:
    """The watches as a status tells of them."""
    return [_written(one) for one in monitored][: limits.MONITOR_SERVICES]


def _written(one: Monitored) -> dict[str, Any]:
    watch = one.watch
    return {
        "model": one.model,
        "suiteHash": one.suite_hash,
        "fingerprint": watch.fingerprint,
        "level": watch.level.value,
        "alarmed": watch.alarmed,
        "rounds": watch.rounds,
        "number": one.number,
        "commitment": one.commitment,
        "state": one.state,
        "message": one.message,
        "silentRounds": one.silent,
        "dueTime": moment(one.due),
        "identity": _stream(watch.identity),
        "canaries": [{"name": name, **_stream(stream)} for name, stream in watch.canaries],
    }


def _stream(stream: Stream) -> dict[str, Any]:
    return {
        "probes": stream.probes,
        "logCapitals": [_NOTHING if value == -math.inf else f"{value:.6f}" for value in stream.log_capitals],
    }


def _read(entry: Mapping[str, Any]) -> Monitored:
    canaries = tuple((_text(one["name"]), _read_stream(one, CANARY_TOLERANCE)) for one in entry.get("canaries") or ())
    identity = _read_stream(entry["identity"], IDENTITY_TOLERANCE)
    if entry["state"] not in (WAITING, COMMITTED, RUNNING):
        raise ValueError("another state")
    watch = Watch(_text(entry["fingerprint"]), identity, canaries, _count(entry["rounds"]), alarmed=entry["alarmed"] is True)
    return Monitored(
        model=_text(entry["model"]),
        suite_hash=_text(entry["suiteHash"]),
        watch=watch,
        number=_count(entry["number"]),
        commitment=_text(entry.get("commitment", "")),
        state=entry["state"],
        due=int(datetime.fromisoformat(entry["dueTime"]).timestamp()),
        message=_text(entry.get("message", "")),
        silent=_count(entry.get("silentRounds", 0)),
    )


def _read_stream(entry: Mapping[str, Any], tolerance: float) -> Stream:
    values = tuple(-math.inf if text == _NOTHING else float(text) for text in entry["logCapitals"])
    if len(values) != len(SHARES) or any(math.isnan(value) or value > _LARGEST for value in values):
        raise ValueError("no capitals")
    return Stream(tolerance, _count(entry["probes"]), values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("no count")
    return value
