"""All vector sensors of all lanes: noise-free readings, and the late, biased, noisy observation made from them."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import itertools

import numpy as np
from mujoco.batch import Batch

from embodied_envs.delivery import Delivery
from embodied_envs.lane_random import LaneRandom
from embodied_envs.readers import Reading
from embodied_envs.row_clock import RowClocks
from embodied_envs.sensors import Camera, Sensor

__all__ = ["SensorSuite"]

Arrays = dict[str, np.ndarray]


class SensorSuite:
    """Reads every vector sensor once per tick; each observation of a lane draws the same number of normals."""

    def __init__(self, sensors: tuple[Sensor, ...], batch: Batch, control_hz: float) -> None:
        """Bind one delivery per sensor; cameras are not vector sensors and are left out."""
        vectors = [sensor for sensor in sensors if not isinstance(sensor.source, Camera)]
        self._clocks = RowClocks(batch, control_hz)
        self._deliveries = [Delivery(sensor, batch, self._clocks, control_hz) for sensor in vectors]
        sizes = [delivery.num_values for delivery in self._deliveries]
        self._value_parts, self._num_values = _parts(sizes), sum(sizes)
        self._chance_parts = _parts([delivery.num_chances for delivery in self._deliveries], self._num_values)
        self._num_normals = self._num_values + sum(delivery.num_chances for delivery in self._deliveries)
        # One flat row per lane: noise, bias and limits of all sensors are applied at once.
        self._noise_std, self._low, self._high = (
            np.repeat(np.array([getattr(sensor, name) for sensor in vectors], np.float32), sizes)
            for name in ("noise_std", "low", "high")
        )
        self._biased = [index for index, sensor in enumerate(vectors) if sensor.bias_std > 0]
        self._bias = np.zeros((batch.nsim, self._num_values), np.float32)

    def start(self, lanes: np.ndarray, random: LaneRandom) -> None:
        """Start an episode in the masked lanes [lane]: forget what was delivered, draw new biases."""
        for delivery in self._deliveries:
            delivery.start(lanes)
        for lane, index in itertools.product(np.flatnonzero(lanes), self._biased):
            self._bias[lane, self._value_parts[index]] = self._deliveries[index].draw_bias(random.noises[lane])

    def observe(self, is_first: np.ndarray, lanes: np.ndarray, random: LaneRandom) -> tuple[Arrays, Arrays]:
        """Return the observation and the noise-free values of the same rows, by key, [lane, ...].

        Args:
            is_first: mask [lane] of lanes that have not been stepped since their reset.
            lanes: mask [lane] of lanes that observe; the others draw nothing and keep what was delivered to them.
            random: the lanes' generators.
        """
        if not self._deliveries:
            return {}, {}
        normals = random.normals(lanes, self._num_normals)
        chances = [normals[:, part] for part in self._chance_parts]
        self._clocks.refresh()
        readings = [
            delivery.read(is_first, lanes, chance) for delivery, chance in zip(self._deliveries, chances, strict=True)
        ]
        noisy = self._distort(readings, normals[:, : self._num_values])
        observation: Arrays = {}
        for index, delivery in enumerate(self._deliveries):
            values = noisy[:, self._value_parts[index]]
            observation |= delivery.deliver(readings[index], values, lanes, chances[index])
        pairs = zip(self._deliveries, readings, strict=True)
        return observation, {delivery.key: reading.values for delivery, reading in pairs}

    def _distort(self, readings: list[Reading], normals: np.ndarray) -> np.ndarray:
        """Return all readings with noise and bias, within their sensors' limits, [lane, value]."""
        noisy = normals * self._noise_std
        noisy += np.concatenate([reading.values.reshape(len(normals), -1) for reading in readings], axis=1)
        if self._biased:
            noisy += self._bias
        return np.clip(noisy, self._low, self._high, out=noisy)

    def get_state(self) -> Arrays:
        """Return biases and what the deliveries hold."""
        state = {"sensor_bias": self._bias.copy()}
        for delivery in self._deliveries:
            state |= delivery.get_state()
        return state

    def set_state(self, state: Arrays) -> None:
        """Restore what `get_state` returned."""
        self._bias[...] = state["sensor_bias"]
        for delivery in self._deliveries:
            delivery.set_state(state)


def _parts(sizes: list[int], offset: int = 0) -> list[slice]:
    stops = [offset + total for total in itertools.accumulate(sizes)]
    return [slice(stop - size, stop) for stop, size in zip(stops, sizes, strict=True)]
