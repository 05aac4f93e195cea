import math

import numpy as np
import pytest

from embodied_ssl.evaluate.intervals import (
    mean_interval,
    percentile_interval,
    resample_episodes,
    student_quantile,
    sum_by_episode,
)


@pytest.mark.parametrize(
    ("dof", "expected"),
    [(1, 12.7062047), (2, 4.3026527), (3, 3.1824463), (4, 2.7764451), (5, 2.5705818), (30, 2.0422725)],
)
def test_student_quantile_matches_printed_tables(dof, expected):
    assert student_quantile(0.95, dof) == pytest.approx(expected, abs=1e-6)


def test_student_quantile_of_one_degree_is_the_cauchy_quantile():
    assert student_quantile(0.9, 1) == pytest.approx(math.tan(math.pi * 0.45), rel=1e-9)


def test_mean_interval_is_the_closed_form():
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)
    assert (mean, low, high) == pytest.approx((3.0, 3 - half, 3 + half), abs=1e-6)


def test_one_seed_has_no_interval():
    mean, low, high = mean_interval([2.0])
    assert mean == 2.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_bootstrap_of_a_mean_matches_its_standard_error():
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    counts = resample_episodes(200, 4000, rng)
    assert (counts.sum(axis=1) == 200).all()
    low, high = percentile_interval(counts @ values / 200)
    expected = 2 * 1.96 * values.std() / math.sqrt(200)
    assert high - low == pytest.approx(expected, rel=0.06)


def test_sum_by_episode_does_not_need_sorted_rows():
    sums = sum_by_episode(np.array([[1.0], [2.0], [4.0], [8.0]]), np.array([7, 3, 7, 3]))
    assert sums.tolist() == [[10.0], [5.0]]
