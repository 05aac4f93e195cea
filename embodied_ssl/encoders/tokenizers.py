"""One tokeniser per modality: raw rows or frames to a vector at every tick; what is missing becomes zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from embodied_ssl.buffer.windows import Frames, Rows
from embodied_ssl.encoders.standardizer import Standardizer
from embodied_ssl.spec import SensorSpec, StreamSpec


class RowTokenizer(nn.Module):
    """Shows the rows of a vector sensor as they are: standardised values, a mask bit and the age per row.

    No weights: the temporal core sees the last rows directly, because a window of positions holds velocity
    linearly and any bottleneck per tick loses it.
    """

    def __init__(self, spec: StreamSpec, sensor: SensorSpec) -> None:
        """Build for ``sensor`` of ``spec``."""
        super().__init__()
        self.standardizer = Standardizer(sensor.shape)
        self.tick_s = spec.tick_s
        self.features_dim = spec.rows_per_tick(sensor) * (sensor.size + 2)

    def forward(self, rows: Rows, jitter: Tensor | None, keep: Tensor | None) -> Tensor:
        """Return ``(B, L, features_dim)``.

        Args:
            rows: the sensor's rows.
            jitter: noise in standardised units, shaped as ``rows.values``, or None.
            keep: ``(B,)`` bool: false hides the sensor in that window, or None.
        """
        values = self.standardizer(rows.values)
        values = values if jitter is None else values + jitter
        mask = rows.mask if keep is None else rows.mask & keep[:, None, None]
        values = values.flatten(3) * mask[..., None]
        age = (rows.age_s / self.tick_s).clamp(max=32.0) * mask
        return torch.cat([values.flatten(2), mask.to(values.dtype), age], dim=2)


class FrameTokenizer(nn.Module):
    """A patch stem and strided convolutions: one token per distinct frame, looked up by every tick that sees it.

    For 64x64x3 and the default widths a frame costs about 1.4 MFLOP.
    """

    def __init__(self, spec: StreamSpec, sensor: SensorSpec, dim: int) -> None:
        """Build for ``sensor`` of ``spec`` with tokens of width ``dim``."""
        super().__init__()
        channels = sensor.shape[2]
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 16, 4, stride=4),
            nn.GELU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            flat = self.convolutions(torch.zeros(1, channels, *sensor.shape[:2])).shape[1]
        self.project = nn.Sequential(nn.Linear(flat, dim), nn.LayerNorm(dim))
        self.tick_s = spec.tick_s
        self.period_ticks = spec.control_hz / sensor.rate_hz
        self.features_dim = dim + 2

    def forward(self, frames: Frames, shift: Tensor | None, keep: Tensor | None) -> Tensor:
        """Return ``(B, L, features_dim)``; windows without frames (see `Windows.limit_frames`) get zeros.

        Args:
            frames: the sensor's frames; the first ``len(frames.values)`` windows have them.
            shift: ``(B, 2)`` int64 pixels down and right, one draw per window, or None.
            keep: ``(B,)`` bool: false hides the sensor in that window, or None.
        """
        values, num_seen = frames.values, len(frames.values)
        values = values if shift is None else shifted(values, shift[:num_seen])
        # In place: fresh memory for every intermediate costs more than the arithmetic.
        pixels = values.flatten(0, 1).permute(0, 3, 1, 2).to(torch.get_default_dtype()).mul_(1 / 255.0).sub_(0.5)
        tokens = self.project(self.convolutions(pixels)).view(num_seen, values.shape[1], -1)
        index = frames.slot[:num_seen, :, None].expand(-1, -1, tokens.shape[2])
        seen = tokens.gather(1, index)
        token = torch.cat([seen, seen.new_zeros(len(frames.slot) - num_seen, *seen.shape[1:])])
        mask = frames.mask if keep is None else frames.mask & keep[:, None]
        age = frames.age_s / (self.tick_s * self.period_ticks)
        return torch.cat([token, age[..., None].clamp(max=32.0), torch.ones_like(age)[..., None]], 2) * mask[..., None]


def shifted(frames: Tensor, shift: Tensor) -> Tensor:
    """Shift frames ``(B, F, H, W, C)`` by ``shift (B, 2)`` pixels, edge pixels repeated (random shift, DrQ)."""
    height, width = frames.shape[2:4]
    down = (torch.arange(height, device=frames.device) + shift[:, :1]).clamp(0, height - 1)
    right = (torch.arange(width, device=frames.device) + shift[:, 1:]).clamp(0, width - 1)
    if frames.is_cpu:  # whole rows, then whole pixels, window by window: seven times faster there than one gather
        moved = torch.empty_like(frames)
        for window, target, rows, columns in zip(frames, moved, down, right, strict=True):
            torch.index_select(window.index_select(1, rows), 2, columns, out=target)
        return moved
    batch = torch.arange(len(frames), device=frames.device)[:, None, None, None]
    frame = torch.arange(frames.shape[1], device=frames.device)[None, :, None, None]
    return frames[batch, frame, down[:, None, :, None], right[:, None, None, :]]
