"""What a segment is like, cheaply: means and spreads of its readings, and its last picture in a few cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from embodied_ssl.buffer.windows import Frames, Rows, Windows

Features = Callable[[Windows], np.ndarray]
"""From ``B`` windows to ``(B, D)``, on the host; an encoder's embedding will do."""

CELLS = 4
"""Cells along each side of a picture."""


@torch.no_grad()
def reading_statistics(windows: Windows) -> np.ndarray:
    """Return ``(B, D)`` float32: mean and spread of each value of a vector sensor, and a camera's cells."""
    parts = [part for rows in windows.rows.values() for part in _mean_and_spread(rows)]
    parts += [_last_picture(frames) for frames in windows.frames.values()]
    return torch.cat([part.flatten(1) for part in parts], dim=1).cpu().numpy()


def _mean_and_spread(rows: Rows) -> tuple[Tensor, Tensor]:
    values = rows.values.flatten(3).float() if rows.values.dim() > 3 else rows.values.float()[..., None]
    mask = rows.mask[..., None]
    count = mask.sum((1, 2)).clamp(min=1)
    mean = (values * mask).sum((1, 2)) / count
    spread = ((values - mean[:, None, None]).square() * mask).sum((1, 2)) / count
    return mean, spread.sqrt()


def _last_picture(frames: Frames) -> Tensor:
    picture = frames.values[torch.arange(len(frames.slot), device=frames.slot.device), frames.slot[:, -1]]
    picture = picture.movedim(-1, 1).float() / 255.0
    return F.adaptive_avg_pool2d(picture, CELLS) * frames.mask[:, -1, None, None, None]
