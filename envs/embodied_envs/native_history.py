"""Vectorised view of MuJoCo's native sensor history over all lanes.

A history-keeping sensor owns a ring in the state vector (`mjData.history`): the time it was last due, the slot of its
newest sample, `nsample` capture times, then `nsample` samples. Reading the ring directly serves all lanes in one
gather; `mj_readSensor` would need an mjData and a call per lane and sample. The tests hold the two equal.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch

__all__ = ["RING_HEADER", "NativeHistory"]

RING_HEADER = 2  # time last due, slot of the newest sample


class NativeHistory:
    """The rings of one engine sensor, or of several with equal timing, read for all lanes at once."""

    def __init__(self, batch: Batch, sensors: Sequence[str]) -> None:
        """Find the rings.

        Args:
            batch: the simulation.
            sensors: names of engine sensors of equal dimension, nsample and interval, declared one after the other.

        Raises:
            ValueError: a sensor keeps no history, or the rings do not lie side by side.
        """
        model = batch.model
        indices = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, name) for name in sensors]
        self.num_samples, self._dim = int(model.sensor_history[indices[0], 0]), int(model.sensor_dim[indices[0]])
        ring_size = RING_HEADER + self.num_samples * (1 + self._dim)
        start = int(model.sensor_historyadr[indices[0]])
        expected = start + ring_size * np.arange(len(indices))
        if self.num_samples < 1 or not np.array_equal(model.sensor_historyadr[indices], expected):
            raise ValueError(f"got engine sensors {list(sensors)}, expected histories of equal size, side by side")
        rings = batch.bind("history")[:, start : start + ring_size * len(indices)]
        self._rings = rings.reshape(batch.nsim, len(indices), ring_size)
        samples = self._rings[:, :, RING_HEADER + self.num_samples :]
        self._samples = samples.reshape(batch.nsim, len(indices), self.num_samples, self._dim)
        assert np.shares_memory(self._samples, rings), "a live view of the state, not a copy"
        self._lanes = np.arange(batch.nsim)[:, None]
        self._offsets = np.arange(1, self.num_samples + 1)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return capture times in s [lane, row] and samples [lane, row, sensor * dim], oldest first."""
        slots, times = self.times()
        return times, self.samples(slots)

    def times(self, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Return the ring's slots and their capture times in s, both [lane, row], oldest first; or some rows'."""
        slots = (self._rings[:, 0, 1].astype(np.int64)[:, None] + self._offsets[rows]) % self.num_samples
        return slots, self._rings[self._lanes, 0, RING_HEADER + slots]

    def samples(self, slots: np.ndarray) -> np.ndarray:
        """Return the samples in slots [lane, row], as [lane, row, sensor * dim]."""
        return self._samples[self._lanes, :, slots].reshape(*slots.shape, -1)

    def mean(self) -> np.ndarray:
        """Return the mean over the ring of scalar sensors [lane, sensor]; the order of the slots does not matter."""
        return self._samples[:, :, :, 0].mean(axis=2)
