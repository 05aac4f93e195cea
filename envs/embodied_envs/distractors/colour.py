"""Colours of everything wander around what the model says."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.distractors.difficulty import SCALES
from embodied_envs.distractors.lane_draws import LaneDraws, normals
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Sensor

__all__ = ["Colour"]

STEP_STD_PER_SCALE = 0.03


class Colour(Distractor):
    """Random walk of each geom's and material's red, green and blue, within `scale` of the original and in [0, 1].

    An episode starts anywhere in that range; each control period adds white noise of standard deviation .03 * scale.

    Source: Distracting Control Suite (Stone et al. 2021, arXiv:2101.02722), section on colour.
    """

    name = "colour"
    lane_fields = ("geom_rgba", "mat_rgba")

    def __init__(self, difficulty: str = "easy") -> None:
        """Set the range of the walk."""
        self._scale = SCALES[difficulty]

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Remember the original colours."""
        model = batch.model
        # A geom with a material shows the material's colour; a colour of its own would hide the material's.
        self._geoms = np.flatnonzero(model.geom_matid < 0)
        self._geom_rgba, self._mat_rgba = batch.expand("geom_rgba"), batch.expand("mat_rgba")
        original = np.concatenate([model.geom_rgba[self._geoms, :3], model.mat_rgba[:, :3]])
        self._low, self._high = np.clip(original - self._scale, 0.0, 1.0), np.clip(original + self._scale, 0.0, 1.0)
        self._colours = np.tile(original, (batch.nsim, 1, 1))
        self._draws = LaneDraws(batch.nsim, original.size, normals)
        self._original = original
        self.nuisance = (Privileged("colour_delta", "1", "nuisance", self._delta),)

    def _delta(self, batch: Batch, clean: dict[str, np.ndarray]) -> np.ndarray:
        return (self._colours - self._original).reshape(len(self._colours), -1)

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Start anywhere in the range."""
        self._draws.forget(lanes)
        for lane in np.flatnonzero(lanes).tolist():
            self._colours[lane] = generators[lane].uniform(self._low, self._high)
        self._show(lanes)

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Walk."""
        noise = self._draws.next(lanes, generators).reshape(self._colours.shape)
        self._colours += STEP_STD_PER_SCALE * self._scale * noise
        np.clip(self._colours, self._low, self._high, out=self._colours)
        self._show(lanes)

    def _show(self, lanes: np.ndarray) -> None:
        rows, num_geoms = np.flatnonzero(lanes), len(self._geoms)
        self._geom_rgba[rows[:, None], self._geoms, :3] = self._colours[rows, :num_geoms]
        self._mat_rgba[rows, :, :3] = self._colours[rows, num_geoms:]

    def get_state(self) -> dict[str, Any]:
        """Return colours and the numbers drawn ahead."""
        return {"colours": self._colours.copy()} | self._draws.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._colours[...] = state["colours"]
        self._draws.set_state(state)
