"""Random shifts and running normalisation against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from embodied_ssl.encoders.standardizer import Standardizer
from embodied_ssl.encoders.tokenizers import shifted


def test_shifted_is_padding_with_the_edge_and_cropping():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (6, 2, 9, 7, 3)).astype(np.uint8)
    shift = rng.integers(-4, 5, (6, 2))
    moved = shifted(torch.from_numpy(frames), torch.from_numpy(shift)).numpy()
    padded = np.pad(frames, ((0, 0), (0, 0), (4, 4), (4, 4), (0, 0)), mode="edge")
    for b, (down, right) in enumerate(shift + 4):
        assert np.array_equal(moved[b], padded[b, :, down : down + 9, right : right + 7])


def test_no_shift_changes_nothing():
    frames = torch.arange(2 * 1 * 4 * 4 * 3, dtype=torch.uint8).view(2, 1, 4, 4, 3)
    assert torch.equal(shifted(frames, torch.zeros(2, 2, dtype=torch.int64)), frames)


@pytest.mark.parametrize("first_batch", [0, 1, 2, 40])
def test_streamed_statistics_are_those_of_numpy(first_batch):
    rng = np.random.default_rng(first_batch)
    rows = rng.normal(3.0, [0.5, 20.0, 1e-2], (200, 3)).astype(np.float32)
    mask = rng.random(200) < 0.7
    mask[:first_batch] = True
    standardizer = Standardizer((3,))
    for part in (slice(0, first_batch), slice(first_batch, 77), slice(77, 78), slice(78, 200)):
        hidden = np.where(mask[part, None], rows[part], 1e4)  # a masked row may hold anything
        standardizer.update(torch.from_numpy(hidden), torch.from_numpy(mask[part]))
    seen = rows[mask].astype(np.float64)
    np.testing.assert_allclose(standardizer.mean, seen.mean(0), rtol=1e-4)
    np.testing.assert_allclose(standardizer.variance, seen.var(0), rtol=1e-3)
    assert float(standardizer.count) == len(seen)


def test_before_the_second_row_the_scale_is_one():
    standardizer = Standardizer((2,))
    standardizer.update(torch.zeros(0, 2), torch.zeros(0, dtype=torch.bool))
    assert torch.equal(standardizer.mean, torch.zeros(2))
    standardizer.update(torch.tensor([[5.0, -7.0]]), torch.tensor([True]))
    assert torch.equal(standardizer.mean, torch.tensor([5.0, -7.0]))
    assert torch.equal(standardizer.variance, torch.ones(2))


def test_the_inverse_gives_sensor_units_back_and_outliers_are_clipped():
    standardizer = Standardizer((1,), limit=3.0)
    standardizer.update(torch.linspace(-4, 8, 50)[:, None], torch.ones(50, dtype=torch.bool))
    values = torch.tensor([[1.5], [-3.0]])
    torch.testing.assert_close(standardizer.inverse(standardizer(values)), values)
    assert float(standardizer(torch.tensor([[1e9]]))) == 3.0


def test_capped_statistics_follow_a_drifting_sensor():
    standardizer = Standardizer((1,), max_count=100)
    rng = np.random.default_rng(0)
    for centre in [0.0] * 50 + [10.0] * 50:
        rows = torch.from_numpy(rng.normal(centre, 1, (20, 1)).astype(np.float32))
        standardizer.update(rows, torch.ones(20, dtype=torch.bool))
    assert abs(float(standardizer.mean) - 10.0) < 0.5
    assert 0.7 < float(standardizer.variance.sqrt()) < 1.3
