"""Drift of a publication: exact for known cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learners import fed_learner

from embodied_ssl.learner.snapshots import debiased_cka, relative_shift


def gaussian(num, dims, seed):
    return torch.randn(num, dims, generator=torch.Generator().manual_seed(seed))


def test_the_same_features_score_one_up_to_rotation_scale_and_shift():
    features = gaussian(100, 16, 0)
    rotation = torch.linalg.qr(gaussian(16, 16, 1)).Q
    assert float(debiased_cka(features, features)) == pytest.approx(1, abs=1e-6)
    assert float(debiased_cka(features, 3 * features @ rotation + 5)) == pytest.approx(1, abs=1e-5)


def test_independent_features_score_zero_on_average_at_any_number():
    for num, dims in ((64, 32), (256, 128)):
        scores = [float(debiased_cka(gaussian(num, dims, s), gaussian(num, dims, s + 100))) for s in range(30)]
        assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(len(scores))
        assert abs(np.mean(scores)) < 0.02


def test_half_shared_features_score_between():
    shared = gaussian(400, 8, 0)
    first, second = torch.cat([shared, gaussian(400, 8, 1)], 1), torch.cat([shared, gaussian(400, 8, 2)], 1)
    assert float(debiased_cka(first, second)) == pytest.approx(0.5, abs=0.06)


def test_cka_is_that_of_the_unbiased_hsic_formula():
    first, second = gaussian(20, 3, 0).double(), gaussian(20, 4, 1).double()

    def hsic(a, b):
        num = len(a)
        k, m = (x @ x.T * (1 - torch.eye(num)) for x in (a, b))
        one = torch.ones(num, dtype=torch.float64)
        middle = (one @ k @ one) * (one @ m @ one) / ((num - 1) * (num - 2))
        return float(((k @ m).trace() + middle - 2 / (num - 2) * one @ k @ m @ one) / (num * (num - 3)))

    expected = hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))
    assert float(debiased_cka(first, second)) == pytest.approx(expected, rel=1e-6)


def test_relative_shift_is_in_units_of_the_old_spread():
    old = gaussian(5000, 4, 0) * 3
    assert float(relative_shift(old, old)) == 0
    assert float(relative_shift(old, old + torch.tensor([3.0, 0, 0, 0]))) == pytest.approx(0.5, rel=0.05)


def test_publishing_the_same_weights_is_no_drift_and_learning_is_some():
    learner = fed_learner(lr=2e-2, publish_every=10_000)
    learner.publish()
    assert learner.publications[-1]["drift_cka"] == pytest.approx(1, abs=1e-5)
    assert learner.publications[-1]["drift_relative"] == pytest.approx(0, abs=1e-5)
    learner.update(15)
    learner.publish()
    assert learner.publications[-1]["drift_cka"] < 0.999
    assert learner.publications[-1]["drift_relative"] > 0.05
    assert [row["version"] for row in learner.publications] == [1, 2]


def test_publishing_before_any_window_exists_measures_nothing():
    from learners import make_learner

    learner = make_learner()
    learner.publish()
    assert learner.publications == [{"version": 1, "updates": 0}]
