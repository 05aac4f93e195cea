"""A sensor whose readings come late without saying so."""

from __future__ import annotations

import numpy as np

from embodied_envs.distractors.difficulty import level
from embodied_envs.distractors.late_sensor import LateSensor
from embodied_envs.distractors.option_checks import check_whole

__all__ = ["Lagged"]


class Lagged(LateSensor):
    """One, two or three ticks late, always."""

    name = "lagged"

    def __init__(self, difficulty: str = "easy", sensor: str | None = None, ticks: int | None = None) -> None:
        """Choose the lag.

        Args:
            difficulty: 1, 2 or 3 ticks.
            sensor: key of a vector sensor; None: each episode draws one.
            ticks: the lag itself, instead.

        Raises:
            ValueError: a lag that is not a whole number, or below 1.
        """
        super().__init__(sensor, level(difficulty) if ticks is None else check_whole(self.name, "ticks", ticks, 1))

    def _lag_ticks(self) -> np.ndarray:
        return np.full(self.num_lanes, self.max_lag_ticks)
