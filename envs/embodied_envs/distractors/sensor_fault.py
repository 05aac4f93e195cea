"""What all faults of one vector sensor share: which sensor of which lane, and since when."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.nearest import nearest
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Camera, Sensor

__all__ = ["SensorFault"]


class SensorFault(Distractor, ABC):
    """A fault of the named sensor, or of one that each episode of a lane draws. Other sensors keep their bits.

    Subclasses override `_start`, `_disturb` and `_strength`.
    """

    def __init__(self, sensor: str | None = None) -> None:
        """Remember which sensor; None: one per episode."""
        self._asked = sensor

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Find the sensors that may fail.

        Raises:
            ValueError: the robot has no vector sensor of that name.
        """
        keys = [sensor.key for sensor in sensors if not isinstance(sensor.source, Camera)]
        if self._asked is not None and self._asked not in keys:
            raise ValueError(
                f"distractor {self.name!r}: no vector sensor {self._asked!r}; {nearest(self._asked, keys)}"
            )
        if not keys:
            raise ValueError(f"distractor {self.name!r}: got no vector sensor, expected at least one")
        self.keys = [self._asked] if self._asked is not None else keys
        self.fast_keys = {sensor.key for sensor in sensors if sensor.is_fast(control_hz)}
        self.num_lanes, self.control_hz = batch.nsim, control_hz
        self._failing = np.zeros(batch.nsim, np.int64)
        self._tick = np.zeros(batch.nsim, np.int64)  # of the newest observation, from 0 at each reset
        self.nuisance = (
            Privileged(f"{self.name}_sensor", "1", "nuisance", lambda batch, clean: self._failing[:, None]),
            Privileged(f"{self.name}_strength", "1", "nuisance", lambda batch, clean: self._strength()[:, None]),
        )

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Draw which sensor fails in the episode."""
        for lane in np.flatnonzero(lanes).tolist():
            self._failing[lane] = generators[lane].integers(len(self.keys))
        self._tick[lanes] = -1
        self._start(lanes)

    def alter(self, observation: dict[str, np.ndarray], lanes: np.ndarray, generators: Generators) -> None:
        """Disturb the failing sensor of every lane."""
        self._tick += lanes
        self._advance(lanes, generators)
        for number, key in enumerate(self.keys):
            names = [name for name in (key, f"{key}.valid") if name in observation]
            self._disturb({name: observation[name] for name in names}, lanes, self._failing == number)

    def _start(self, lanes: np.ndarray) -> None:
        """Start an episode in the masked lanes [lane]."""

    def _advance(self, lanes: np.ndarray, generators: Generators) -> None:
        """Go on by one tick in the masked lanes [lane], before readings are disturbed."""

    @abstractmethod
    def _disturb(self, entries: dict[str, np.ndarray], lanes: np.ndarray, failing: np.ndarray) -> None:
        """Change one sensor's reading and validity in place.

        Args:
            entries: the sensor's observation entries but its age, [lane, ...].
            lanes: mask [lane] of lanes that observe now.
            failing: mask [lane] of lanes in which this sensor is the one that fails.
        """

    @abstractmethod
    def _strength(self) -> np.ndarray:
        """Return how much the sensor fails now [lane]."""

    def get_state(self) -> dict[str, Any]:
        """Return which sensor fails, and how old the episodes are."""
        return {"failing": self._failing.copy(), "tick": self._tick.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._failing[...] = state["failing"]
        self._tick[...] = state["tick"]
