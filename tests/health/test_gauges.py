"""Effective rank and spread for spectra that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from embodied_ssl.health.gauges import effective_rank, spread


def with_singular_values(values, num=400, seed=0):
    """A centred matrix with exactly these singular values."""
    rng = torch.Generator().manual_seed(seed)
    left = torch.randn(num, len(values), generator=rng, dtype=torch.float64)
    left = torch.linalg.qr(left - left.mean(0)).Q
    right = torch.linalg.qr(torch.randn(len(values), len(values), generator=rng, dtype=torch.float64)).Q
    return (left * torch.tensor(values, dtype=torch.float64)) @ right.T


@pytest.mark.parametrize("values", [[1.0] * 16, [5.0] + [0.0] * 15, [8.0, 4.0, 2.0, 1.0], list(range(1, 33))])
def test_effective_rank_is_the_exponential_of_the_entropy(values):
    share = np.array([v for v in values if v > 0], float)
    share /= share.sum()
    expected = np.exp(-(share * np.log(share)).sum())
    embedding = with_singular_values([float(v) for v in values])
    assert float(effective_rank(embedding)) == pytest.approx(expected, rel=1e-3)
    assert float(effective_rank(embedding.float() * 7 + 3)) == pytest.approx(expected, rel=1e-2)


def test_isotropic_noise_is_near_the_width_and_a_constant_is_one_or_less():
    noise = torch.randn(40 * 32, 32, generator=torch.Generator().manual_seed(0))
    assert 0.97 * 32 < float(effective_rank(noise)) <= 32.01
    assert float(effective_rank(torch.ones(100, 8))) < 1.01


def test_spread_is_the_standard_deviation_of_each_dimension():
    rows = np.random.default_rng(0).normal(0, [1, 2, 0.1], (500, 3)).astype(np.float32)
    np.testing.assert_allclose(spread(torch.from_numpy(rows)), rows.std(0, ddof=1), rtol=1e-4)
