"""Lights turn and change their brightness."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.distractors.difficulty import SCALES
from embodied_envs.distractors.lane_draws import LaneDraws, normals
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Sensor

__all__ = ["Light"]

STEP_STD_PER_RANGE = 0.03
_NUM_FACTORS = 5  # turns about x and y, relative strength of red, green and blue


class Light(Distractor):
    """Random walk of the lights: directional ones turn by up to pi/2 * scale about x and y, all change their colour.

    Each of red, green and blue is multiplied by a factor in [1 - 2 scale, 1 + 2 scale]. The Distracting Control Suite
    leaves light alone; ranges and speed (a step's standard deviation is .03 of the range) follow its other walks.
    """

    name = "light"
    lane_fields = ("light_dir", "light_dir0", "light_diffuse")

    def __init__(self, difficulty: str = "easy") -> None:
        """Set the range of the walk."""
        scale = SCALES[difficulty]
        turn, gain = np.pi / 2.0 * scale, 2.0 * scale
        self._limit = np.array([turn, turn, gain, gain, gain])

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Remember the original lights.

        Raises:
            ValueError: the model has no light.
        """
        model = batch.model
        if not model.nlight:
            raise ValueError("got distractor 'light' for a robot without lights, expected at least one light")
        self._turning = np.flatnonzero(model.light_type == mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
        self._fields = {name: batch.expand(name) for name in self.lane_fields}
        self._original = {name: np.array(getattr(model, name)) for name in self.lane_fields}
        self._walk = np.zeros((batch.nsim, _NUM_FACTORS))
        self._draws = LaneDraws(batch.nsim, _NUM_FACTORS, normals)
        self.nuisance = (
            Privileged("light_turn", "rad", "nuisance", lambda batch, clean: self._walk[:, :2]),
            Privileged("light_gain", "1", "nuisance", lambda batch, clean: 1.0 + self._walk[:, 2:]),
        )

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Start anywhere in the range."""
        self._draws.forget(lanes)
        for lane in np.flatnonzero(lanes).tolist():
            self._walk[lane] = generators[lane].uniform(-self._limit, self._limit)
        self._show(lanes)

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Walk."""
        self._walk += STEP_STD_PER_RANGE * self._limit * self._draws.next(lanes, generators)
        np.clip(self._walk, -self._limit, self._limit, out=self._walk)
        self._show(lanes)

    def _show(self, lanes: np.ndarray) -> None:
        turn = _turns(self._walk[lanes, :2])
        for name in ("light_dir", "light_dir0"):
            directions = self._original[name][self._turning] @ turn.transpose(0, 2, 1)
            self._fields[name][np.flatnonzero(lanes)[:, None], self._turning] = directions
        gain = 1.0 + self._walk[lanes, None, 2:]
        self._fields["light_diffuse"][lanes] = np.clip(self._original["light_diffuse"] * gain, 0.0, 1.0)

    def get_state(self) -> dict[str, Any]:
        """Return the walk and the numbers drawn ahead."""
        return {"walk": self._walk.copy()} | self._draws.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._walk[...] = state["walk"]
        self._draws.set_state(state)


def _turns(angles: np.ndarray) -> np.ndarray:
    """Return rotations [lane, 3, 3] about x, then about y, by angles [lane, 2] in rad."""
    (cx, cy), (sx, sy) = np.cos(angles).T, np.sin(angles).T
    zero, one = np.zeros_like(cx), np.ones_like(cx)
    about_x = np.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], axis=1).reshape(-1, 3, 3)
    about_y = np.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], axis=1).reshape(-1, 3, 3)
    return about_y @ about_x
