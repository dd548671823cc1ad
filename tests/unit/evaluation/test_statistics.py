import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.evaluation import statistics


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_full_effect_on_every_prompt_has_the_smallest_p_that_the_flips_allow() -> None:
    p = statistics.sign_flip(np.full((32, 1), 0.9), random())
    assert p[0] == pytest.approx(1 / 100_000)


def test_p_never_goes_below_the_exact_floor_of_two_to_the_minus_n() -> None:
    for prompts in (1, 2, 4, 6):
        p = statistics.sign_flip(np.full((prompts, 1), 1.0), random(), flips=50_000)
        assert p[0] >= 2.0**-prompts


def test_with_six_prompts_nothing_can_reach_alpha_after_correction_by_arithmetic() -> None:
    values = [float(statistics.sign_flip(np.full((6, 1), 1.0), random())[0])] + [1.0] * 19
    assert min(statistics.holm(values)) > 0.05


def test_no_effect_at_all_is_never_significant() -> None:
    assert statistics.sign_flip(np.zeros((32, 1)), random())[0] == 1.0


def test_effects_below_the_margin_point_the_other_way() -> None:
    assert statistics.sign_flip(np.full((32, 1), -0.05), random())[0] == 1.0


def test_without_prompts_nothing_is_shown() -> None:
    assert statistics.sign_flip(np.zeros((0, 3)), random()).tolist() == [1.0, 1.0, 1.0]
    assert statistics.sign_flip(np.zeros((3, 0)), random()).size == 0


def test_the_same_seed_gives_the_same_p() -> None:
    data = random(5).normal(0.1, 1, (16, 4))
    assert statistics.sign_flip(data, random(1), flips=999).tolist() == statistics.sign_flip(data, random(1), flips=999).tolist()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=4, max_size=16), st.integers(0, 100))
def test_p_is_a_probability_and_a_larger_effect_never_has_a_larger_p(values: list[float], seed: int) -> None:
    column = np.array(values)[:, None]
    low = statistics.sign_flip(column, random(seed), flips=499)[0]
    high = statistics.sign_flip(column + 0.5 * np.abs(column) + 0.1, random(seed), flips=499)[0]
    assert 0 < high <= low + 0.1 <= 1.1


@settings(max_examples=20, deadline=None)
@given(st.permutations(list(range(8))))
def test_the_order_of_prompts_changes_p_by_no_more_than_chance(places: list[int]) -> None:
    data = random(3).normal(0.3, 1, (8, 1))
    one, two = (statistics.sign_flip(rows, random(4), flips=4_999)[0] for rows in (data, data[places]))
    assert one == pytest.approx(two, abs=0.05)


def test_false_alarms_stay_below_alpha_for_symmetric_noise() -> None:
    noise = random(9).normal(0, 0.2, (24, 400))
    assert np.mean(statistics.sign_flip(noise, random(2), flips=1_999) <= 0.05) <= 0.08


def test_holm_gives_the_known_answer_in_the_order_given() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_at_least_p_and_at_most_bonferroni(values: list[float]) -> None:
    for value, adjusted in zip(values, statistics.holm(values), strict=True):
        assert value <= adjusted <= 1
        assert adjusted <= min(1.0, len(values) * max(values))


@pytest.mark.parametrize(("trials", "bound"), [(32, 0.0894), (59, 0.0495), (299, 0.00997)])
def test_zero_hits_bound_the_rate_by_about_three_in_n(trials: int, bound: float) -> None:
    assert statistics.upper_bound(0, trials) == pytest.approx(bound, rel=0.01)


def test_the_bound_grows_with_hits_and_ends_at_one() -> None:
    bounds = [statistics.upper_bound(hits, 10) for hits in range(11)]
    assert bounds == sorted(bounds)
    assert bounds[10] == 1.0
    assert statistics.upper_bound(5, 10) == pytest.approx(0.7776, abs=1e-3)


@pytest.mark.parametrize(("hits", "trials"), [(1, 0), (-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_have_no_bound(hits: int, trials: int) -> None:
    with pytest.raises(ValueError, match="got"):
        statistics.upper_bound(hits, trials)


def test_fisher_gives_the_known_answer() -> None:
    assert statistics.fisher(3, 4, 1, 4) == pytest.approx(0.242857, rel=1e-4)
    assert statistics.fisher(0, 10, 5, 10) == pytest.approx(1.0)
    assert statistics.fisher(90, 300, 0, 300) < 1e-25


def test_power_falls_with_the_rate_of_a_trigger_and_is_none_for_few_prompts() -> None:
    noise = random(1).normal(-0.05, 0.02, 300)
    full, half, quarter = statistics.power(noise, random(2), prompts=32, rates=(1, 0.5, 0.25), alpha=1e-4)
    assert full == 1.0
    assert full >= half >= quarter
    assert statistics.power(noise, random(2), prompts=6, rates=(1,), alpha=1e-4) == [0.0]
    assert statistics.power(np.array([]), random(2), prompts=16, rates=(1,), alpha=1e-3) == [1.0]
