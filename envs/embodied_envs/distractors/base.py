"""What a distractor or shift may do: the hooks that the vector environment calls."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from embodied_envs.robots.robot_spec import Privileged, RobotSpec
from embodied_envs.sensors import Sensor

if TYPE_CHECKING:
    import mujoco
    from mujoco.batch import Batch

__all__ = ["Distractor", "Generators"]

Generators = list[np.random.Generator]


class Distractor:
    """One nuisance or change of the world, for all lanes. Every hook does nothing unless overridden.

    Each lane draws from its own generator (`generators[lane]`), which nothing else uses: adding a distractor changes
    neither start states nor sensor noise. Nothing here ever reads privileged state into an observation, except where a
    spurious sensor is meant to correlate with a factor.

    Attributes:
        name: how it is asked for.
        lane_fields: model fields it writes per lane, expanded at construction.
        sensors: observation channels it adds; their values come from `alter`.
        nuisance: what probes should not be able to read from a good representation (group "nuisance").
        options: what it was made with, JSON-able; filled in by `make_distractors`.
        covers_ground: whether RGB frames are drawn without the ground, for `paint` to cover it.
        resets_last: whether its `reset` comes after the others', which read the dynamics that the robot drew.
    """

    name: str = ""
    lane_fields: tuple[str, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    nuisance: tuple[Privileged, ...] = ()
    covers_ground: bool = False
    resets_last: bool = False
    options: Mapping[str, Any] = MappingProxyType({})

    def meet(self, robot: RobotSpec) -> None:
        """Keep what later hooks need to know of the robot; called once, before `attach`."""

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Change the model's specification before it is compiled."""

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Keep what later hooks need; called once, after the model was compiled and its fields expanded."""

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Start an episode in the masked lanes [lane]; called after the robot's own reset wrote the lane."""

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Advance by one control period in the masked lanes [lane]; called before the physics."""

    def paint(self, frames: np.ndarray, background: np.ndarray, lanes: np.ndarray, camera: str) -> None:
        """Change RGB frames uint8 [n, height, width, 3] in place.

        Args:
            frames: what the camera saw.
            background: mask [n, height, width] where nothing was drawn.
            lanes: lane numbers [n].
            camera: the model camera's name.
        """

    def alter(self, observation: dict[str, np.ndarray], lanes: np.ndarray, generators: Generators) -> None:
        """Change or add vector readings of the masked lanes [lane] in place; cameras are not in it.

        Called once per tick after noise was added. Keys of `sensors` (and their companions) must be set.
        """

    def get_state(self) -> dict[str, Any]:
        """Return everything its future depends on, apart from generators and model fields: NumPy arrays."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
