"""Every random number of an update, drawn outside it by an explicit generator into tensors of fixed shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.sampling.two_tier import WindowSource, join_tiers
from embodied_ssl.buffer.sampling.uniform import Uniform
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import LearnerConfig
from embodied_ssl.encoders.stream_encoder import View
from embodied_ssl.objectives import Objective
from embodied_ssl.spec import StreamSpec

ACTION_DROPOUT = 0.25
"""Chance that a window hides its actions: the windows on which inverse dynamics is asked."""


@dataclass(frozen=True)
class Kept:
    """Windows of the long-term memory: its buffer, slots and ends ``(K,)``, and whether they lead the batch."""

    buffer: StreamBuffer
    lanes: Tensor
    ends: Tensor
    first: bool


@dataclass(frozen=True)
class Draws:
    """The draws of one update.

    Attributes:
        lanes: ``(B,)`` int64, or ``(B - K,)`` beside K windows of the long-term memory.
        ends: int64 as ``lanes``, the last tick of each window.
        online: view 1: jitter, shift and hidden sensors.
        target: view 2: jitter and shift.
        objectives: per objective its own draws.
    """

    lanes: Tensor
    ends: Tensor
    online: View
    target: View
    objectives: dict[str, dict[str, Tensor]]
    kept: Kept | None = None

    def gather(self, buffer: StreamBuffer, length: int) -> Windows:
        """Gather the batch, ``B`` windows of ``length`` ticks, from ``buffer`` and the memory."""
        windows = buffer.gather(self.lanes, self.ends, length)
        if self.kept is None:
            return windows
        kept = self.kept.buffer.gather(self.kept.lanes, self.kept.ends, length)
        return join_tiers(windows, kept, buffer.num_lanes, self.kept.first)


def make_draws(
    buffer: StreamBuffer,
    shape: WindowShape,
    config: LearnerConfig,
    objectives: dict[str, Objective],
    rng: np.random.Generator,
    source: WindowSource | None = None,
) -> Draws:
    """Draw one update's windows, views and objective draws, and move them to the buffer's device.

    ``source`` says which windows; None: all of the buffer alike.
    """
    source = source or WindowSource(Uniform(buffer, shape))
    picked = source.pick(config.batch_size, config.windows_per_episode, rng)

    def to(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(buffer.device, non_blocking=True)

    def view(hides: bool) -> View:
        jitter, shift = _noise(buffer.spec, shape.length, config, rng)
        keep = to(_keep(buffer.spec, config, rng)) if hides else None
        return View({k: to(v) for k, v in jitter.items()}, {k: to(v) for k, v in shift.items()}, keep)

    kept = None
    if picked.kept is not None and source.reservoir is not None:
        kept = Kept(source.reservoir.buffer, to(picked.kept[0]), to(picked.kept[1]), picked.kept_first)
    extra = {name: objective.draw(config.batch_size, rng) for name, objective in objectives.items()}
    return Draws(
        lanes=to(picked.recent[0]),
        ends=to(picked.recent[1]),
        online=view(hides=True),
        target=view(hides=False),
        objectives={name: {k: to(v) for k, v in draws.items()} for name, draws in extra.items()},
        kept=kept,
    )


def _noise(
    spec: StreamSpec, length: int, config: LearnerConfig, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    jitter = {
        s.name: config.jitter
        * rng.standard_normal((config.batch_size, length, spec.rows_per_tick(s), *s.shape), dtype=np.float32)
        for s in spec.vectors
    }
    pixels = config.shift_pixels
    shift = {s.name: rng.integers(-pixels, pixels + 1, size=(config.batch_size, 2)) for s in spec.images}
    return jitter, shift


def _keep(spec: StreamSpec, config: LearnerConfig, rng: np.random.Generator) -> np.ndarray:
    """Return ``(B, S + 1)`` bool: at most one sensor hidden per window, and the actions apart from that."""
    num_sensors = len(spec.sensors)
    hidden = rng.integers(num_sensors, size=config.batch_size)
    hides = rng.random(config.batch_size) < config.sensor_dropout
    keep = np.ones((config.batch_size, num_sensors + 1), bool)
    keep[np.flatnonzero(hides), hidden[hides]] = False
    keep[:, -1] = rng.random(config.batch_size) >= ACTION_DROPOUT
    return keep
