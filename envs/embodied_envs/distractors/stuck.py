"""A sensor that freezes for a while and goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_envs.distractors.base import Generators
from embodied_envs.distractors.bursts import Bursts
from embodied_envs.distractors.difficulty import SCALES
from embodied_envs.distractors.past import Past
from embodied_envs.distractors.sensor_fault import SensorFault

__all__ = ["Stuck"]

_MEAN_TICKS = 10.0


class Stuck(SensorFault):
    """Repeats its newest value, noise included, with fresh ages: 10, 20 or 30 % of the time, ten ticks on average.

    A sensor of several rows a tick shows the newest one in all of them.
    """

    name = "stuck"

    def __init__(self, difficulty: str = "easy", sensor: str | None = None) -> None:
        """Choose how often; `sensor` is the key of a vector sensor, None: each episode draws one."""
        super().__init__(sensor)
        self._share = SCALES[difficulty]
        self._held = Past(0)

    def attach(self, batch: Any, sensors: Any, control_hz: float) -> None:
        """Find the sensors that may fail."""
        super().attach(batch, sensors, control_hz)
        self._bursts = Bursts(self.num_lanes, self._share, _MEAN_TICKS)

    def _start(self, lanes: np.ndarray) -> None:
        self._bursts.reset(lanes)

    def _advance(self, lanes: np.ndarray, generators: Generators) -> None:
        self._bursts.advance(lanes & (self._tick > 0), generators)  # there is nothing to repeat before the first tick

    def _disturb(self, entries: dict[str, np.ndarray], lanes: np.ndarray, failing: np.ndarray) -> None:
        rows = np.flatnonzero(lanes & failing & self._bursts.on)
        for name, values in entries.items():
            newest = values[:, -1:] if name.split(".")[0] in self.fast_keys else values
            self._held.keep(name, newest, lanes & ~self._bursts.on, self._tick)
            values[rows] = self._held.at(name, rows, self._tick[rows])

    def _strength(self) -> np.ndarray:
        return self._bursts.on

    def get_state(self) -> dict[str, Any]:
        """Return the fault's state and the readings held."""
        return super().get_state() | self._bursts.get_state() | self._held.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        super().set_state(state)
        self._bursts.set_state(state)
        self._held.set_state(state)
