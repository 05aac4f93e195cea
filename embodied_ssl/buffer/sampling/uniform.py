"""All legal windows alike."""

from __future__ import annotations

import numpy as np

from embodied_ssl.buffer.sampling.sampler import Ends, episode_keys
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape


class Uniform:
    """Every legal window with the same chance; a draw costs the same however large the buffer is."""

    def __init__(self, buffer: StreamBuffer, shape: WindowShape) -> None:
        """Bind to the windows of ``shape`` of ``buffer``."""
        self.buffer, self.shape = buffer, shape

    def draw(self, num_windows: int, rng: np.random.Generator, windows_per_episode: int = 1) -> Ends:
        """Draw lanes and ends ``(B,)`` in groups of one episode, with replacement.

        Raises:
            BufferFullError: there is no legal window yet.
        """
        return self.buffer.draw(self.shape, num_windows, rng, windows_per_episode)

    def episodes(self, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return ``(B,)`` numbers of the episodes of windows."""
        return episode_keys(self.buffer, lanes, ends)

    def weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lanes and ends of every legal window, and ones."""
        with self.buffer.lock:
            lanes, ends = self.buffer.indices[self.shape].all_legal()
        return lanes, ends, np.ones(len(lanes))
