"""Several distractors as one: every hook of each, in order."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.sensors import Sensor

__all__ = ["Composite"]


class Composite(Distractor):
    """The distractors of an environment; none is a legal number of them."""

    def __init__(self, members: Sequence[Distractor]) -> None:
        """Join the members' fields and options."""
        self.members = tuple(members)
        self.names = tuple(member.name for member in self.members)
        self.lane_fields = tuple(dict.fromkeys(field for member in self.members for field in member.lane_fields))
        self.options = {member.name: dict(member.options) for member in self.members}

    def meet(self, robot: RobotSpec) -> None:
        """Tell every member which robot it is."""
        for member in self.members:
            member.meet(robot)

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Let every member change the model."""
        for member in self.members:
            member.edit(spec)

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Attach every member; their sensors and nuisance targets are known from then on."""
        for member in self.members:
            member.attach(batch, sensors, control_hz)
        self.sensors = tuple(sensor for member in self.members for sensor in member.sensors)
        self.nuisance = tuple(entry for member in self.members for entry in member.nuisance)

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Start an episode in every member."""
        for member in sorted(self.members, key=lambda member: member.resets_last):
            member.reset(lanes, generators)

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Advance every member."""
        for member in self.members:
            member.step(lanes, generators)

    def paint(self, frames: np.ndarray, background: np.ndarray, lanes: np.ndarray, camera: str) -> None:
        """Let every member paint."""
        for member in self.members:
            member.paint(frames, background, lanes, camera)

    def alter(self, observation: dict[str, np.ndarray], lanes: np.ndarray, generators: Generators) -> None:
        """Let every member alter the readings."""
        for member in self.members:
            member.alter(observation, lanes, generators)

    def get_state(self) -> dict[str, Any]:
        """Return the members' states in one dictionary."""
        return {
            f"distractor/{member.name}/{key}": value
            for member in self.members
            for key, value in member.get_state().items()
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned; other entries of `state` are left alone."""
        for member in self.members:
            prefix = f"distractor/{member.name}/"
            member.set_state({key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)})
