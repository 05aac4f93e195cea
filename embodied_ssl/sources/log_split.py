"""Which stretches of logs are learned from and which are held out."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied_ssl.sources.logged_ticks import LaneTicks

MAX_BLOCKS = 5
"""Most parts of a long episode that give their ends to the held-out side: a ride may end with a robot at rest."""
LEAST_HELD = 128
"""Least ticks that each part then gives."""
FEW_EPISODES = 5
"""A log with fewer episodes gives the end of each one instead of whole ones."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive ticks of one episode.

    Attributes:
        log: number of the log.
        lane: lane of that log.
        start: number of its first tick in that lane.
        stop: one past its last tick.
    """

    log: int
    lane: int
    start: int
    stop: int

    @property
    def num_ticks(self) -> int:
        """Its length."""
        return self.stop - self.start


def episodes_of(log: int, lanes: Sequence[LaneTicks]) -> list[list[Stretch]]:
    """Return the episodes of a log, by lane and in order, each as the stretches that cuts leave of it.

    Args:
        log: its number.
        lanes: what is known of its lanes.
    """
    episodes: dict[tuple[int, int], list[Stretch]] = {}
    for place, lane in enumerate(lanes):
        begins = np.flatnonzero(lane.is_first | (np.diff(lane.episode, prepend=-1) != 0))
        starts = np.union1d(begins, [0] if len(lane.is_first) else []).astype(int)
        for start, stop in zip(starts, [*starts[1:], len(lane.is_first)], strict=False):
            key = place, int(lane.episode[start])
            episodes.setdefault(key, []).append(Stretch(log, place, int(start), int(stop)))
    return list(episodes.values())


def split(episodes: Sequence[Sequence[Stretch]], holdout: float, gap_ticks: int) -> tuple[list[Stretch], list[Stretch]]:
    """Return what is learned from and what is held out of one log.

    Of five episodes or more whole ones are held out, evenly spread and the same in every run. Of fewer, the last part
    of each one, or the ends of several parts of it if it is long, with gaps around them, so that no window of the one
    reaches into what the other shows. Where a silence
    cuts an episode it is still one: what lies on both sides of it is of the same ride.

    Args:
        episodes: of the log, each as the stretches that cuts leave of it.
        holdout: share to hold out; 0 holds out nothing.
        gap_ticks: ticks left out between the two parts of an episode.
    """
    if holdout == 0:
        return [stretch for episode in episodes for stretch in episode], []
    if len(episodes) < FEW_EPISODES:
        return _split_each(episodes, holdout, gap_ticks)
    count = max(1, min(len(episodes) - 1, round(holdout * len(episodes))))
    chosen = set(((np.arange(count) + 0.5) * len(episodes) / count).astype(int).tolist())
    return (
        [stretch for number, episode in enumerate(episodes) if number not in chosen for stretch in episode],
        [stretch for number, episode in enumerate(episodes) if number in chosen for stretch in episode],
    )


def _split_each(
    episodes: Sequence[Sequence[Stretch]], holdout: float, gap_ticks: int
) -> tuple[list[Stretch], list[Stretch]]:
    learned, held = [], []
    for episode in episodes:
        num_ticks = sum(stretch.num_ticks for stretch in episode)
        num_held = round(holdout * num_ticks)
        blocks = min(MAX_BLOCKS, max(1, num_held // max(LEAST_HELD, 4 * gap_ticks)))
        edges = np.linspace(0, num_ticks, blocks + 1).astype(int).tolist()
        for number, (start, stop) in enumerate(itertools.pairwise(edges)):
            begin = stop - num_held // blocks
            learned += _part(episode, start + (gap_ticks if number else 0), max(start, begin - gap_ticks))
            held += _part(episode, begin, stop)
    return learned, held


def _part(episode: Sequence[Stretch], start: int, stop: int) -> list[Stretch]:
    """Return the ticks ``start`` to ``stop`` of an episode, counted over its stretches."""
    found, before = [], 0
    for stretch in episode:
        low = max(stretch.start, stretch.start + start - before)
        high = min(stretch.stop, stretch.start + stop - before)
        found += [dataclasses.replace(stretch, start=low, stop=high)] if low < high else []
        before += stretch.num_ticks
    return found


def apart(
    learned: Sequence[Stretch], held: Sequence[Stretch], lanes: Sequence[LaneTicks], gap_ns: int
) -> list[Stretch]:
    """Return the learned stretches of a log without ticks that lie closer than ``gap_ns`` to a held-out one.

    Args:
        learned: stretches of one log.
        held: stretches of the same log.
        lanes: what is known of its lanes.
        gap_ns: time to keep between them.
    """
    kept = []
    for lane, known in enumerate(lanes):
        others = sorted((s for s in held if s.lane == lane), key=lambda s: s.start)
        starts = np.array([s.start for s in others], np.int64)
        for stretch in (s for s in learned if s.lane == lane):
            place, times = int(np.searchsorted(starts, stretch.start)), known.time_ns[stretch.start : stretch.stop]
            near = np.zeros(len(times), bool)
            for other in others[max(0, place - 1) : place + 1]:
                edge = known.time_ns[other.start if other.start >= stretch.stop else other.stop - 1]
                near |= np.abs(times - edge) < gap_ns
            kept += _runs(stretch, ~near)
    return kept


def _runs(stretch: Stretch, kept: np.ndarray) -> list[Stretch]:
    """Return the runs of ticks of a stretch that are kept ``(num_ticks,)``."""
    edges = np.flatnonzero(np.diff(kept.astype(np.int8), prepend=0, append=0)).reshape(-1, 2) + stretch.start
    return [dataclasses.replace(stretch, start=int(a), stop=int(b)) for a, b in edges]


def spread_evenly(stretches: Sequence[Stretch], count: int, max_ticks: int) -> list[Stretch]:
    """Return at most ``count`` pieces of at most ``max_ticks``, evenly spread over all stretches."""
    pieces = [
        dataclasses.replace(stretch, start=start, stop=min(start + max_ticks, stretch.stop))
        for stretch in stretches
        for start in range(stretch.start, stretch.stop, max_ticks)
    ]
    if len(pieces) <= count:
        return pieces
    return [pieces[int(place)] for place in (np.arange(count) + 0.5) * len(pieces) / count]
