"""New windows more often than old ones: a half-life in ticks, exactly, at a cost that does not grow with the buffer."""

from __future__ import annotations

import numpy as np

from embodied_ssl.buffer.sampling.sampler import Ends, episode_keys, legal_span, require_legal
from embodied_ssl.buffer.sampling.uniform import Uniform
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape


class Recent:
    """Weights ``2 ** (-age / half_life)``, mixed with a share of uniform draws.

    The age of a window is the number of ticks that its own lane has gone on since the window's end. A draw proposes by
    rank (the k-th newest legal window of a lane, geometric in k) and accepts with the chance that makes up for the
    ticks between, which end no legal window; so it is exact, and the expected number of proposals is at most about
    one over the share of ticks that end a legal window.
    """

    def __init__(
        self, buffer: StreamBuffer, shape: WindowShape, half_life_ticks: float, uniform_share: float = 0.0
    ) -> None:
        """Bind to the windows of ``shape``.

        Args:
            buffer: the ring.
            shape: of the windows.
            half_life_ticks: ticks after which a window is half as likely, > 0.
            uniform_share: chance in [0, 1] that a window, or a group of one episode, is drawn uniformly instead.
        """
        self.buffer, self.shape, self.uniform_share = buffer, shape, uniform_share
        self.decay = -np.log(2.0) / half_life_ticks
        self._uniform = Uniform(buffer, shape)

    def draw(self, num_windows: int, rng: np.random.Generator, windows_per_episode: int = 1) -> Ends:
        """Draw lanes and ends ``(B,)`` in groups of one episode, with replacement.

        Raises:
            BufferFullError: there is no legal window yet.
        """
        lanes, ends = self._uniform.draw(num_windows, rng, windows_per_episode)
        lanes, ends = lanes.reshape(-1, windows_per_episode), ends.reshape(-1, windows_per_episode)
        recent = np.flatnonzero(rng.random(len(lanes)) >= self.uniform_share)
        with self.buffer.lock:
            require_legal(self.buffer, self.shape)
            lane, end = self._draw_recent(len(recent), rng)
            low, high = legal_span(self.buffer, self.shape, lane, end)
        lanes[recent] = lane[:, None]
        size = (len(recent), windows_per_episode - 1)
        rank = truncated_geometric(self.decay, (high - low + 1)[:, None], rng.random(size))
        ends[recent] = np.concatenate([end[:, None], high[:, None] - rank], axis=1)
        return lanes.ravel(), ends.ravel()

    def _draw_recent(self, num: int, rng: np.random.Generator) -> Ends:
        lanes, ends = np.zeros(num, np.int64), np.zeros(num, np.int64)
        left = np.arange(num)
        while len(left):
            lane, end, accepted = self._propose(len(left), rng)
            lanes[left], ends[left] = lane, end  # those not accepted are written again
            left = left[~accepted]
        return lanes, ends

    def _propose(self, num: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lanes and ends of ``num`` proposals, and which of them are accepted."""
        index, newest = self.buffer.indices[self.shape], self.buffer.table.count - 1
        expired, added = index.spans
        busy = np.flatnonzero(added > expired)
        counts = (added - expired)[busy]
        delay = newest[busy] - index.end(busy, added[busy] - 1)  # age of each lane's newest legal window
        mass = np.cumsum(np.exp(self.decay * (delay - delay.min())) * -np.expm1(self.decay * counts))
        pick = np.searchsorted(mass / mass[-1], rng.random(num), side="right")
        lanes = busy[pick]
        rank = truncated_geometric(self.decay, counts[pick], rng.random(num))
        ends = index.end(lanes, added[lanes] - 1 - rank)
        skipped = newest[lanes] - ends - delay[pick] - rank
        return lanes, ends, rng.random(num) < np.exp(self.decay * skipped)

    def episodes(self, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return ``(B,)`` numbers of the episodes of windows."""
        return episode_keys(self.buffer, lanes, ends)

    def weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lanes, ends and weights of every legal window; the weights sum to 1."""
        lanes, ends, even = self._uniform.weights()
        age = self.buffer.table.count[lanes] - 1 - ends
        recent = np.exp(self.decay * (age - age.min(initial=0)))
        share = self.uniform_share
        return lanes, ends, share * even / max(1, len(even)) + (1 - share) * recent / max(recent.sum(), 1e-300)


def truncated_geometric(decay: float, size: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return whole numbers k in ``[0, size)`` with chances in proportion to ``exp(decay * k)``.

    Args:
        decay: negative.
        size: how many values there are; broadcast against ``uniform``.
        uniform: numbers in [0, 1); k is the inverse of the distribution function there.
    """
    rank = np.floor(np.log1p(uniform * np.expm1(decay * size)) / decay).astype(np.int64)
    return np.minimum(rank, size - 1)
