"""The robots, by name. A robot module is imported only when its environment is made."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embodied_envs.robots.robot_spec import RobotSpec

__all__ = ["ROBOT_MODULES", "load_robot"]

ROBOT_MODULES = {"Runner": "embodied_envs.robots.runner"}


def load_robot(name: str) -> RobotSpec:
    """Return the `ROBOT` of the module registered under `name`.

    Raises:
        ValueError: no robot has this name.
    """
    if name not in ROBOT_MODULES:
        raise ValueError(f"got robot={name!r}, expected one of {sorted(ROBOT_MODULES)}")
    return importlib.import_module(ROBOT_MODULES[name]).ROBOT
