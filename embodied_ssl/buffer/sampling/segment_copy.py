"""Segments of one buffer as ticks that another buffer can append."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.windows import Frames, Rows, Windows
from embodied_ssl.spec import Tick


def ticks_of(windows: Windows, lanes: np.ndarray, lengths: np.ndarray) -> Iterator[Tick]:
    """Yield the ticks of segments, oldest first; each segment is an episode of its own.

    The first tick of a segment delivers what was held there, with its age, as if it had just arrived.

    Args:
        windows: ``(S, L)`` gathered windows; a segment is the end of one.
        lanes: ``(S,)`` distinct lanes of the buffer that will append.
        lengths: ``(S,)`` ticks of each segment, at most L.
    """
    num_ticks = windows.valid.shape[1]
    sensors = {name: _row_parts(rows) for name, rows in windows.rows.items()}
    sensors |= {name: _frame_parts(frames) for name, frames in windows.frames.items()}
    fresh = {name: part[1] for name, part in sensors.items()}
    held = {name: part[2] for name, part in sensors.items()}
    age_s = {name: part[3].cpu().numpy() for name, part in sensors.items()}
    terminated = windows.terminated.cpu().numpy()
    for step in range(num_ticks - int(lengths.max(initial=0)), num_ticks):
        some = np.flatnonzero(step >= num_ticks - lengths)
        at = torch.from_numpy(some).to(windows.lane.device)
        first = np.equal(num_ticks - lengths[some], step)
        yield Tick(
            lanes=lanes[some],
            rows={name: part[0](at, step) for name, part in sensors.items()},
            fresh={name: np.where(first[:, None], held[name][some, step], fresh[name][some, step]) for name in sensors},
            age_s={name: age_s[name][some, step] for name in sensors},
            action=windows.action[at, step],
            reward=windows.reward[at, step],
            is_first=first,
            terminated=terminated[some, step],
            truncated=np.zeros(len(some), bool),
        )


def _row_parts(rows: Rows) -> tuple[Any, np.ndarray, np.ndarray, Tensor]:
    """Return a reader of rows ``(M, R, ...)`` at a step, what is fresh and what is held ``(S, L, R)``, and ages."""
    return lambda at, step: rows.values[at, step], rows.fresh.cpu().numpy(), rows.mask.cpu().numpy(), rows.age_s


def _frame_parts(frames: Frames) -> tuple[Any, np.ndarray, np.ndarray, Tensor]:
    """Return the same for frames, at most one a tick: one is fresh where the newest is another than a tick before."""
    mask = frames.mask.cpu().numpy()
    slot = np.where(mask, frames.slot.cpu().numpy(), -1)
    fresh = mask & (np.diff(slot, axis=1, prepend=-1) != 0)
    read = lambda at, step: frames.values[at, frames.slot[at, step]][:, None]  # noqa: E731
    return read, fresh[..., None], mask[..., None], frames.age_s[..., None]
