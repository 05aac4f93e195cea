"""Which windows are legal, from the bounds of episodes alone, so that a draw is exactly uniform.

A window of ``context + horizon`` ticks ends at tick ``e``. Its last ``horizon + 1`` ticks lie in one episode; of
the ``context - 1`` ticks before them those that precede the episode are masked, so the first ticks of an episode
are learned from as the policy will see them. Everything here is host memory: the draw is made outside the update.

The legal ends of an episode are consecutive ticks, and those of a lane keep the numbers that they got when they came
in: legal are the numbers from ``expired`` to ``added``. A draw costs time in proportion to the number of episodes in
the ring when ticks have come in since the last one, and to the logarithm of it otherwise; never to the capacity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_ssl.buffer.episodes import Episodes, EpisodeTable
from embodied_ssl.errors import BufferFullError


@dataclass(frozen=True)
class WindowShape:
    """Length of a window in ticks: ``context`` ending at the anchor, ``horizon`` after it."""

    context: int
    horizon: int

    @property
    def length(self) -> int:
        """All ticks of the window, L."""
        return self.context + self.horizon

    def check_fits(self, capacity_ticks: int, guard_ticks: int) -> None:
        """Check that a ring has room for a window.

        Raises:
            BufferFullError: it has not.
        """
        if capacity_ticks < self.length + guard_ticks:
            raise BufferFullError(
                f"capacity_ticks is {capacity_ticks}, expected at least {self.length + guard_ticks} "
                f"for windows of {self.length} ticks and a guard of {guard_ticks}"
            )

    @property
    def num_positions(self) -> int:
        """Ticks at which an embedding with its whole context exists, P = horizon + 1."""
        return self.horizon + 1


@dataclass(frozen=True)
class _Legal:
    """What is legal at one version of the table: ``expired, added, ahead (N,)`` and the episodes."""

    expired: np.ndarray
    added: np.ndarray
    ahead: np.ndarray  # running sum over lanes
    episodes: Episodes


class WindowIndex:
    """The legal ends of one window shape, per lane a queue of which only the numbers at both ends are kept."""

    def __init__(self, shape: WindowShape, table: EpisodeTable, guard_ticks: int) -> None:
        """Bind to ``table``; ends whose window reaches into the oldest ``guard_ticks`` are not legal."""
        self.shape = shape
        self._table = table
        self._guard = guard_ticks
        self._known: tuple[int, _Legal] | None = None

    def _legal(self) -> _Legal:
        version = self._table.version
        if self._known is None or self._known[0] != version:
            self._known = (version, self._count())
        return self._known[1]

    def _count(self) -> _Legal:
        episodes, count = self._table.episodes(), self._table.count
        oldest = (count - self._table.capacity + self._guard)[episodes.lane]  # first tick that draws may touch
        expiring = episodes.first < oldest
        low = np.where(expiring, oldest + self.shape.length - 1, episodes.first + self.shape.horizon)
        legal = np.bincount(episodes.lane, np.maximum(episodes.last - low + 1, 0), minlength=len(count))
        added = self._table.added(self.shape.horizon)
        legal = legal.astype(np.int64)
        return _Legal(added - legal, added, np.cumsum(legal), episodes)

    @property
    def num_legal(self) -> int:
        """Windows that can be drawn now."""
        return int(self._legal().ahead[-1])

    @property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """Per lane how many ends have expired and how many were ever added: legal are the numbers in between."""
        legal = self._legal()
        return legal.expired, legal.added

    def end(self, lanes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return the ends with these ``numbers``, counted per lane from the first one ever added.

        Of a lane without an end the answer means nothing.
        """
        episodes, horizon = self._legal().episodes, self.shape.horizon
        at = episodes.find_number(horizon, lanes, numbers)
        return episodes.first[at] + horizon + (numbers - episodes.before[horizon][at])

    def draw(self, num_windows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw lanes ``(B,)`` and end ticks ``(B,)`` uniformly, with replacement, from all legal windows."""
        legal = self._legal()
        pick = rng.integers(legal.ahead[-1], size=num_windows)
        lanes = np.searchsorted(legal.ahead, pick, side="right")
        # Counted from the newest end of the lane: any order is uniform, and this one needs no second cumsum.
        return lanes, self.end(lanes, legal.added[lanes] - (legal.ahead[lanes] - pick))

    def draw_siblings(
        self, lanes: np.ndarray, ends: np.ndarray, num_siblings: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw for each window ``num_siblings`` more of its own episode, uniformly; shapes ``(B, num_siblings)``."""
        start, last = self._table.bounds(lanes, ends)
        oldest_legal = self.end(lanes, self._legal().expired[lanes])
        low = np.maximum(start + self.shape.horizon, oldest_legal)
        siblings = rng.integers(low[:, None], last[:, None] + 1, size=(len(lanes), num_siblings))
        return np.repeat(lanes[:, None], num_siblings, 1), siblings

    def all_legal(self) -> tuple[np.ndarray, np.ndarray]:
        """Return lanes and ends of every legal window, by lane, oldest first."""
        legal = self._legal()
        counts = legal.added - legal.expired
        lanes = np.repeat(np.arange(len(counts)), counts)
        numbers = np.arange(len(lanes)) - np.repeat(legal.ahead - counts, counts) + legal.expired[lanes]
        return lanes, self.end(lanes, numbers)
