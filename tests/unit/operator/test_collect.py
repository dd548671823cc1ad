from typing import Any

import pytest

from modeltrust.operator.collect import is_garbage
from tests.support.statements import NOW

REQUESTED: dict[str, Any] = {
    "metadata": {
        "name": "x",
        "labels": {"modeltrust.dev/requested-by": "webhook"},
        "annotations": {"modeltrust.dev/expiration-time": "2026-09-01T00:00:00Z"},
    },
    "spec": {"model": "hf://acme/guard-7b@" + "1" * 40},
}


def changed(**metadata: Any) -> Any:
    return {**REQUESTED, "metadata": {**REQUESTED["metadata"], **metadata}}


def test_a_request_whose_time_is_over_may_go() -> None:
    assert is_garbage(REQUESTED, used=False, now=NOW)


@pytest.mark.parametrize(
    "attestation",
    [
        {},
        {"metadata": None},
        changed(labels=None),
        changed(labels={"modeltrust.dev/other": "x"}),
        changed(annotations={}),
        changed(annotations={"modeltrust.dev/expiration-time": "2026-09-30T00:00:00Z"}),
        changed(annotations={"modeltrust.dev/expiration-time": "2026-09-01T00:00:00"}),
        changed(annotations={"modeltrust.dev/expiration-time": "yesterday"}),
        changed(annotations={"modeltrust.dev/expiration-time": 7}),
        changed(ownerReferences=[{"name": "x"}]),
        changed(finalizers=["x"]),
        changed(deletionTimestamp="2026-09-01T00:00:00Z"),
        {**REQUESTED, "spec": {**REQUESTED["spec"], "evidence": [{"name": "approval"}]}},
    ],
)
def test_what_people_made_or_added_to_or_cannot_be_read_stays(attestation: Any) -> None:
    assert not is_garbage(attestation, used=False, now=NOW)


def test_what_a_workload_uses_stays() -> None:
    assert not is_garbage(REQUESTED, used=True, now=NOW)
