"""What lagged and desynchronised sensors share: they show what they read some ticks ago and do not say so."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from embodied_envs.distractors.past import Past
from embodied_envs.distractors.sensor_fault import SensorFault

__all__ = ["LateSensor"]


class LateSensor(SensorFault):
    """Shows reading and validity of `_lag_ticks` ago, not before the episode's start; the age claims to be fresh."""

    def __init__(self, sensor: str | None, max_lag_ticks: int) -> None:
        """Keep as many readings as the largest lag needs."""
        super().__init__(sensor)
        self.max_lag_ticks = max_lag_ticks
        self._past = Past(max_lag_ticks)

    @abstractmethod
    def _lag_ticks(self) -> np.ndarray:
        """Return how many ticks late the failing sensor is at present [lane]."""

    def _strength(self) -> np.ndarray:
        return self._lag_ticks() / self.control_hz

    def _disturb(self, entries: dict[str, np.ndarray], lanes: np.ndarray, failing: np.ndarray) -> None:
        rows = np.flatnonzero(lanes & failing)
        then = self._tick[rows] - np.minimum(self._lag_ticks()[rows], self._tick[rows])
        for name, values in entries.items():
            self._past.keep(name, values, lanes, self._tick)
            values[rows] = self._past.at(name, rows, then)

    def get_state(self) -> dict[str, Any]:
        """Return the fault's state and the last readings."""
        return super().get_state() | self._past.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        super().set_state(state)
        self._past.set_state(state)
