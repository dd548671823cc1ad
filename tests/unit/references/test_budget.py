"""Steps, bytes of Python and bytes of documents are spent before they are used, and run out."""

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.budget import Budget, bound

PLENTY = 10 * (limits.PYTHON_BYTES + limits.DOCUMENT_BYTES)


def test_the_last_step_is_paid_and_the_next_is_refused() -> None:
    budget = Budget(10)
    budget.charge(10)
    with pytest.raises(LimitExceededError, match="steps"):
        budget.charge(1)


def test_what_was_refused_stays_refused() -> None:
    budget = Budget(10)
    for _ in range(2):
        with pytest.raises(LimitExceededError):
            budget.charge(11)


def test_python_runs_out_on_its_own() -> None:
    budget = Budget(PLENTY)
    budget.charge_python(limits.PYTHON_BYTES)
    with pytest.raises(LimitExceededError, match="of Python in one object"):
        budget.charge_python(1)


def test_documents_run_out_on_their_own() -> None:
    budget = Budget(PLENTY)
    budget.charge_yaml(limits.DOCUMENT_BYTES)
    with pytest.raises(LimitExceededError, match="of documents inside one object"):
        budget.charge_yaml(1)


def test_bytes_cost_steps_too() -> None:
    for spend in (Budget(9).charge_python, Budget(9).charge_yaml):
        with pytest.raises(LimitExceededError, match="steps"):
            spend(5)


def test_a_list_is_refused_before_it_is_walked() -> None:
    bound(3, 3, "volumes")
    with pytest.raises(LimitExceededError, match="got 4 volumes, expected at most 3"):
        bound(4, 3, "volumes")
