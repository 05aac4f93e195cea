import numpy as np
import pytest

from embodied_ssl.evaluate.nulls import moving_columns, principal_components, raw_window


def test_components_are_uncorrelated_ordered_and_fitted_on_training_only():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(500, 3)) * [3.0, 2.0, 1.0]
    mixing = rng.normal(size=(3, 10))
    train = latent @ mixing + 0.01 * rng.normal(size=(500, 10))
    kept, shifted = principal_components(train, train + 5.0, 3)
    covariance = np.cov(kept.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-9
    assert (np.diff(np.diag(covariance)) < 0).all()
    assert np.diag(covariance).sum() == pytest.approx(10.0, rel=0.02)  # three directions hold all ten columns
    assert np.ptp(shifted - kept, axis=0).max() < 1e-9


def test_raw_window_reads_the_ticks_up_to_the_end_and_none_after():
    per_tick = np.arange(2 * 6 * 1, dtype=np.float32).reshape(2, 6, 1)
    window = raw_window(per_tick, np.array([1, 0]), np.array([4, 2]), 3)
    assert window.tolist() == [[8, 9, 10], [0, 1, 2]]


def test_columns_constant_in_training_are_dropped_on_both_sides():
    train, test = np.array([[1.0, 2.0], [1.0, 3.0]]), np.array([[7.0, 4.0]])
    kept = moving_columns(train, test)
    assert kept[0].tolist() == [[2.0], [3.0]]
    assert kept[1].tolist() == [[4.0]]
