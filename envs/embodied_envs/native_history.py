"""Vectorised view of MuJoCo's native sensor history over all lanes.

A history-keeping sensor owns a ring in the state vector (`mjData.history`): the time it was last due, the slot of its
newest sample, `nsample` capture times, then `nsample` samples. Reading the ring directly serves all lanes in one
gather; `mj_readSensor` would need an mjData and a call per lane and sample. The tests hold the two equal.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

__all__ = ["NativeHistory"]

_HEADER = 2  # time last due, slot of the newest sample


class NativeHistory:
    """One engine sensor's ring, read for all lanes at once."""

    def __init__(self, batch: Batch, sensor: str) -> None:
        """Find the ring of `sensor`; it must have been built with nsample > 0."""
        model = batch.model
        index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, sensor)
        self._num_rows = int(model.sensor_history[index, 0])
        self._dim = int(model.sensor_dim[index])
        start = int(model.sensor_historyadr[index])
        stop = start + _HEADER + self._num_rows * (1 + self._dim)
        self._ring = batch.bind("history")[:, start:stop]
        self._lanes = np.arange(batch.nsim)[:, None]
        self._offsets = np.arange(1, self._num_rows + 1)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return capture times in s [lane, row] and samples [lane, row, dim], oldest first."""
        newest = self._ring[:, 1].astype(np.int64)
        slots = (newest[:, None] + self._offsets) % self._num_rows
        times = self._ring[:, _HEADER : _HEADER + self._num_rows]
        samples = self._ring[:, _HEADER + self._num_rows :].reshape(-1, self._num_rows, self._dim)
        return times[self._lanes, slots], samples[self._lanes, slots]

    def mean(self) -> np.ndarray:
        """Return the mean over the ring of a scalar sensor [lane]; the order of the slots does not matter."""
        return self._ring[:, _HEADER + self._num_rows :].mean(axis=1)
