"""Batches of exactly so many episodes."""

from __future__ import annotations

import numpy as np
import pytest
from distributions import assert_counts_follow
from streams import SPEC, TickSource

from embodied_ssl.buffer.sampling.distinct import draw_distinct
from embodied_ssl.buffer.sampling.prioritized import Prioritized
from embodied_ssl.buffer.sampling.recent import Recent
from embodied_ssl.buffer.sampling.uniform import Uniform
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape

SHAPE = WindowShape(context=4, horizon=2)
MAKERS = [Uniform, Prioritized, lambda buffer, shape: Recent(buffer, shape, 12.0, 0.2)]


def filled(seed, num_appends=80, end_chance=0.1):
    source = TickSource(3, seed, end_chance=end_chance)
    buffer = StreamBuffer(SPEC, 3, 60, (SHAPE,), guard_ticks=2)
    for _ in range(num_appends):
        buffer.append(source.tick())
    return buffer


def masses(sampler):
    lanes, ends, weights = sampler.weights()
    keys, member = np.unique(sampler.episodes(lanes, ends), return_inverse=True)
    return keys, np.bincount(member, weights)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", range(4))
def test_as_many_episodes_as_asked_for_while_there_are_enough(make, seed):
    sampler = make(filled(seed), SHAPE)
    lanes, ends, _ = sampler.weights()
    legal = set(zip(lanes.tolist(), ends.tolist(), strict=True))
    have = len(masses(sampler)[0])
    rng = np.random.default_rng(seed)
    for num_episodes in (1, 2, have - 1, have):
        lanes, ends = draw_distinct(sampler, 3 * num_episodes, rng, 3)
        keys = sampler.episodes(lanes, ends).reshape(num_episodes, 3)
        assert (keys == keys[:, :1]).all()
        assert len(set(keys[:, 0].tolist())) == num_episodes
        assert set(zip(lanes.tolist(), ends.tolist(), strict=True)) <= legal


@pytest.mark.parametrize("make", MAKERS)
def test_fewer_episodes_than_asked_for_come_equally_often(make):
    sampler = make(filled(1), SHAPE)
    have = len(masses(sampler)[0])
    for num_groups in (have + 1, 2 * have, 2 * have + 3):
        lanes, ends = draw_distinct(sampler, 2 * num_groups, np.random.default_rng(0), 2)
        _, times = np.unique(sampler.episodes(lanes, ends)[::2], return_counts=True)
        assert len(times) == have
        assert set(times.tolist()) <= {num_groups // have, -(-num_groups // have)}


def test_episodes_are_drawn_as_successive_draws_without_replacement():
    """All pairs (first, second) of a small case, against p(a) p(b) / (1 - p(a))."""
    sampler = Recent(filled(2, num_appends=30, end_chance=0.07), SHAPE, 9.0)
    keys, mass = masses(sampler)
    share = mass / mass.sum()
    assert 3 <= len(keys) <= 12
    rng, counts = np.random.default_rng(0), np.zeros((len(keys), len(keys)))
    for _ in range(12_000):
        lanes, ends = draw_distinct(sampler, 2, rng, 1)
        counts[tuple(np.searchsorted(keys, sampler.episodes(lanes, ends)))] += 1
    expected = share[:, None] * share / (1 - share[:, None])
    np.fill_diagonal(expected, 0.0)
    assert_counts_follow(counts.ravel(), expected.ravel())


def test_listing_the_episodes_draws_the_same_distribution(monkeypatch):
    monkeypatch.setattr("embodied_ssl.buffer.sampling.distinct.ROUNDS", 0)
    test_episodes_are_drawn_as_successive_draws_without_replacement()
