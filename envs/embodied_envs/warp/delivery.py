"""How one sensor's readings reach the observation on the device: `embodied_envs.delivery` with tensors.

Random numbers come from one generator for all lanes, on the device: a lane's noise depends on how many lanes there are.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor

from embodied_envs.sensors import Sensor, has_age, has_valid
from embodied_envs.warp.physics import WarpPhysics
from embodied_envs.warp.readers import WarpReading, make_reader

__all__ = ["WarpDelivery"]

_LONG_AGO_S = 1e9


class WarpDelivery:
    """One vector sensor of all lanes; latency, noise and loss as in `delivery.Delivery`.

    What it remembers of delivered samples is kept as ages, which grow by one control period per tick.
    """

    def __init__(self, sensor: Sensor, physics: WarpPhysics, control_hz: float) -> None:
        """Bind the sensor's reader and allocate what is held per lane."""
        self.key, self._sensor = sensor.key, sensor
        self._reader = make_reader(sensor, physics, control_hz)
        self._period_s, self._is_fast = 1.0 / control_hz, sensor.is_fast(control_hz)
        self._num_rows = sensor.num_rows(control_hz)
        self._row_shape = sensor.shape[1:] if self._is_fast else sensor.shape
        self.num_values = math.prod(sensor.shape)
        self._num_drops = self._num_rows if sensor.dropout > 0 else 0
        self.num_chances = self._num_drops + (1 if sensor.jitter_s > 0 else 0)
        self._drop_below = NormalDist().inv_cdf(sensor.dropout) if sensor.dropout > 0 else -math.inf
        self._is_late = sensor.latency_s > 0 or sensor.jitter_s > 0
        self._holds = sensor.repeats_samples(control_hz)
        lanes, device = physics.num_lanes, physics.bind("qpos").device
        self._bias = torch.zeros((lanes, 1, *self._row_shape), device=device)
        self._cutoff_s = torch.full((lanes,), _LONG_AGO_S, device=device)  # age of the newest sample let through
        self._held = torch.zeros((lanes, self._num_rows, *self._row_shape), device=device)
        self._held_valid = torch.zeros((lanes, self._num_rows), dtype=torch.bool, device=device)
        self._held_age_s = torch.full((lanes,), _LONG_AGO_S, device=device)
        self._rows = torch.arange(self._num_rows, device=device)

    def start(self, lanes: Tensor, generator: torch.Generator) -> None:
        """Forget the masked lanes' [lane] deliveries and draw their biases."""
        self._cutoff_s.masked_fill_(lanes, _LONG_AGO_S)
        self._held_age_s.masked_fill_(lanes, _LONG_AGO_S)
        self._held_valid &= ~lanes[:, None]
        if self._sensor.bias_std > 0:
            draw = torch.randn(self._bias.shape, generator=generator, device=lanes.device)
            WarpPhysics.write(self._bias, lanes, self._sensor.bias_std * draw)

    def tick(self, lanes: Tensor) -> None:
        """Let what the masked lanes hold grow older by one control period."""
        self._cutoff_s += self._period_s * lanes
        self._held_age_s += self._period_s * lanes

    def read(self, elapsed_s: Tensor, lanes: Tensor, chances: Tensor) -> WarpReading:
        """Return the noise-free rows that have arrived; `chances` are standard normals [lane, num_chances]."""
        return self._reader.read(elapsed_s, self._arrival_delay(lanes, chances) if self._is_late else None)

    def _arrival_delay(self, lanes: Tensor, chances: Tensor) -> Tensor:
        """Return the age [lane] from which samples have arrived; what was delivered once is not withdrawn."""
        delay_s = torch.full_like(self._cutoff_s, self._sensor.latency_s)
        if self._sensor.jitter_s > 0:
            delay_s = delay_s + self._sensor.jitter_s * torch.special.ndtr(chances[:, -1])  # normal -> uniform
        WarpPhysics.write(self._cutoff_s, lanes, torch.minimum(self._cutoff_s, delay_s))
        return self._cutoff_s

    def deliver(self, reading: WarpReading, lanes: Tensor, noise: Tensor, chances: Tensor) -> dict[str, Tensor]:
        """Return the sensor's key with its companions.

        Args:
            reading: what `read` returned.
            lanes: mask [lane] of lanes that observe.
            noise: standard normals [lane, num_values].
            chances: standard normals [lane, num_chances].
        """
        values, valid = self._distort(reading.values, noise), reading.valid
        if self._num_drops:
            kept = chances[:, : self._num_drops] >= self._drop_below
            valid = kept if valid is None else valid & kept
        if self._holds:
            values, valid = self._hold(values, valid, reading, lanes)
        return self._entries(values, reading.age_s, valid)

    def _distort(self, values: Tensor, noise: Tensor) -> Tensor:
        noisy = torch.add(values, noise.reshape(values.shape), alpha=self._sensor.noise_std)
        if self._sensor.bias_std > 0:
            noisy += self._bias
        return noisy.clamp_(self._sensor.low, self._sensor.high)

    def _hold(self, values: Tensor, valid: Tensor | None, reading: WarpReading, lanes: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows where samples seen before keep the noise, and the loss, that they had."""
        assert reading.age_s is not None, "a sensor that repeats samples says how old they are"
        assert reading.valid is not None, "and which exist"
        age_s = torch.where(reading.valid, reading.age_s, _LONG_AGO_S)
        is_new = age_s < self._held_age_s[:, None] - 0.5 / self._sensor.rate_hz
        source = (self._rows + is_new.sum(dim=1, keepdim=True)).clamp(max=self._num_rows - 1)
        held = self._held.take_along_dim(self._like_rows(source), dim=1)
        values = torch.where(self._like_rows(is_new), values, held)
        fresh_valid = torch.ones_like(is_new) if valid is None else valid
        valid = torch.where(is_new, fresh_valid, self._held_valid.gather(1, source))
        WarpPhysics.write(self._held, lanes, values)
        WarpPhysics.write(self._held_valid, lanes, valid)
        WarpPhysics.write(self._held_age_s, lanes, torch.minimum(self._held_age_s, age_s.amin(dim=1)))
        return values, valid

    def _like_rows(self, table: Tensor) -> Tensor:
        """Return a table [lane, row] with trailing axes, to go with values [lane, row, *row shape]."""
        return table.view(*table.shape, *[1] * len(self._row_shape))

    def _entries(self, values: Tensor, age_s: Tensor | None, valid: Tensor | None) -> dict[str, Tensor]:
        """Rows never captured or lost are zero."""
        entries = {self.key: values}
        if has_age(self._sensor) and age_s is not None:
            entries[f"{self.key}.age_s"] = age_s
        if has_valid(self._sensor):
            valid = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device) if valid is None else valid
            entries[self.key] = values.masked_fill(~self._like_rows(valid), 0.0)
            entries[f"{self.key}.valid"] = valid.to(torch.int8)
        return entries if self._is_fast else {key: rows[:, 0] for key, rows in entries.items()}
