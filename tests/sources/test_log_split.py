"""What is learned from and what is held out, against a plain model that marks single ticks."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_ssl.sources.log_split import FEW_EPISODES, Stretch, episodes_of, split, spread_evenly


def marks(stretches: list[Stretch], num_lanes: int, num_ticks: int) -> np.ndarray:
    """Return ``(lanes, ticks)`` how often each tick is in a stretch."""
    table = np.zeros((num_lanes, num_ticks), int)
    for stretch in stretches:
        table[stretch.lane, stretch.start : stretch.stop] += 1
    return table


def lanes_of(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random(rng.integers(0, 200)) < rng.choice([0.005, 0.03, 0.2]) for _ in range(rng.integers(1, 4))]


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_in_both_parts_and_nothing_but_the_gap_is_lost(seed):
    rng = np.random.default_rng(seed)
    lanes, gap, holdout = lanes_of(rng), int(rng.integers(0, 12)), float(rng.choice([0.1, 0.25, 0.5]))
    episodes = episodes_of(0, lanes)
    assert sum(e.num_ticks for e in episodes) == sum(map(len, lanes))
    for episode in episodes:
        inside = lanes[episode.lane][episode.start : episode.stop]
        assert inside[0] or episode.start == 0
        assert not inside[1:].any()
    learned, held = split(episodes, holdout, gap)
    size = len(lanes), 200
    used = marks(learned, *size) + marks(held, *size)
    assert used.max(initial=0) <= 1
    if len(episodes) >= FEW_EPISODES:
        assert used.sum() == sum(map(len, lanes))
        assert len(held) == max(1, round(holdout * len(episodes)))
        assert set(learned) | set(held) == set(episodes)
        return
    for episode in episodes:
        mine = marks(learned, *size)[episode.lane, episode.start : episode.stop]
        theirs = marks(held, *size)[episode.lane, episode.start : episode.stop]
        count = round(holdout * episode.num_ticks)
        assert theirs.sum() == count
        assert theirs[len(theirs) - count :].all()
        assert mine.sum() == max(0, episode.num_ticks - count - gap)
        assert mine[: mine.sum()].all()


def test_without_a_holdout_everything_is_learned_from():
    episodes = episodes_of(3, [np.array([True, False, True]), np.array([False, False])])
    assert split(episodes, 0.0, 5) == (episodes, [])
    assert episodes == [Stretch(3, 0, 0, 2), Stretch(3, 0, 2, 3), Stretch(3, 1, 0, 2)]


@pytest.mark.parametrize(("count", "max_ticks"), [(3, 10), (100, 7), (1, 1000)])
def test_pieces_cover_what_they_can_and_no_tick_twice(count, max_ticks):
    stretches = [Stretch(0, 0, 5, 42), Stretch(0, 1, 0, 9), Stretch(1, 0, 100, 101)]
    pieces = spread_evenly(stretches, count, max_ticks)
    everything = spread_evenly(stretches, 10**6, max_ticks)
    assert len(pieces) == min(count, len(everything))
    assert set(pieces) <= set(everything)
    assert max(piece.num_ticks for piece in pieces) <= max_ticks
    assert sum(piece.num_ticks for piece in everything) == sum(stretch.num_ticks for stretch in stretches)
