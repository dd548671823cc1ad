import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.evaluation import eprocess
from modeltrust.evaluation.eprocess import ALARM, Stream


def fed(stream: Stream, *values: float) -> Stream:
    for value in values:
        stream = stream.update(value)
    return stream


def until_alarm(stream: Stream) -> int:
    count = 0
    while stream.e < ALARM:
        stream, count = stream.update(1.0), count + 1
    return count


def test_a_new_stream_is_worth_one() -> None:
    assert Stream(0.05).e == pytest.approx(1.0)


def test_a_full_change_is_noticed_within_three_probes_when_fresh() -> None:
    assert until_alarm(Stream(0.05)) == 3


def test_a_late_change_is_noticed_within_a_dozen_probes_after_thousands_of_quiet_ones() -> None:
    assert until_alarm(fed(Stream(0.05), *[0.0] * 5_000)) <= 12


def test_quiet_probes_at_the_tolerance_never_gain() -> None:
    stream = Stream(0.1)
    for _ in range(500):
        stream = stream.update(0.1)
        assert stream.e <= 1.0 + 1e-9


def test_the_alarm_is_false_at_most_as_often_as_alpha_says() -> None:
    random, alarms = np.random.default_rng(1), 0
    for _ in range(200):
        stream, worst = Stream(0.1), 0.0
        for x in random.random(150) < 0.1:  # mean exactly at the tolerance, as wild as possible
            stream = stream.update(float(x))
            worst = max(worst, stream.e)
        alarms += worst >= 20
    assert alarms <= 200 / 20 + 8


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_the_expected_gain_of_any_next_probe_at_the_tolerance_is_nothing(values: list[float]) -> None:
    stream = fed(Stream(0.25), *values)
    mean = 0.25 * stream.update(1.0).e + 0.75 * stream.update(0.0).e  # a fair bet: x in {0, 1} with mean at the tolerance
    assert mean == pytest.approx(stream.e, rel=1e-9)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_shift_never_lowers_what_is_known(values: list[float], one: float, two: float) -> None:
    stream = fed(Stream(0.05), *values)
    low, high = sorted((one, two))
    assert stream.update(low).e <= stream.update(high).e * (1 + 1e-12)


def test_capital_never_becomes_negative_or_undefined() -> None:
    stream = fed(Stream(0.05), *[1.0] * 400)
    assert stream.e == math.inf
    assert math.isfinite(stream.log_e)
    assert fed(Stream(0.05), *[0.0] * 2_000).e > 0


@pytest.mark.parametrize("x", [-0.1, 1.1, math.nan, math.inf])
def test_a_shift_outside_its_range_is_refused(x: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        Stream(0.05).update(x)


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1.0, math.nan])
def test_a_tolerance_that_tolerates_nothing_or_all_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        Stream(tolerance)


def test_a_stream_continues_from_what_was_persisted() -> None:
    stream = fed(Stream(0.05), 0.0, 0.3, 1.0)
    again = Stream(stream.tolerance, stream.probes, stream.log_capitals)
    assert again.update(0.5) == stream.update(0.5)
    with pytest.raises(ValueError, match="capitals"):
        Stream(0.05, 1, (0.0,))


def test_identity_counts_a_fiftieth_of_a_bit_as_a_full_change() -> None:
    assert [eprocess.identity(x) for x in (-1.0, 0.0, 0.01, 0.02, 1.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_streams_together_are_averaged_and_one_is_named_when_its_own_evidence_carries_the_correction() -> None:
    loud, quiet = fed(Stream(0.1), *[1.0] * 10), fed(Stream(0.1), *[0.0] * 10)
    assert eprocess.overall((loud, quiet)) == pytest.approx((loud.e + quiet.e) / 2)
    assert eprocess.named({"deploy": loud, "year": quiet}) == ("deploy",)
    with pytest.raises(ValueError, match="no stream"):
        eprocess.overall(())
