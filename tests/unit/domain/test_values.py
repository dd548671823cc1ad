"""Values: what the type checker freezes and the interpreter does not."""

import pytest

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.reference import Identity, ModelReference, Revision, RevisionState
from modeltrust.domain.values import value


@value
class Point:
    """A value of this test."""

    x: int
    y: int = 0


def test_values_compare_hash_and_show_themselves_as_frozen_ones_do() -> None:
    assert Point(1) == Point(1, 0)
    assert Point(1) != Point(2)
    assert {Point(1), Point(1, 0)} == {Point(1)}
    assert repr(Point(1)) == "Point(x=1, y=0)"


def test_values_have_slots_and_no_other_attributes() -> None:
    assert not hasattr(Point(1), "__dict__")
    with pytest.raises(AttributeError):
        Point(1).z = 1  # type: ignore[attr-defined] # on purpose: slots hold nothing else


def test_the_type_checker_refuses_assignment() -> None:
    # In strict mode an ignore that is not needed is an error: each line below fails `make lint` once assignment is allowed.
    point, finding = Point(1), Finding("pinned", Status.PASS)
    reference = ModelReference("hf", "acme/guard")
    identity = Identity(reference, Revision(RevisionState.COMMIT, "a" * 40))
    point.x = 2  # type: ignore[misc] # the proof
    finding.message = ""  # type: ignore[misc] # the proof
    reference.path = ""  # type: ignore[misc] # the proof
    identity.key = ""  # type: ignore[misc] # the proof


def test_the_type_checker_knows_the_fields() -> None:
    with pytest.raises(TypeError):
        Point(z=1)  # type: ignore[call-arg] # the proof


def test_values_made_for_every_request_have_a_hash() -> None:
    assert hash(Finding("pinned", Status.PASS)) == hash(Finding("pinned", Status.PASS))
