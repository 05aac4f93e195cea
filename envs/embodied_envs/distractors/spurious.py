"""A channel that correlates with something that matters in training, and the other way round in testing."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.distractors.drawn_factor import DrawnFactor
from embodied_envs.distractors.lane_draws import LaneDraws, normals
from embodied_envs.distractors.option_checks import check_whole
from embodied_envs.distractors.parts import PARTS
from embodied_envs.distractors.running_score import RunningScore
from embodied_envs.nearest import nearest
from embodied_envs.robots.robot_spec import Privileged, RobotSpec
from embodied_envs.sensors import Camera, Qpos, Sensor

__all__ = ["Spurious"]

CORRELATIONS = {"easy": 0.7, "medium": 0.85, "hard": 0.95}
SPLITS = {"train": 1.0, "test": -1.0}
EPISODE = "episode"
_LIMIT = 6.0


class Spurious(Distractor):
    """Adds the observation `spurious` = c z + sqrt(1 - c^2) n: correlation c with a factor's score z, n white noise.

    In the split `test`, c has the other sign: what relied on the channel is misled.
    """

    name = "spurious"

    def __init__(
        self,
        difficulty: str = "easy",
        corr: float | None = None,
        split: str = "train",
        factor: str = EPISODE,
        index: int = 0,
    ) -> None:
        """Choose factor and correlation.

        Args:
            difficulty: correlation .7, .85 or .95.
            corr: the correlation itself, in [-1, 1], instead.
            split: train, or test, which flips the correlation's sign.
            factor: episode (a constant of the episode, standard normal); payload, friction or motor (what
                the robot drew of it, standardised over many resets); or the key of a vector sensor (standardised over
                the episode so far).
            index: which element of that sensor's newest row.

        Raises:
            ValueError: a correlation out of range, another word for `split`, or an index that is no whole number.
        """
        if corr is not None and not -1.0 <= corr <= 1.0:
            raise ValueError(f"got spurious corr={corr}, expected a correlation in [-1, 1]")
        if split not in SPLITS:
            raise ValueError(f"got spurious split={split!r}; {nearest(split, SPLITS)}")
        self._corr = SPLITS[split] * (CORRELATIONS[difficulty] if corr is None else corr)
        self._factor, self._index = factor, check_whole(self.name, "index", index, 0)

    def meet(self, robot: RobotSpec) -> None:
        """Keep the robot: what its resets draw is measured."""
        self._robot = robot

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Find the factor.

        Raises:
            ValueError: the robot has no such factor, or its resets do not vary it.
        """
        keys = {sensor.key: sensor for sensor in sensors if not isinstance(sensor.source, Camera)}
        if self._factor not in (EPISODE, *PARTS, *keys):
            raise ValueError(f"got spurious factor={self._factor!r}; {nearest(self._factor, (EPISODE, *PARTS, *keys))}")
        if self._factor in keys:
            self._check_index(keys[self._factor], control_hz)
        self._drawn = DrawnFactor(self._robot, batch, self._factor) if self._factor in PARTS else None
        self._z = np.zeros(batch.nsim)
        self._score, self._draws = RunningScore(batch.nsim), LaneDraws(batch.nsim, 1, normals)
        # A source without age or validity, as a position: the value is always there and new.
        source = Qpos(0, 1)
        self.sensors = (Sensor("spurious", "other", "1", control_hz, (1,), 0.0, -_LIMIT, _LIMIT, source),)
        self.nuisance = (Privileged("spurious_factor", "1", "nuisance", lambda batch, clean: self._z[:, None]),)

    def _check_index(self, sensor: Sensor, control_hz: float) -> None:
        size = int(np.prod(sensor.shape[1:] if sensor.is_fast(control_hz) else sensor.shape))
        if not 0 <= self._index < size:
            raise ValueError(f"got spurious index={self._index}, expected 0 to {size - 1} for sensor {sensor.key!r}")
        self._row_size = size

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Draw or read the factor of the episode."""
        self._draws.forget(lanes)
        self._score.forget(lanes)
        if self._factor == EPISODE:
            for lane in np.flatnonzero(lanes).tolist():
                self._z[lane] = generators[lane].standard_normal()
        elif self._drawn is not None:
            self._z[lanes] = self._drawn.scores()[lanes]

    def alter(self, observation: dict[str, np.ndarray], lanes: np.ndarray, generators: Generators) -> None:
        """Add the channel."""
        if self._factor in observation:
            newest = observation[self._factor].reshape(len(lanes), -1)[:, -self._row_size :]
            self._z[lanes] = self._score.of(newest[:, self._index], lanes)[lanes]
        noise = self._draws.next(lanes, generators)[:, 0]
        value = self._corr * self._z + np.sqrt(1.0 - self._corr**2) * noise
        observation["spurious"] = np.clip(value, -_LIMIT, _LIMIT).astype(np.float32)[:, None]

    def get_state(self) -> dict[str, Any]:
        """Return the factor, its running mean and variance, and the numbers drawn ahead."""
        return {"z": self._z.copy()} | self._score.get_state() | self._draws.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._z[...] = state["z"]
        self._score.set_state(state)
        self._draws.set_state(state)
