"""A lasting change of the dynamics in the middle of a lane's life: how fast does a learner adapt?"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.distractors.difficulty import level
from embodied_envs.distractors.option_checks import check_factor, check_whole
from embodied_envs.distractors.parts import PARTS, find_part
from embodied_envs.nearest import nearest
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Sensor

__all__ = ["Shift"]

SCALES = {"payload": (2.0, 3.0, 4.0), "friction": (0.7, 0.5, 0.3), "motor": (0.8, 0.6, 0.4)}
"""What shifts -> its factor at easy, medium, hard."""


class Shift(Distractor):
    """Multiplies payload, friction or motor strength by `scale` from action number `at_step` of each lane on, for good.

    Actions are counted from the environment's construction, over episodes and seeds. The change takes effect with that
    action and survives resets: it is a factor on whatever dynamics an episode draws.
    """

    name = "shift"
    resets_last = True

    def __init__(
        self,
        difficulty: str = "easy",
        what: str = "friction",
        at_step: int = 1000,
        scale: float | None = None,
        part: str | None = None,
    ) -> None:
        """Choose the change.

        Args:
            difficulty: payload times 2, 3 or 4; friction times .7, .5 or .3; motors times .8, .6 or .4.
            what: payload (mass and inertia), friction (sliding) or motor.
            at_step: the lane's first action under the new dynamics, counted from 0.
            scale: the factor itself, instead.
            part: name of the body, geom or actuator; None: the body `payload`, all that collides, all actuators.

        Raises:
            ValueError: an unknown `what`, a step that is no whole number or negative, or a factor that is not positive
                and finite.
        """
        if what not in PARTS:
            raise ValueError(f"got shift what={what!r}; {nearest(what, PARTS)}")
        self._what, self._part_name, self._at_step = what, part, check_whole(self.name, "at_step", at_step, 0)
        usual = SCALES[what][level(difficulty) - 1]
        self._scale = usual if scale is None else check_factor(self.name, "scale", scale)
        self.lane_fields = PARTS[what]

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Find the part.

        Raises:
            ValueError: the robot has no such part.
        """
        self._part = find_part(batch.model, self._what, self._part_name)
        self._batch = batch
        self._values = {field: batch.expand(field) for field in self._part.fields}
        # What this shift wrote last, to tell dynamics that a reset has drawn anew from those that it left alone.
        self._written = {field: np.full_like(values[:, *index], np.nan) for field, values, index in self._elements()}
        self._life = np.zeros(batch.nsim, np.int64)
        # No nuisance: a representation should know the dynamics.
        self.nuisance = (Privileged("shift_factor", "1", "slow_dynamics", self._factor),)

    def _elements(self) -> list[tuple[str, np.ndarray, tuple]]:
        return [(field, self._values[field], index) for field, index in self._part.fields.items()]

    def _factor(self, batch: Batch, clean: dict[str, np.ndarray]) -> np.ndarray:
        field, values, index = self._elements()[0]
        written = (values[:, *index] == self._written[field]).reshape(len(values), -1).all(axis=1)
        return np.where(written, self._scale, 1.0)[:, None]

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Change the dynamics of the new episode, if the lane's time has come."""
        self._apply(lanes & (self._life >= self._at_step))

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Change the dynamics when the lane's time comes."""
        due = lanes & (self._life == self._at_step)
        if due.any():
            self._apply(due)
            if self._part.derived:
                self._batch.set_const(due)
        self._life += lanes

    def _apply(self, lanes: np.ndarray) -> None:
        """Multiply what was not multiplied yet."""
        rows = np.flatnonzero(lanes)
        for field, values, index in self._elements():
            present, written = np.array(values[:, *index]), self._written[field]
            written[rows] = np.where(present == written, present, self._scale * present)[rows]
            present[rows] = written[rows]
            values[:, *index] = present

    def get_state(self) -> dict[str, Any]:
        """Return the lanes' ages in actions, and what was written."""
        return {"life": self._life.copy()} | {
            f"written/{field}": values.copy() for field, values in self._written.items()
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._life[...] = state["life"]
        for field, values in self._written.items():
            values[...] = state[f"written/{field}"]
