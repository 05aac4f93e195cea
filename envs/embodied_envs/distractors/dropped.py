"""A sensor whose readings are lost for a while."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_envs.distractors.base import Generators
from embodied_envs.distractors.bursts import Bursts
from embodied_envs.distractors.difficulty import SCALES
from embodied_envs.distractors.sensor_fault import SensorFault

__all__ = ["Dropped"]

_MEAN_TICKS = 3.0


class Dropped(SensorFault):
    """Reads zeros, with `.valid` 0 if it has that key: 10, 20 or 30 % of the time, for three ticks on average."""

    name = "dropped"

    def __init__(self, difficulty: str = "easy", sensor: str | None = None) -> None:
        """Choose how often; `sensor` is the key of a vector sensor, None: each episode draws one."""
        super().__init__(sensor)
        self._share = SCALES[difficulty]

    def attach(self, batch: Any, sensors: Any, control_hz: float) -> None:
        """Find the sensors that may fail."""
        super().attach(batch, sensors, control_hz)
        self._bursts = Bursts(self.num_lanes, self._share, _MEAN_TICKS)

    def _start(self, lanes: np.ndarray) -> None:
        self._bursts.reset(lanes)

    def _advance(self, lanes: np.ndarray, generators: Generators) -> None:
        self._bursts.advance(lanes, generators)

    def _disturb(self, entries: dict[str, np.ndarray], lanes: np.ndarray, failing: np.ndarray) -> None:
        for values in entries.values():
            values[lanes & failing & self._bursts.on] = 0

    def _strength(self) -> np.ndarray:
        return self._bursts.on

    def get_state(self) -> dict[str, Any]:
        """Return the fault's state."""
        return super().get_state() | self._bursts.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        super().set_state(state)
        self._bursts.set_state(state)
