import numpy as np
import pytest

from embodied_envs.suite.tolerance import tolerance


def test_values_are_those_of_the_real_suite(tolerance_table):
    assert len(tolerance_table) == 20
    for shape, value_at_margin, low, high, margin, x, expected in tolerance_table:
        low, high = (-np.inf if low is None else low), (np.inf if high is None else high)
        values = tolerance(np.array(x), low=low, high=high, margin=margin, value_at_margin=value_at_margin, shape=shape)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("shape", "value"), [("gaussian", 0.1), ("linear", 0.5), ("quadratic", 0.0)])
def test_one_margin_away_the_value_is_the_one_asked_for(shape, value):
    values = tolerance(
        np.array([1.0, 1.5, 2.5, 0.5]), low=1.0, high=2.0, margin=0.5, value_at_margin=value, shape=shape
    )
    np.testing.assert_allclose(values, [1.0, 1.0, value, value], atol=1e-15)
