"""How a robot acts while it is looked at: at random, not at all, or by a function of the user's."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

from embodied_ssl.errors import ConfigError, nearest
from embodied_ssl.report.env_recording import Policy

NAMED = ("random", "zero")
ARGUMENTS = ("observation", "info", "time_s", "envs")
"""What a user's function may ask for by its parameters' names; `time_s` [lane] counts from the episode's start."""


def view_policy(name: str, seed: int) -> Policy:
    """Return the policy called `name`.

    Args:
        name: ``random`` (uniform in the action's bounds), ``zero`` (their middle), or ``module:function``; the function
            is called with those of `ARGUMENTS` that its parameters name and returns the actions of all lanes.
        seed: of the random actions.

    Raises:
        ConfigError: there is no such policy, or its function asks for something else.
    """
    if name == "zero":
        return lambda env, observation, info, time_s: np.asarray(np.mean(_bounds(env), axis=0), np.float32)
    if name == "random":
        generator = np.random.default_rng(seed)
        return lambda env, observation, info, time_s: generator.uniform(*_bounds(env)).astype(np.float32)
    if ":" not in name:
        raise ConfigError(f"no policy is called {name!r}; {nearest(name, NAMED)}, or module:function")
    return _called_by_name(_load(name), name)


def _bounds(env: VectorEnv) -> tuple[np.ndarray, np.ndarray]:
    """Return low and high of all lanes' actions; -1 and 1 where there are none."""
    space = env.action_space
    assert isinstance(space, gym.spaces.Box), "stream_spec has checked it"
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    return np.where(bounded, space.low, -1.0), np.where(bounded, space.high, 1.0)


def _load(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise ConfigError(f"policy is {name!r}, expected module:function")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise ConfigError(f"policy {name!r} cannot be loaded: {' '.join(str(error).split())}") from error
    if not callable(function):
        raise ConfigError(f"policy {name!r} is a {type(function).__name__}, expected a function")
    return function


def _called_by_name(function: Callable[..., Any], name: str) -> Policy:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError as error:  # some functions written in C
        raise ConfigError(f"policy {name!r} does not name its parameters; allowed: {', '.join(ARGUMENTS)}") from error
    asked = [p.name for p in parameters if p.default is inspect.Parameter.empty]
    for argument in asked:
        if argument not in ARGUMENTS:
            raise ConfigError(f"policy {name!r} asks for {argument!r}; {nearest(argument, ARGUMENTS)}")

    def act(env: VectorEnv, observation: Any, info: Mapping[str, Any], time_s: np.ndarray) -> np.ndarray:
        offered: dict[str, Any] = dict(zip(ARGUMENTS, (observation, info, time_s, env), strict=True))
        action = np.asarray(function(**{argument: offered[argument] for argument in asked}), np.float32)
        return action[None] if action.shape == env.single_action_space.shape else action

    return act
