"""Friction, payload or motor strength as one standard score, of whatever part of it the robot's resets draw."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.parts import PARTS
from embodied_envs.robots.robot_spec import RobotSpec

__all__ = ["DrawnFactor"]

_NUM_DRAWS = 512
_SEED = 0  # the moments belong to the robot: no lane's generator has a part in them
_CONSTANT = 1e-9  # relative deviation below which an element does not vary


class DrawnFactor:
    """What the robot draws of one factor in a reset, standardised with moments of many resets of a scratch lane.

    Elements that vary together (all motors by one gain) count as one. Those that go against the first one (a left motor
    stronger by what the right one is weaker) count negatively, so that they do not cancel.
    """

    def __init__(self, robot: RobotSpec, batch: Batch, what: str) -> None:
        """Measure means, deviations and signs.

        Args:
            robot: whose resets to draw.
            batch: the simulation that scores will be asked of; its lanes stay as they are.
            what: payload, friction or motor.

        Raises:
            ValueError: the robot's resets vary nothing of it.
        """
        fields = [field for field in PARTS[what] if field in robot.lane_fields]
        draws = _draw(robot, batch.model, fields)
        for field in fields:
            values = draws[field]
            varies = values.std(axis=0) > _CONSTANT * np.abs(values).max(axis=0)
            if varies.any():
                break
        else:
            raise ValueError(
                f"got spurious factor={what!r}, but resets of {robot.name!r} draw none; expected one that varies, "
                "'episode' or a sensor's key"
            )
        self._values, self._elements = batch.expand(field), np.flatnonzero(varies)
        values = values[:, self._elements]
        self._mean, deviation = values.mean(axis=0), values.std(axis=0)
        together = ((values - self._mean) * (values - self._mean)[:, :1]).sum(axis=0)
        self._weights = np.where(together < 0.0, -1.0, 1.0) / deviation
        self._weights /= self._sums(values).std()

    def _sums(self, values: np.ndarray) -> np.ndarray:
        return ((values - self._mean) * self._weights).sum(axis=1)

    def scores(self) -> np.ndarray:
        """Return the present scores [lane]: mean 0 and deviation 1 over resets."""
        return self._sums(self._values.reshape(len(self._values), -1)[:, self._elements])


def _draw(robot: RobotSpec, model: mujoco.MjModel, fields: list[str]) -> dict[str, np.ndarray]:
    """Return field -> values [draw, element] that resets write."""
    scratch, generator = Batch(model, 1, 1), np.random.default_rng(_SEED)
    written = {field: scratch.expand(field) for field in robot.lane_fields}
    draws: dict[str, list[np.ndarray]] = {field: [] for field in fields}
    for _ in range(_NUM_DRAWS if fields else 0):
        scratch.reset(np.ones(1, bool), stage=mujoco.mjtStage.mjSTAGE_NONE)
        robot.reset_lane(scratch, 0, generator)
        for field, values in draws.items():
            values.append(written[field][0].ravel().copy())
    return {field: np.array(values) for field, values in draws.items()}
