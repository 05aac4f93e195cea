"""Making a run's env: fresh for training, and again with the recorded camera back end or not at all."""

from __future__ import annotations

import gymnasium as gym
from gymnasium.vector import VectorEnv

from embodied_ssl.config import EnvConfig
from embodied_ssl.errors import ConfigError, RunError
from embodied_ssl.sources.env_mistakes import refusal


def backend_of(env: VectorEnv) -> str:
    """Return the name of what draws the env's cameras, ``none`` without cameras."""
    return str((env.metadata or {}).get("camera_backend") or "none")


def make_env(config: EnvConfig, num_lanes: int, camera_backend: str | None = None) -> VectorEnv:
    """Make the config's vector env.

    Args:
        config: id and arguments.
        num_lanes: robots side by side.
        camera_backend: the recorded one, which must be had again; None: the env chooses.

    Returns:
        The env; the caller closes it.

    Raises:
        ConfigError: Gymnasium does not know the id, or the env refuses its arguments; one line says which.
        RunError: the recorded env or back end cannot be had here; pixels of another one differ.
    """
    kwargs = dict(config.kwargs)
    if "num_envs" in kwargs:
        raise ConfigError(f"env.kwargs has num_envs={kwargs['num_envs']!r}; training sets lanes by env.num_lanes")
    if camera_backend not in (None, "none"):
        kwargs["camera_backend"] = camera_backend
    try:
        env = gym.make_vec(config.id, num_envs=num_lanes, **kwargs)
    except Exception as error:  # any env, any type: all it was given are the user's id and arguments
        kind = ConfigError if camera_backend is None else RunError
        reason = refusal(error, config.id)
        raise kind(f"env.id is {config.id!r} with env.kwargs {kwargs}: {reason}") from error
    if camera_backend is not None and backend_of(env) != camera_backend:
        env.close()
        raise RunError(
            f"the run was recorded with camera back end {camera_backend!r}, this is {backend_of(env)!r}; pixels "
            f"differ, so go on where {camera_backend!r} works"
        )
    return env
