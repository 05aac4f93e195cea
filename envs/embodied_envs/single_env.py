"""The single environment: one lane of the vector environment without its leading axis."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots.robot_spec import RobotSpec

__all__ = ["SingleLaneEnv"]


class SingleLaneEnv(gymnasium.Env):
    """One robot; the same seed gives the trajectory of lane 0 of a `BatchVectorEnv`."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, robot: str | RobotSpec = "Runner", **kwargs: Any) -> None:
        """Build one lane; the arguments are those of `BatchVectorEnv` without num_envs."""
        self._lane = BatchVectorEnv(robot, 1, **kwargs)
        self.metadata = {key: value for key, value in self._lane.metadata.items() if key != "autoreset_mode"}
        self.observation_space = self._lane.single_observation_space
        self.action_space = self._lane.single_action_space
        self.render_mode = self._lane.render_mode
        self.camera_backend = self._lane.camera_backend

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Start a new episode; a seed restarts all random draws."""
        super().reset(seed=seed)
        observation, info = self._lane.reset(seed=seed)
        return _first_lane(observation), _first_lane(info)

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """Advance by one control period of 1 / control_hz seconds."""
        observation, reward, terminated, truncated, info = self._lane.step(np.asarray(action)[None])
        return _first_lane(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), _first_lane(info)

    def render(self) -> np.ndarray | None:
        """Return a frame uint8 [height, width, 3] drawn now; None without render_mode."""
        frames = self._lane.render()
        return None if frames is None else frames[0]

    def get_state(self) -> dict[str, Any]:
        """Return everything the future depends on."""
        return self._lane.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._lane.set_state(state)

    def close(self) -> None:
        """Free graphics resources."""
        self._lane.close()


def _first_lane(tree: Any) -> Any:
    """Return lane 0 of every array in a nested dictionary."""
    if isinstance(tree, dict):
        return {key: _first_lane(value) for key, value in tree.items()}
    return tree[0] if tree.ndim > 1 else np.asarray(tree[0])
