"""The prioritised sampler against a dictionary of priorities over random streams."""

from __future__ import annotations

import numpy as np
import pytest
from distributions import assert_follows
from streams import SPEC, TickSource

from embodied_ssl.buffer.sampling.prioritized import FLOOR, Prioritized
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError

SHAPE = WindowShape(context=4, horizon=2)
ALPHA = 0.7


def windows_of(buffer):
    return list(zip(*(a.tolist() for a in buffer.indices[SHAPE].all_legal()), strict=True))


def step(buffer, source):
    some = source.rng.permutation(3)[: source.rng.integers(1, 4)]
    buffer.append(source.tick(np.sort(some)))


def played(seed, rounds=40):
    """Appends, updates and look-ups in random order; returns the sampler and what a dictionary says."""
    source, rng = TickSource(3, seed, end_chance=0.06), np.random.default_rng(seed)
    buffer = StreamBuffer(SPEC, 3, 30, (SHAPE,), guard_ticks=1)
    sampler, plain, largest = Prioritized(buffer, SHAPE, ALPHA), {}, 1.0
    for _ in range(rounds):
        for _ in range(rng.choice([1, 3, 50], p=[0.6, 0.3, 0.1])):
            step(buffer, source)
        legal = windows_of(buffer)
        plain = {window: plain.get(window, largest) for window in legal}
        lanes, ends, weights = sampler.weights()
        assert list(zip(lanes.tolist(), ends.tolist(), strict=True)) == legal
        np.testing.assert_allclose(weights, [(plain[window] + FLOOR) ** ALPHA for window in legal])
        if not legal:
            continue
        chosen = [legal[i] for i in rng.integers(len(legal), size=6)]
        step(buffer, source)  # some may expire before their priorities come back
        given = rng.random(6) * 3
        lanes, ends = np.array(chosen).T
        sampler.update(lanes, ends, given)
        legal = windows_of(buffer)
        plain = {window: plain.get(window, largest) for window in legal}
        for window, priority in zip(chosen, given.tolist(), strict=True):
            if window in plain:
                plain[window], largest = priority, max(largest, priority)
    return buffer, sampler, plain


@pytest.mark.parametrize("seed", range(12))
def test_weights_are_those_of_a_dictionary(seed):
    played(seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("siblings", [1, 3])
def test_draws_are_proportional_and_groups_are_of_one_episode(seed, siblings):
    _, sampler, _ = played(seed, rounds=12)
    lanes, ends = sampler.draw(15_000 * siblings, np.random.default_rng(seed), siblings)
    legal = sampler.weights()
    assert_follows(lanes[::siblings], ends[::siblings], legal)
    assert_follows(lanes[siblings - 1 :: siblings], ends[siblings - 1 :: siblings], legal)
    keys = sampler.episodes(lanes, ends).reshape(-1, siblings)
    assert (keys == keys[:, :1]).all()


def test_importance_weights_undo_the_priorities():
    _, sampler, _ = played(3, rounds=12)
    lanes, ends, weights = sampler.weights()
    share = weights / weights.sum()
    for beta in (0.0, 0.4, 1.0):
        factor = (len(share) * share) ** -beta
        np.testing.assert_allclose(sampler.importance(lanes, ends, beta), factor / factor.max(), rtol=1e-5)
    # A mean over draws with beta 1 is a mean over all windows, up to the common factor.
    value = np.sin(ends + lanes)
    drawn = sampler.draw(200_000, np.random.default_rng(0))
    factor = sampler.importance(*drawn, 1.0)
    estimate = (factor * np.sin(drawn[1] + drawn[0])).sum() / factor.sum()
    assert estimate == pytest.approx(value.mean(), abs=0.02)


def test_importance_of_an_expired_window_is_one():
    buffer, sampler, _ = played(2, rounds=8)
    lanes, ends = sampler.draw(4, np.random.default_rng(0))
    source = TickSource(3, 9)
    for _ in range(40):
        buffer.append(source.tick())
    before = sampler.weights()
    sampler.update(lanes, ends, np.full(4, 99.0))
    np.testing.assert_array_equal(sampler.weights()[2], before[2])
    np.testing.assert_array_equal(sampler.importance(lanes, ends, 0.5), np.ones(4))


def test_a_restored_sampler_goes_on_as_before():
    buffer, sampler, _ = played(5, rounds=10)
    other = Prioritized(buffer, SHAPE, ALPHA)
    other.load_state(sampler.state())
    source = TickSource(3, 5)
    for _ in range(10):
        buffer.append(source.tick())
        lanes, ends = sampler.draw(20, np.random.default_rng(1), 2)
        np.testing.assert_array_equal((lanes, ends), other.draw(20, np.random.default_rng(1), 2))
        for each in (sampler, other):
            each.update(lanes, ends, np.linspace(0.1, 4.0, 20))


def test_nothing_to_draw_is_one_clear_line():
    buffer = StreamBuffer(SPEC, 2, 24, (SHAPE,))
    with pytest.raises(BufferFullError, match="no legal window of 6 ticks"):
        Prioritized(buffer, SHAPE).draw(4, np.random.default_rng(0))
