import itertools

import pytest

from modeltrust.domain.decision import Finding, Outcome, Status
from modeltrust.domain.reasons import Reason
from modeltrust.policy.fold import fold, order

REVOKED = Finding("", Status.FAIL, Reason.MODEL_REVOKED)
INVALID = Finding("", Status.FAIL, Reason.STATEMENT_INVALID, policy="p")
DENIED = Finding("pinned", Status.FAIL, Reason.UNPINNED_REFERENCE, policy="p")
ERROR = Finding("formats", Status.ERROR, Reason.INTERNAL_ERROR, policy="p")
PENDING = Finding("", Status.PENDING, Reason.ATTESTATION_PENDING, policy="p")
WARNED = Finding("pinned", Status.FAIL, Reason.UNPINNED_REFERENCE, policy="p", advisory=True)
AUDITED = Finding("pinned", Status.FAIL, Reason.UNPINNED_REFERENCE, policy="p", advisory=True, silent=True)
EXCUSED = Finding("pinned", Status.SKIP, Reason.UNPINNED_REFERENCE, policy="p", exempted_by="x")
SKIPPED = Finding("", Status.SKIP, Reason.NO_POLICY)
PASSED = Finding("pinned", Status.PASS, policy="p")
WORST_FIRST = (REVOKED, INVALID, DENIED, ERROR, PENDING, WARNED, AUDITED, EXCUSED, SKIPPED, PASSED)
OUTCOMES = (
    Outcome.DENY, Outcome.DENY, Outcome.DENY, Outcome.ERROR, Outcome.PENDING, Outcome.WARN,
    Outcome.ADMIT, Outcome.ADMIT, Outcome.ADMIT, Outcome.ADMIT,
)  # fmt: skip


@pytest.mark.parametrize(("finding", "outcome"), list(zip(WORST_FIRST, OUTCOMES, strict=True)))
def test_each_finding_alone(finding: Finding, outcome: Outcome) -> None:
    assert fold((finding,)) is outcome


@pytest.mark.parametrize(("worse", "milder"), list(itertools.combinations(range(len(WORST_FIRST)), 2)))
def test_of_any_two_findings_the_worse_one_decides_and_comes_first(worse: int, milder: int) -> None:
    pair = (WORST_FIRST[milder], WORST_FIRST[worse])
    assert fold(pair) is OUTCOMES[worse]
    assert order(pair) == (WORST_FIRST[worse], WORST_FIRST[milder])


def test_nothing_found_admits_since_the_judge_finds_something_wherever_anything_is_asked() -> None:
    assert fold(()) is Outcome.ADMIT
    assert order(()) == ()


def test_equally_bad_findings_keep_their_order() -> None:
    other = Finding("sources", Status.FAIL, Reason.SOURCE_NOT_ALLOWED)
    assert order((PASSED, DENIED, other)) == (DENIED, other, PASSED)


def test_a_failure_without_reason_denies() -> None:
    assert fold((Finding("pinned", Status.FAIL),)) is Outcome.DENY


@pytest.mark.parametrize("status", [Status.FAIL, Status.ERROR, Status.PENDING])
def test_silence_alone_softens_nothing(status: Status) -> None:
    assert fold((Finding("pinned", status, Reason.UNPINNED_REFERENCE, silent=True),)) not in {Outcome.ADMIT, Outcome.WARN}


@pytest.mark.parametrize("status", [Status.FAIL, Status.ERROR, Status.PENDING])
def test_an_exemption_that_is_named_without_a_skip_softens_nothing(status: Status) -> None:
    assert fold((Finding("pinned", status, Reason.UNPINNED_REFERENCE, exempted_by="x"),)) not in {Outcome.ADMIT, Outcome.WARN}
