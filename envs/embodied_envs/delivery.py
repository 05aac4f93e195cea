"""How one sensor's readings reach the observation: late, biased, noisy, sometimes lost, and held between samples."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from mujoco.batch import Batch

from embodied_envs.readers import Reading, make_reader, needs_cutoff
from embodied_envs.row_clock import RowClocks
from embodied_envs.sensors import Sensor, has_age, has_valid

__all__ = ["Delivery"]

_GAUSS_TO_TANH = math.sqrt(2.0 / math.pi)


class Delivery:
    """One vector sensor of all lanes.

    Latency: a sample taken at time t is delivered at the first observation at or after t + latency + jitter; what was
    delivered once is not withdrawn by a larger jitter later. Noise and loss belong to a sample, not to an observation:
    a sample that is still the newest one is repeated with the same noise.
    """

    def __init__(self, sensor: Sensor, batch: Batch, clocks: RowClocks, control_hz: float) -> None:
        """Bind the sensor's reader and allocate what is held per lane."""
        self.key, self._sensor = sensor.key, sensor
        self._reader = make_reader(sensor, batch, clocks, control_hz)
        self._num_rows = sensor.num_rows(control_hz)
        self._row_shape = sensor.shape[1:] if sensor.is_fast(control_hz) else sensor.shape
        self._scalar = not sensor.is_fast(control_hz)
        self.num_values = math.prod(sensor.shape)
        self._num_drops = self._num_rows if sensor.dropout > 0 else 0
        self.num_chances = self._num_drops + (1 if sensor.jitter_s > 0 else 0)
        self._drop_below = NormalDist().inv_cdf(sensor.dropout) if sensor.dropout > 0 else -math.inf
        self._time_s, lanes = batch.bind("time"), batch.nsim
        self._is_late = needs_cutoff(self._reader)
        self._cutoff_s = np.full(lanes, -np.inf)
        self._holds = sensor.repeats_samples(control_hz)
        self._held = np.zeros((lanes, self._num_rows, *self._row_shape), np.float32)
        self._held_valid = np.zeros((lanes, self._num_rows), np.int8)
        self._held_until_s = np.full(lanes, -np.inf)
        self._rows = np.arange(self._num_rows)

    def start(self, lanes: np.ndarray) -> None:
        """Forget the masked lanes' [lane] deliveries."""
        self._cutoff_s[lanes] = -np.inf
        self._held_until_s[lanes] = -np.inf
        self._held_valid[lanes] = 0

    def draw_bias(self, generator: np.random.Generator) -> np.ndarray:
        """Return one lane's error of an episode, float32 [num_values]; it is the same in all rows."""
        bias = np.float32(self._sensor.bias_std) * generator.standard_normal(self._row_shape, dtype=np.float32)
        return np.tile(bias.reshape(-1), self._num_rows)

    def read(self, is_first: np.ndarray, lanes: np.ndarray, chances: np.ndarray) -> Reading:
        """Return the noise-free rows that have arrived; `chances` [lane, num_chances] are standard normals."""
        return self._reader.read(is_first, self._arrival_cutoff(lanes, chances) if self._is_late else None)

    def _arrival_cutoff(self, lanes: np.ndarray, chances: np.ndarray) -> np.ndarray:
        """Return the capture time [lane] after which samples are still on their way; it never moves back."""
        delay_s = np.full(len(lanes), self._sensor.latency_s)
        if self._sensor.jitter_s > 0:
            delay_s += self._sensor.jitter_s * _uniform(chances[:, -1])
        self._cutoff_s[lanes] = np.maximum(self._cutoff_s, self._time_s - delay_s)[lanes]
        return self._cutoff_s

    def deliver(
        self, reading: Reading, noisy: np.ndarray, lanes: np.ndarray, chances: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the sensor's key with its companions.

        Args:
            reading: what `read` returned.
            noisy: its values with bias and noise [lane, num_values]; overwritten.
            lanes: mask [lane] of lanes that observe.
            chances: standard normals [lane, num_chances].
        """
        values = noisy.reshape(len(lanes), self._num_rows, *self._row_shape)
        valid = reading.valid
        if self._num_drops:
            kept = (chances[:, : self._num_drops] >= self._drop_below).astype(np.int8)
            valid = kept if valid is None else valid * kept
        if self._holds:
            values, valid = self._hold(values, valid, reading, lanes)
        return self._entries(values, reading.age_s, valid)

    def _hold(
        self, values: np.ndarray, valid: np.ndarray | None, reading: Reading, lanes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows where samples seen before keep the noise, and the loss, that they had."""
        assert reading.age_s is not None, "a sensor that repeats samples says how old they are"
        assert reading.valid is not None, "and which exist"
        captured_s = np.where(reading.valid > 0, self._time_s[:, None] - reading.age_s, -np.inf)
        # float32 ages round by far less than half a sampling period.
        is_new = captured_s > self._held_until_s[:, None] + 0.5 / self._sensor.rate_hz
        source = np.minimum(self._rows + is_new.sum(axis=1)[:, None], self._num_rows - 1)
        index = np.arange(len(lanes))[:, None]
        broadcast = is_new.reshape(*is_new.shape, *[1] * len(self._row_shape))
        values = np.where(broadcast, values, self._held[index, source])
        valid = np.where(is_new, valid if valid is not None else 1, self._held_valid[index, source]).astype(np.int8)
        self._held[lanes], self._held_valid[lanes] = values[lanes], valid[lanes]
        self._held_until_s[lanes] = np.maximum(self._held_until_s, captured_s.max(axis=1))[lanes]
        return values, valid

    def _entries(self, values: np.ndarray, age_s: np.ndarray | None, valid: np.ndarray | None) -> dict[str, np.ndarray]:
        """Rows never captured or lost are zero."""
        entries = {self.key: values}
        if has_age(self._sensor) and age_s is not None:
            entries[f"{self.key}.age_s"] = age_s[:, 0] if self._scalar else age_s
        if has_valid(self._sensor):
            valid = np.ones((len(values), self._num_rows), np.int8) if valid is None else valid
            values *= valid.reshape(*valid.shape, *[1] * len(self._row_shape))
            entries[f"{self.key}.valid"] = valid[:, 0] if self._scalar else valid
        entries[self.key] = values[:, 0] if self._scalar else values
        return entries

    def get_state(self) -> dict[str, np.ndarray]:
        """Return what is held per lane."""
        return {f"delivery/{self.key}/{name}": array.copy() for name, array in self._arrays().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned."""
        for name, array in self._arrays().items():
            array[...] = state[f"delivery/{self.key}/{name}"]

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        if self._is_late:
            arrays["cutoff_s"] = self._cutoff_s
        if self._holds:
            arrays |= {"held": self._held, "valid": self._held_valid, "until_s": self._held_until_s}
        return arrays


def _uniform(normals: np.ndarray) -> np.ndarray:
    """Return uniform numbers in [0, 1]: the normal distribution function, which NumPy lacks, to 3e-4.

    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.
    """
    return 0.5 * (1.0 + np.tanh(_GAUSS_TO_TANH * (normals + 0.044715 * normals**3)))
