"""What every sampler offers: batches of windows in groups of one episode, in a distribution that it can write out."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError

Ends = tuple[np.ndarray, np.ndarray]
"""Lanes ``(B,)`` and end ticks ``(B,)`` of windows, int64 on the host."""


class Sampler(Protocol):
    """Draws legal windows of one shape from one buffer.

    `weights` is the distribution written out: a draw picks each window with its share of the sum. It costs time in
    proportion to the buffer, the other methods do not.
    """

    def draw(self, num_windows: int, rng: np.random.Generator, windows_per_episode: int = 1) -> Ends:
        """Draw windows, with replacement.

        With ``windows_per_episode`` = M the batch is B / M groups, windows of a group side by side and of one
        episode; each single window is distributed as `weights` says, whatever M is.

        Raises:
            BufferFullError: there is no legal window yet.
        """
        ...

    def episodes(self, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return ``(B,)`` int64 that are equal where windows are of one episode, and only there."""
        ...

    def weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lanes and ends of every legal window and their relative weights, float64."""
        ...


def require_legal(buffer: StreamBuffer, shape: WindowShape) -> None:
    """Check that a window can be drawn; the caller holds ``buffer.lock``.

    Raises:
        BufferFullError: there is none.
    """
    if buffer.indices[shape].num_legal == 0:
        raise BufferFullError(
            f"no legal window of {shape.length} ticks among {buffer.num_ticks} stored lane-ticks; "
            f"episodes need more than {shape.horizon} ticks"
        )


def legal_span(buffer: StreamBuffer, shape: WindowShape, lanes: np.ndarray, ends: np.ndarray) -> Ends:
    """Return first and last legal end ``(B,)`` of the episodes of legal windows; the caller holds ``buffer.lock``.

    The legal ends of an episode are consecutive ticks.
    """
    index = buffer.indices[shape]
    start, last = buffer.table.bounds(lanes, ends)
    expired, _ = index.spans
    return np.maximum(start + shape.horizon, index.end(lanes, expired[lanes])), last


def episode_keys(buffer: StreamBuffer, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return ``(B,)`` numbers of the episodes of windows; unique for fewer than 2^31 lanes and 2^32 ticks a lane."""
    with buffer.lock:
        start, _ = buffer.table.bounds(lanes, ends)
    return lanes * 2**32 + start
