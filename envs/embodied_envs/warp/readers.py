"""Noise-free readings of the vector sensors on the device: `embodied_envs.readers` with tensors.

A lane's clock stands at 0 whenever it is observed (see `physics`), so a recorded time is minus the sample's age.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import mujoco
import torch
from torch import Tensor

from embodied_envs.native_history import RING_HEADER
from embodied_envs.sensors import HistoryMean, HistoryRows, Qpos, Sensor
from embodied_envs.warp.physics import WarpPhysics

__all__ = ["WarpReader", "WarpReading", "can_read", "make_reader"]


@dataclass(frozen=True)
class WarpReading:
    """Noise-free rows of one sensor, oldest first.

    Attributes:
        values: float32 [lane, rows, *row shape].
        age_s: float32 [lane, rows] seconds from capture to now; None: age 0.
        valid: bool [lane, rows], false where a row was never captured in this episode; None: all were.
    """

    values: Tensor
    age_s: Tensor | None = None
    valid: Tensor | None = None


class WarpReader(Protocol):
    """Reads one sensor of all lanes."""

    def read(self, elapsed_s: Tensor, delay_s: Tensor | None) -> WarpReading:
        """Return the reading.

        Args:
            elapsed_s: seconds since the lane's reset [lane].
            delay_s: age [lane] that a sample must have to have arrived; None: nothing is late.
        """
        ...


def can_read(sensor: Sensor) -> bool:
    """Return whether the sensor is a vector sensor that needs no NumPy code of its robot."""
    source = sensor.source
    return isinstance(source, Qpos | HistoryMean) or (isinstance(source, HistoryRows) and source.arrange is None)


def make_reader(sensor: Sensor, physics: WarpPhysics, control_hz: float) -> WarpReader:
    """Return the reader of a vector sensor.

    Raises:
        ValueError: a source that is read by NumPy code only, or a late sensor whose source cannot be late.
    """
    source = sensor.source
    if not can_read(sensor):
        raise ValueError(
            f"sensor {sensor.key!r} is computed by NumPy code, expected Qpos, HistoryRows or HistoryMean on Warp; "
            "fix: leave it out with sensors=[...]"
        )
    if isinstance(source, HistoryRows):
        return _RowsReader(source, sensor, physics, control_hz)
    if sensor.latency_s > 0 or sensor.jitter_s > 0:
        raise ValueError(f"sensor {sensor.key!r} has a latency, expected a HistoryRows source for a late sensor")
    assert isinstance(source, Qpos | HistoryMean)
    return _QposReader(source, physics) if isinstance(source, Qpos) else _MeanReader(source, physics)


class _History:
    """The rings of engine sensors of equal dimension and timing, as `native_history.NativeHistory`."""

    def __init__(self, physics: WarpPhysics, sensors: tuple[str, ...]) -> None:
        model = physics.model
        ids = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, name) for name in sensors]
        self.num_samples, self._dim = int(model.sensor_history[ids[0], 0]), int(model.sensor_dim[ids[0]])
        size, start = RING_HEADER + self.num_samples * (1 + self._dim), int(model.sensor_historyadr[ids[0]])
        expected = [start + size * index for index in range(len(ids))]
        if self.num_samples < 1 or model.sensor_historyadr[ids].tolist() != expected:
            raise ValueError(f"got engine sensors {list(sensors)}, expected histories of equal size, side by side")
        rings = physics.bind("history")[:, start : start + size * len(ids)]
        self._rings = rings.unflatten(1, (len(ids), size))
        self._samples = self._rings[:, :, RING_HEADER + self.num_samples :].unflatten(2, (self.num_samples, self._dim))
        self._offsets = torch.arange(1, self.num_samples + 1, device=rings.device)

    def read(self) -> tuple[Tensor, Tensor]:
        """Return ages in s [lane, row] and samples [lane, row, sensor * dim], oldest first."""
        slots = (self._rings[:, 0, 1].long()[:, None] + self._offsets) % self.num_samples
        times = self._rings[:, 0, RING_HEADER : RING_HEADER + self.num_samples].gather(1, slots)
        samples = self._samples.take_along_dim(slots[:, None, :, None], dim=2)
        return -times, samples.transpose(1, 2).flatten(2)

    def mean(self) -> Tensor:
        """Return the mean over the ring of scalar sensors [lane, sensor]."""
        return self._samples[..., 0].mean(dim=2)


class _QposReader:
    def __init__(self, source: Qpos, physics: WarpPhysics) -> None:
        self._positions = physics.bind("qpos")[:, source.start : source.start + source.size]

    def read(self, elapsed_s: Tensor, delay_s: Tensor | None) -> WarpReading:
        return WarpReading(self._positions[:, None].clone())


class _RowsReader:
    """A reset clears the ring and dates its slots before the start: such rows were never captured."""

    def __init__(self, source: HistoryRows, sensor: Sensor, physics: WarpPhysics, control_hz: float) -> None:
        self._history = _History(physics, source.engine_sensors)
        self._axes = None if source.axes is None else torch.tensor(source.axes, device=physics.bind("qpos").device)
        self._num_rows = sensor.num_rows(control_hz)
        self._row_shape = sensor.shape[1:] if sensor.is_fast(control_hz) else sensor.shape
        self._tolerance_s = 0.25 * float(physics.model.opt.timestep)  # ages are float32; samples lie on substeps
        self._offsets = torch.arange(-self._num_rows, 0, device=physics.bind("qpos").device)
        needed = self._num_rows + math.ceil((sensor.latency_s + sensor.jitter_s) * sensor.rate_hz - 1e-9)
        if self._history.num_samples < needed:
            raise ValueError(
                f"sensor {sensor.key!r}: the engine keeps {self._history.num_samples} samples, expected at least "
                f"{needed}; fix: pass max_delay_s to set_rate"
            )

    def read(self, elapsed_s: Tensor, delay_s: Tensor | None) -> WarpReading:
        age_s, samples = self._history.read()
        exists = age_s <= elapsed_s[:, None] + self._tolerance_s
        if delay_s is not None or self._history.num_samples > self._num_rows:
            age_s, samples, exists = self._arrived(age_s, samples, exists, delay_s)
        if self._axes is not None:
            samples = samples.index_select(2, self._axes)
        return WarpReading(samples.reshape(*age_s.shape, *self._row_shape), age_s, exists)

    def _arrived(
        self, age_s: Tensor, samples: Tensor, exists: Tensor, delay_s: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the newest rows that are old enough to have arrived."""
        if delay_s is None:
            return age_s[:, -self._num_rows :], samples[:, -self._num_rows :], exists[:, -self._num_rows :]
        num_arrived = (age_s >= delay_s[:, None] - self._tolerance_s).sum(dim=1)
        rows = num_arrived[:, None] + self._offsets
        found = rows.clamp(min=0)
        exists = exists.gather(1, found) & (rows >= 0)
        return age_s.gather(1, found), samples.take_along_dim(found[:, :, None], dim=1), exists


class _MeanReader:
    """Before the first substep there is nothing to average: the reading is the engine's value at the reset, age 0."""

    def __init__(self, source: HistoryMean, physics: WarpPhysics) -> None:
        self._history = _History(physics, source.engine_sensors)
        model, sensordata = physics.model, physics.bind("sensordata")
        ids = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, name) for name in source.engine_sensors]
        self._addresses = torch.tensor([int(model.sensor_adr[index]) for index in ids], device=sensordata.device)
        self._sensordata = sensordata
        self._timestep_s = float(model.opt.timestep)

    def read(self, elapsed_s: Tensor, delay_s: Tensor | None) -> WarpReading:
        is_first = (elapsed_s == 0)[:, None]
        at_reset = self._sensordata.index_select(1, self._addresses)
        values = torch.where(is_first, at_reset, self._history.mean())
        return WarpReading(values[:, None], torch.where(is_first, 0.0, self._timestep_s).to(values.dtype))
