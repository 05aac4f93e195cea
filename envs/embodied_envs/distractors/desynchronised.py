"""A sensor whose clock runs slow and is set right now and then."""

from __future__ import annotations

import numpy as np

from embodied_envs.distractors.difficulty import level
from embodied_envs.distractors.late_sensor import LateSensor

__all__ = ["Desynchronised"]

_TICKS_PER_STEP = 5


class Desynchronised(LateSensor):
    """Falls behind by one more tick every five ticks, up to two, four or six, then is on time again."""

    name = "desynchronised"

    def __init__(self, difficulty: str = "easy", sensor: str | None = None) -> None:
        """Choose the largest lag; `sensor` is the key of a vector sensor, None: each episode draws one."""
        super().__init__(sensor, 2 * level(difficulty))

    def _lag_ticks(self) -> np.ndarray:
        return self._tick // _TICKS_PER_STEP % (self.max_lag_ticks + 1)
