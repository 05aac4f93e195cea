"""What a gather returns: ``B`` windows of ``L`` ticks, sensor by sensor, with masks and ages."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Rows of a vector sensor as the ticks of windows see them.

    Attributes:
        values: ``(B, L, R, *shape)`` float32, zero where masked.
        mask: ``(B, L, R)`` bool: the row exists in this episode (for fast sensors: arrived at this tick).
        fresh: ``(B, L, R)`` bool: the row arrived at this very tick.
        age_s: ``(B, L, R)`` float32: seconds from capture to the tick, zero where masked.
    """

    values: Tensor
    mask: Tensor
    fresh: Tensor
    age_s: Tensor


@dataclass(frozen=True)
class Frames:
    """Distinct frames of an image sensor, each once, and which of them each tick refers to.

    Attributes:
        values: ``(B, F, H, W, C)`` uint8.
        slot: ``(B, L)`` int64 in [0, F): the newest frame at that tick.
        mask: ``(B, L)`` bool: there is such a frame in this episode.
        age_s: ``(B, L)`` float32.
    """

    values: Tensor
    slot: Tensor
    mask: Tensor
    age_s: Tensor

    def first(self, num_windows: int) -> Frames:
        """Keep frames of the first ``num_windows`` windows only; the others see the sensor as missing."""
        kept = torch.arange(len(self.mask), device=self.mask.device) < num_windows
        return dataclasses.replace(self, values=self.values[:num_windows], mask=self.mask & kept[:, None])


@dataclass(frozen=True)
class Windows:
    """``B`` windows of ``L`` consecutive ticks of one lane; nothing from outside the episode is visible.

    Attributes:
        rows: vector sensors by name.
        frames: image sensors by name.
        action: ``(B, L, A)`` float32, the action that led to each tick, zero where masked.
        action_mask: ``(B, L)`` bool: false at the first tick of an episode and before it.
        reward: ``(B, L)`` float32, that came with each tick.
        terminated: ``(B, L)`` bool.
        valid: ``(B, L)`` bool: the tick belongs to the episode of the window's end.
        tick: ``(B, L)`` int64, per-lane tick numbers.
        start: ``(B,)`` int64: the first tick of the episode.
        lane: ``(B,)`` int64.
    """

    rows: dict[str, Rows]
    frames: dict[str, Frames]
    action: Tensor
    action_mask: Tensor
    reward: Tensor
    terminated: Tensor
    valid: Tensor
    tick: Tensor
    start: Tensor
    lane: Tensor

    def to(self, device: torch.device) -> Windows:
        """Return the windows on ``device``; sensor values that lie in page-locked memory are copied without waiting."""

        def moved(part: Rows | Frames) -> dict[str, Tensor]:
            return {name: value.to(device, non_blocking=True) for name, value in vars(part).items()}

        tables: dict[str, Any] = {
            "rows": {name: Rows(**moved(rows)) for name, rows in self.rows.items()},
            "frames": {name: Frames(**moved(frames)) for name, frames in self.frames.items()},
        }
        plain = {name: value.to(device, non_blocking=True) for name, value in vars(self).items() if name not in tables}
        return Windows(**tables, **plain)

    def limit_frames(self, max_frames: int, windows_per_group: int = 1) -> Windows:
        """Keep at most about ``max_frames`` frames a sensor: of whole groups of windows, at least one group.

        Within a group either all windows have the camera or none: else having it would tell apart the candidates
        of a contrast.
        """
        frames = {}
        for name, sensor in self.frames.items():
            num_groups = max(1, max_frames // sensor.values.shape[1] // windows_per_group)
            frames[name] = sensor.first(num_groups * windows_per_group)
        return dataclasses.replace(self, frames=frames)
