"""Per-tick arrays of the whole probe set: every episode is gathered and encoded once, in one long window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.encoders.stream_encoder import StreamEncoder

LANES_AT_ONCE = 8


@torch.no_grad()
def map_episodes(
    function: Callable[[Windows], Tensor], buffer: StreamBuffer, lengths: np.ndarray, lanes: np.ndarray | None = None
) -> np.ndarray:
    """Apply ``function`` to whole episodes and line the results up by tick number.

    Args:
        function: windows ``(B, L)`` to values ``(B, P, F)`` at their last P ticks.
        buffer: holds one episode a lane, from tick 0.
        lengths: ``(N,)`` ticks of each episode.
        lanes: ``(M,)`` which episodes; None takes all.

    Returns:
        ``(M, T, F)`` float32, zeros at ticks without a value.
    """
    lanes = np.arange(len(lengths)) if lanes is None else lanes
    num_ticks = int(lengths[lanes].max())
    aligned = []
    for chunk in np.array_split(lanes, -(-len(lanes) // LANES_AT_ONCE)):
        ends = torch.from_numpy(lengths[chunk] - 1)
        values = function(buffer.gather(torch.from_numpy(chunk), ends, num_ticks)).numpy()
        padded = np.pad(values, ((0, 0), (num_ticks - values.shape[1], 0), (0, 0)))
        # A shorter episode sits at the right edge of its window: move its tick 0 to column 0.
        aligned += [
            np.roll(row, int(lengths[lane]) - num_ticks, axis=0) for row, lane in zip(padded, chunk, strict=True)
        ]
    return np.stack(aligned)


def embed_all(encoder: StreamEncoder, buffer: StreamBuffer, lengths: np.ndarray) -> np.ndarray:
    """Return the embedding of every tick with a whole context, ``(N, T, D)``; zeros before."""
    return map_episodes(encoder, buffer, lengths)
