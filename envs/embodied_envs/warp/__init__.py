"""The same robots on MuJoCo Warp: thousands of lanes on a GPU, observations as torch tensors that never leave it.

Needs the extra `[warp]` (mujoco-warp, warp-lang) and torch, which nothing else in `embodied_envs` imports; importing
this package alone loads neither.

    from embodied_envs.warp.vector_env import WarpVectorEnv
    env = WarpVectorEnv("Runner", num_envs=4096)

Files to read first: `runner.py` (what a robot's task adds), `vector_env.py` (what a step is), `physics.py`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embodied_envs.warp.task import WarpTask

__all__ = ["WARP_TASKS", "load_task"]

WARP_TASKS = {
    "Runner": "embodied_envs.warp.runner:TASK",
}
"""Robot's name -> module:attribute of its WarpTask."""


def load_task(robot: str) -> WarpTask:
    """Return the task of a robot.

    Raises:
        ValueError: the robot has none; the line names those that have.
    """
    if robot not in WARP_TASKS:
        raise ValueError(
            f"{robot} has no Warp task, expected one of: {', '.join(sorted(WARP_TASKS))}; "
            "fix: use BatchVectorEnv, or pass task=WarpTask(...) with its reset and reward in torch"
        )
    module, attribute = WARP_TASKS[robot].split(":")
    return getattr(importlib.import_module(module), attribute)


def __getattr__(name: str) -> Any:
    """Load the environment only when it is asked for: it imports torch and Warp."""
    if name == "WarpVectorEnv":
        return importlib.import_module("embodied_envs.warp.vector_env").WarpVectorEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
