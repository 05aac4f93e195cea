"""Fresh envs for evaluation, with the recorded camera back end or not at all."""

from __future__ import annotations

import gymnasium as gym
from gymnasium.vector import VectorEnv

from embodied_ssl.config import EnvConfig
from embodied_ssl.errors import RunError


def backend_of(env: VectorEnv) -> str:
    """Return the name of what draws the env's cameras, ``none`` without cameras."""
    return str((env.metadata or {}).get("camera_backend") or "none")


def make_env(config: EnvConfig, num_lanes: int, camera_backend: str = "none") -> VectorEnv:
    """Make the run's env with another number of lanes.

    Args:
        config: the run's env.
        num_lanes: robots side by side.
        camera_backend: the recorded one, ``none`` if the env has no cameras or no choice.

    Returns:
        The env; the caller closes it.

    Raises:
        RunError: the recorded back end cannot be had here; pixels of another one differ.
    """
    kwargs = dict(config.kwargs)
    if camera_backend != "none":
        kwargs["camera_backend"] = camera_backend
    try:
        env = gym.make_vec(config.id, num_envs=num_lanes, **kwargs)
    except (gym.error.Error, ImportError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"cannot evaluate {config.id!r} with the recorded camera back end {camera_backend!r}: {reason}"
        ) from error
    found = backend_of(env)
    if found != camera_backend:
        env.close()
        raise RunError(
            f"the run was recorded with camera back end {camera_backend!r}, this is {found!r}; pixels differ, so "
            f"evaluate where {camera_backend!r} works"
        )
    return env
