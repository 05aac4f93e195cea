"""The robots, by name. A robot module is imported only when its environment is made."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from embodied_envs.nearest import nearest
from embodied_envs.suite import SUITE

if TYPE_CHECKING:
    from embodied_envs.robots.robot_spec import RobotSpec

__all__ = ["ROBOTS", "load_robot"]

ROBOTS = {
    "ArmPick": "embodied_envs.robots.arm:PICK",
    "ArmPush": "embodied_envs.robots.arm:PUSH",
    "ArmReach": "embodied_envs.robots.arm:REACH",
    "Hand": "embodied_envs.robots.hand:ROBOT",
    "Quadruped": "embodied_envs.robots.quadruped:ROBOT",
    "Rover": "embodied_envs.robots.rover:ROBOT",
    "Runner": "embodied_envs.robots.runner:ROBOT",
}
"""Robot's name -> module:attribute of its RobotSpec; each is the environment `Embodied/<name>-v0`."""


def load_robot(name: str) -> RobotSpec:
    """Return the RobotSpec registered under `name`, in `ROBOTS` or in the control suite's `SUITE`.

    Raises:
        ValueError: no robot has this name.
    """
    known = ROBOTS | SUITE
    if name not in known:
        raise ValueError(f"got robot={name!r}; {nearest(name, known)}")
    module, attribute = known[name].split(":")
    return getattr(importlib.import_module(module), attribute)
