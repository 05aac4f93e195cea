"""What is learned from and what is held out, against a plain model that marks single ticks."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_ssl.sources.log_split import FEW_EPISODES, Stretch, apart, episodes_of, split, spread_evenly
from embodied_ssl.sources.logged_ticks import LaneTicks


def marks(stretches: list[Stretch], num_lanes: int, num_ticks: int) -> np.ndarray:
    """Return ``(lanes, ticks)`` how often each tick is in a stretch."""
    table = np.zeros((num_lanes, num_ticks), int)
    for stretch in stretches:
        table[stretch.lane, stretch.start : stretch.stop] += 1
    return table


TICK_NS = 50_000_000


def lane_of(begins: np.ndarray, cuts: np.ndarray | None = None, number: int = 0) -> LaneTicks:
    """Return a lane of even ticks whose episodes begin, and are cut, where it is said."""
    is_first = begins if cuts is None else begins | cuts
    return LaneTicks(np.arange(len(begins)) * TICK_NS, is_first, np.cumsum(begins), number)


def lanes_of(rng: np.random.Generator, cut_chance: float = 0.0) -> list[LaneTicks]:
    lanes = []
    for number in range(rng.integers(1, 4)):
        size = rng.integers(0, 200)
        begins = rng.random(size) < rng.choice([0.005, 0.03, 0.2])
        lanes.append(lane_of(begins, rng.random(size) < cut_chance, number))
    return lanes


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_in_both_parts_and_nothing_but_the_gap_is_lost(seed):
    rng = np.random.default_rng(seed)
    lanes, gap, holdout = lanes_of(rng), int(rng.integers(0, 12)), float(rng.choice([0.1, 0.25, 0.5]))
    episodes = episodes_of(0, lanes)
    assert all(len(episode) == 1 for episode in episodes)
    whole = [episode[0] for episode in episodes]
    assert sum(e.num_ticks for e in whole) == sum(len(lane.is_first) for lane in lanes)
    for episode in whole:
        inside = lanes[episode.lane].is_first[episode.start : episode.stop]
        assert inside[0] or episode.start == 0
        assert not inside[1:].any()
    learned, held = split(episodes, holdout, gap)
    size = len(lanes), 200
    used = marks(learned, *size) + marks(held, *size)
    assert used.max(initial=0) <= 1
    if len(episodes) >= FEW_EPISODES:
        assert used.sum() == sum(len(lane.is_first) for lane in lanes)
        assert len(held) == max(1, round(holdout * len(episodes)))
        assert set(learned) | set(held) == set(whole)
        return
    for episode in whole:
        mine = marks(learned, *size)[episode.lane, episode.start : episode.stop]
        theirs = marks(held, *size)[episode.lane, episode.start : episode.stop]
        count = round(holdout * episode.num_ticks)
        assert theirs.sum() == count
        assert theirs[len(theirs) - count :].all()
        assert mine.sum() == max(0, episode.num_ticks - count - gap)
        assert mine[: mine.sum()].all()


def test_a_long_episode_is_held_out_at_several_places_with_gaps_around_them():
    begins = np.zeros(4000, bool)
    begins[0] = True
    learned, held = split(episodes_of(0, [lane_of(begins)]), 0.2, 30)
    assert [(s.start, s.stop) for s in held] == [(640, 800), (1440, 1600), (2240, 2400), (3040, 3200), (3840, 4000)]
    starts, stops = [0, 830, 1630, 2430, 3230], [610, 1410, 2210, 3010, 3810]
    assert [(s.start, s.stop) for s in learned] == list(zip(starts, stops, strict=True))


def test_without_a_holdout_everything_is_learned_from():
    episodes = episodes_of(3, [lane_of(np.array([True, False, True])), lane_of(np.array([False, False]))])
    whole = [Stretch(3, 0, 0, 2), Stretch(3, 0, 2, 3), Stretch(3, 1, 0, 2)]
    assert episodes == [[stretch] for stretch in whole]
    assert split(episodes, 0.0, 5) == (whole, [])


def test_cuts_make_no_episodes_and_what_is_held_out_of_one_lies_behind_the_gap():
    """Six silences cut a single ride: were they episodes, held-out ones would begin where learned ones end."""
    begins, cuts = np.zeros(700, bool), np.zeros(700, bool)
    begins[0], cuts[100::100] = True, True
    episodes = episodes_of(0, [lane_of(begins, cuts)])
    assert [[s.num_ticks for s in episode] for episode in episodes] == [[100] * 7]
    learned, held = split(episodes, 0.25, 9)
    assert [(s.start, s.stop) for s in held] == [(525, 600), (600, 700)]
    assert [(s.start, s.stop) for s in learned] == [*((i, i + 100) for i in range(0, 500, 100)), (500, 516)]


@pytest.mark.parametrize("seed", range(40))
def test_learned_ticks_keep_their_distance_in_time_and_nothing_else_is_lost(seed):
    rng = np.random.default_rng(seed)
    gap = int(rng.integers(0, 12))
    # Time runs on within an episode; between episodes there is a pause, often a short one.
    lanes = []
    for lane in lanes_of(rng, cut_chance=0.05):
        pause = (np.diff(lane.episode, prepend=0) != 0) * rng.choice([1, 3, 50], len(lane.episode))
        lanes.append(LaneTicks(np.cumsum(1 + pause) * TICK_NS, lane.is_first, lane.episode, lane.number))
    learned, held = split(episodes_of(0, lanes), 0.25, gap)
    kept = apart(learned, held, lanes, gap * TICK_NS)
    size = len(lanes), 200
    before, after, others = marks(learned, *size), marks(kept, *size), marks(held, *size)
    for number, lane in enumerate(lanes):
        out = lane.time_ns[others[number, : len(lane.time_ns)] > 0]
        for i, time_ns in enumerate(lane.time_ns):
            far = not len(out) or np.abs(out - time_ns).min() >= gap * TICK_NS
            assert after[number, i] == (before[number, i] and far)
    assert all(len(np.unique(lanes[s.lane].episode[s.start : s.stop])) == 1 for s in kept)


@pytest.mark.parametrize(("count", "max_ticks"), [(3, 10), (100, 7), (1, 1000)])
def test_pieces_cover_what_they_can_and_no_tick_twice(count, max_ticks):
    stretches = [Stretch(0, 0, 5, 42), Stretch(0, 1, 0, 9), Stretch(1, 0, 100, 101)]
    pieces = spread_evenly(stretches, count, max_ticks)
    everything = spread_evenly(stretches, 10**6, max_ticks)
    assert len(pieces) == min(count, len(everything))
    assert set(pieces) <= set(everything)
    assert max(piece.num_ticks for piece in pieces) <= max_ticks
    assert sum(piece.num_ticks for piece in everything) == sum(stretch.num_ticks for stretch in stretches)
