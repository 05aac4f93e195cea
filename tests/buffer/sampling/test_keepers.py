"""Which segments stay: a uniform sample, or those least like another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from distributions import assert_counts_follow
from streams import SPEC, TickSource

from embodied_ssl.buffer.sampling.keep_least_redundant import KeepLeastRedundant
from embodied_ssl.buffer.sampling.keep_random import KeepRandom
from embodied_ssl.buffer.sampling.segment_features import reading_statistics
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape


@pytest.mark.parametrize("batches", [[40], [3, 7, 0, 30]])
def test_a_random_memory_is_a_uniform_sample_of_all_offers(batches):
    rng, counts = np.random.default_rng(0), np.zeros(40)
    for _ in range(3000):
        keeper, slots, offered = KeepRandom(6), np.full(6, -1), 0
        for size in batches:
            for slot in keeper.place(size, None, rng).tolist():
                if slot >= 0:
                    slots[slot] = offered
                offered += 1
        assert len(set(slots.tolist())) == 6
        counts[slots] += 1
    assert_counts_follow(counts, np.ones(40))


class PlainMinRed:
    """All distances, every time."""

    def __init__(self, num_slots):
        self.num_slots, self.slots, self.offers, self.scale = num_slots, [], 0, None

    def rescale(self):
        spread = np.std(self.slots, axis=0)
        self.scale = np.where(spread > 1e-9, spread, 1.0)

    def place(self, row, rng):
        if len(self.slots) < self.num_slots:
            self.slots.append(row)
            if len(self.slots) == self.num_slots:
                self.rescale()
            return len(self.slots) - 1
        self.offers += 1
        if self.offers % self.num_slots == 0:
            self.rescale()
        points = [row, *self.slots]  # -1 is the offer
        pairs = [(a - 1, b - 1) for a in range(len(points)) for b in range(a + 1, len(points))]
        apart = [np.square((points[a + 1] - points[b + 1]) / self.scale).sum() for a, b in pairs]
        victim = pairs[int(np.argmin(apart))][int(rng.random() < 0.5)]
        if victim >= 0:
            self.slots[victim] = row
        return victim


@pytest.mark.parametrize("seed", range(6))
def test_the_least_redundant_are_those_of_all_distances(seed):
    data = np.random.default_rng(seed)
    size = int(data.integers(2, 12))
    keeper, plain = KeepLeastRedundant(size), PlainMinRed(size)
    first, second = np.random.default_rng(1), np.random.default_rng(1)
    for _ in range(25):
        rows = data.standard_normal((data.integers(1, 5), 3)) * [1.0, 50.0, 0.0]
        expected = [plain.place(row, second) for row in rows]
        assert keeper.place(len(rows), rows, first).tolist() == expected
    np.testing.assert_array_equal(keeper._features, plain.slots)


def test_a_rare_kind_stays_where_a_random_memory_loses_it():
    rng = np.random.default_rng(0)
    rare = np.zeros(2000, bool)
    rare[[3, 40, 90, 150]] = True
    rows = np.where(rare[:, None], [8.0, 8.0], 0.0) + rng.standard_normal((2000, 2))
    left = {}
    for keeper in (KeepRandom(20), KeepLeastRedundant(20)):
        slots = np.full(20, -1)
        for number, row in enumerate(rows):
            slot = int(keeper.place(1, row[None], rng)[0])
            if slot >= 0:
                slots[slot] = number
        left[type(keeper)] = int(rare[slots].sum())
    assert left[KeepLeastRedundant] >= 2 > left[KeepRandom]


def test_refreshed_features_are_used_from_then_on():
    rng = np.random.default_rng(2)
    rows, other = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    keeper, fresh = KeepLeastRedundant(5), KeepLeastRedundant(5)
    keeper.place(5, rows, rng)
    keeper.refresh(other)
    fresh.place(5, other, rng)
    offers = rng.standard_normal((30, 4))
    first, second = (k.place(30, offers, np.random.default_rng(0)) for k in (keeper, fresh))
    np.testing.assert_array_equal(first, second)


def test_features_are_means_spreads_and_cells():
    source, shape = TickSource(2, 0, end_chance=0.0), WindowShape(6, 2)
    buffer = StreamBuffer(SPEC, 2, 40, (shape,))
    for _ in range(30):
        buffer.append(source.tick())
    windows = buffer.gather(torch.tensor([0, 1]), torch.tensor([20, 25]), 8)
    features = reading_statistics(windows)
    imu = windows.rows["imu"]
    seen = imu.values[1][imu.mask[1]].numpy()
    assert features.shape == (2, 2 * (2 + 3 + 1) + 4 * 4 * 3)
    np.testing.assert_allclose(features[1, 4:7], seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(features[1, 7:10], seen.std(0), rtol=1e-4)
    camera = windows.frames["camera"]
    picture = camera.values[1, camera.slot[1, -1]].numpy() / 255.0
    cells = picture.reshape(4, 4, 4, 4, 3).mean((1, 3))
    np.testing.assert_allclose(features[1, 12:].reshape(3, 4, 4), cells.transpose(2, 0, 1), rtol=1e-5)
