"""Made-up shared latents for tests of objectives: windows of several episodes, some of which begin in mid-window."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from embodied_ssl.objectives import Dims, Latents

DIMS = Dims(features_dim=6, action_size=2, sensor_dims=(2, 3), context_ticks=4, horizon_ticks=5, windows_per_episode=4)
NUM_GROUPS = 3
BATCH = NUM_GROUPS * DIMS.windows_per_episode
LENGTH = DIMS.context_ticks + DIMS.horizon_ticks


def make_latents(seed: int = 0, dims: Dims = DIMS, num_groups: int = NUM_GROUPS) -> Latents:
    """Random latents whose masks fit together: ticks before an episode's start are invalid in every field."""
    rng = torch.Generator().manual_seed(seed)
    batch, length = num_groups * dims.windows_per_episode, dims.context_ticks + dims.horizon_ticks
    start = torch.randint(100, 120, (num_groups,), generator=rng).repeat_interleave(dims.windows_per_episode)
    end = start + torch.randint(1, 3 * length, (batch,), generator=rng)
    ticks = end[:, None] + torch.arange(1 - length, 1)
    arrived = torch.rand(batch, length, dims.readings_dim, generator=rng) < 0.8
    return Latents(
        online=torch.randn(batch, dims.num_positions, dims.features_dim, generator=rng),
        target=torch.randn(batch, dims.num_positions, dims.features_dim, generator=rng),
        action=torch.rand(batch, length, dims.action_size, generator=rng) * 2 - 1,
        action_mask=ticks > start[:, None],
        action_hidden=torch.rand(batch, generator=rng) < 0.5,
        readings=torch.randn(batch, length, dims.readings_dim, generator=rng),
        readings_mask=arrived & (ticks >= start[:, None])[..., None],
        valid=(ticks >= start[:, None])[:, dims.context_ticks - 1 :],
        tick=ticks[:, dims.context_ticks - 1 :],
        episode=torch.arange(num_groups).repeat_interleave(dims.windows_per_episode) * 2**32 + start,
    )


def select(latents: Latents, index: torch.Tensor) -> Latents:
    """The windows at ``index``, in that order."""
    return Latents(**{f.name: getattr(latents, f.name)[index] for f in dataclasses.fields(Latents)})


def with_all_masked(latents: Latents) -> Latents:
    """The same latents with nothing that counts."""
    masks = ("action_mask", "action_hidden", "readings_mask", "valid")
    return dataclasses.replace(latents, **{name: torch.zeros_like(getattr(latents, name)) for name in masks})


class ReadingErrors:
    """Squared errors of predicted readings, one tick of one window at a time: levels and changes of the plain loops."""

    def __init__(self) -> None:
        self.level, self.change, self.moved = ([[] for _ in range(DIMS.readings_dim)] for _ in range(3))

    def add(
        self, latents: Latents, window: int, tick: int, predicted: torch.Tensor, before: torch.Tensor | None
    ) -> None:
        """Score ``predicted (S,)`` of ``tick``; ``before`` is the prediction of the tick before, None: no such one."""
        for column in range(DIMS.readings_dim):
            if not latents.readings_mask[window, tick, column]:
                continue
            reading = float(latents.readings[window, tick, column])
            self.level[column].append((float(predicted[column]) - reading) ** 2)
            if before is not None and latents.readings_mask[window, tick - 1, column]:
                moved = reading - float(latents.readings[window, tick - 1, column])
                self.change[column].append((float(predicted[column] - before[column]) - moved) ** 2)
                self.moved[column].append(moved**2)

    def means(self) -> tuple[float, float]:
        """Mean over sensors of the level errors, and of the change errors in units of the change's variance."""
        relative = [[x / np.mean(m) for x in c] for c, m in zip(self.change, self.moved, strict=True)]
        return self._mean(self.level), self._mean(relative)

    @staticmethod
    def _mean(squares: list[list[float]]) -> float:
        by_sensor = np.split(np.arange(DIMS.readings_dim), np.cumsum(DIMS.sensor_dims)[:-1])
        return float(np.mean([np.mean([x for column in s for x in squares[column]] or [0]) for s in by_sensor]))
