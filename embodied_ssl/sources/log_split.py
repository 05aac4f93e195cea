"""Which stretches of logs are learned from and which are held out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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


def episodes_of(log: int, lanes: Sequence[np.ndarray]) -> list[Stretch]:
    """Return the episodes of a log, by lane and in order.

    Args:
        log: its number.
        lanes: per lane ``(T,)`` bool: the tick begins an episode; a lane's very first one does in any case.
    """
    episodes = []
    for lane, is_first in enumerate(lanes):
        starts = np.union1d(np.flatnonzero(is_first), [0] if len(is_first) else [])
        stops = [*starts[1:], len(is_first)] if len(is_first) else []
        episodes += [Stretch(log, lane, int(a), int(b)) for a, b in zip(starts, stops, strict=True)]
    return episodes


def split(episodes: Sequence[Stretch], holdout: float, gap_ticks: int) -> tuple[list[Stretch], list[Stretch]]:
    """Return what is learned from and what is held out of one log.

    Of five episodes or more whole ones are held out, evenly spread and the same in every run. Of fewer, the last part
    of each one, with a gap before it, so that no window of the one reaches into what the other shows.

    Args:
        episodes: of the log.
        holdout: share to hold out; 0 holds out nothing.
        gap_ticks: ticks left out between the two parts of an episode.
    """
    if holdout == 0:
        return list(episodes), []
    if len(episodes) < FEW_EPISODES:
        return _split_each(episodes, holdout, gap_ticks)
    count = max(1, min(len(episodes) - 1, round(holdout * len(episodes))))
    chosen = set(((np.arange(count) + 0.5) * len(episodes) / count).astype(int).tolist())
    return (
        [episode for number, episode in enumerate(episodes) if number not in chosen],
        [episode for number, episode in enumerate(episodes) if number in chosen],
    )


def _split_each(episodes: Sequence[Stretch], holdout: float, gap_ticks: int) -> tuple[list[Stretch], list[Stretch]]:
    learned, held = [], []
    for episode in episodes:
        begin = episode.stop - round(holdout * episode.num_ticks)
        learned.append(dataclasses.replace(episode, stop=max(episode.start, begin - gap_ticks)))
        held.append(dataclasses.replace(episode, start=begin))
    return [s for s in learned if s.num_ticks], [s for s in held if s.num_ticks]


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
