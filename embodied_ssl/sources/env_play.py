"""A vector env played with given actions, everything it returned kept: the material of the contract check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.nested import flat_observation
from embodied_ssl.sources.rows import to_host

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Played:
    """One tick of all N lanes.

    Attributes:
        observation: by leaf name, (N, ...), copied.
        reward: (N,); None at a reset.
        terminated: (N,) bool.
        truncated: (N,) bool.
        is_first: (N,) bool: the observation begins an episode.
        active: (N,) bool: the lane has a tick here; false for lanes that wait while others are reset by hand.
        final: `info["final_obs"]` of a `SAME_STEP` env, as it came.
    """

    observation: Table
    reward: np.ndarray | None
    terminated: np.ndarray
    truncated: np.ndarray
    is_first: np.ndarray
    active: np.ndarray
    final: Any = None

    @property
    def ended(self) -> np.ndarray:
        """Lanes (N,) whose episode ended here."""
        return self.terminated | self.truncated


def autoreset_mode(env: VectorEnv) -> AutoresetMode:
    """Return the env's declared mode.

    Raises:
        SpecError: it declares none.
    """
    mode = (env.metadata or {}).get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise SpecError(
            f"metadata['autoreset_mode'] is {mode!r}, expected a gymnasium.vector.AutoresetMode; fix: set "
            "metadata = {'autoreset_mode': AutoresetMode.NEXT_STEP} (or what the env does)"
        )
    return mode


def random_actions(env: VectorEnv, num_ticks: int, seed: int) -> np.ndarray:
    """Return uniform actions (T, N, ...) inside the bounds, inside [-1, 1] where there are none."""
    space = env.single_action_space
    assert isinstance(space, gym.spaces.Box), "stream_spec has checked it"
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low, high = np.where(bounded, space.low, -1.0), np.where(bounded, space.high, 1.0)
    # Drawn lane by lane: a lane's actions do not depend on how many lanes there are.
    lanes = [np.random.default_rng([seed, i]).uniform(low, high, (num_ticks, *low.shape)) for i in range(env.num_envs)]
    return np.stack(lanes, axis=1).astype(space.dtype)


def play(env: VectorEnv, actions: np.ndarray, seed: int | list[int]) -> list[Played]:
    """Reset and play actions (T, N, ...).

    Raises:
        SpecError: the env raises, overwrites what it returned before, or returns something that is no tick.
    """
    with _no_error(env, "reset"):
        # Gymnasium takes one seed per lane.
        returned = env.reset(seed=seed)  # pyright: ignore[reportArgumentType]
    return play_on(env, actions, returned)


def play_on(env: VectorEnv, actions: np.ndarray, returned: Any) -> list[Played]:
    """Play actions (T, N, ...) after a reset that returned `returned`; raises what `play` raises."""
    mode, never = autoreset_mode(env), np.zeros(env.num_envs, bool)
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise SpecError(f"reset returns {type(returned).__name__}, expected (observation, info)")
    shown = flat_observation(returned[0])
    ticks = [Played(_copied(shown), None, never, never, ~never, ~never)]
    for action in actions:
        is_first = never
        if mode == AutoresetMode.NEXT_STEP:
            is_first = ticks[-1].ended
        elif mode == AutoresetMode.DISABLED and ticks[-1].ended.any():
            shown, first = _reset_ended(env, ticks[-1])
            ticks.append(first)
        with _no_error(env, "step"):
            returned = env.step(action)
        _check_untouched(shown, ticks[-1].observation)
        shown = flat_observation(returned[0])
        ticks.append(_tick(env, returned, is_first, mode))
    return ticks


@contextmanager
def _no_error(env: VectorEnv, what: str) -> Iterator[None]:
    """Turn whatever the env raises into one line."""
    try:
        yield
    except Exception as error:
        lanes = "1 lane" if env.num_envs == 1 else f"{env.num_envs} lanes"
        raise SpecError(f"{what} with {lanes} raises {type(error).__name__}: {' '.join(str(error).split())}") from error


def _copied(table: Mapping[str, Any]) -> Table:
    return {key: np.array(to_host(values)) for key, values in table.items()}


def _reset_ended(env: VectorEnv, last: Played) -> tuple[Mapping[str, Any], Played]:
    """Reset the lanes that ended; return the observation as the env gave it, and the tick."""
    with _no_error(env, "reset of some lanes"):
        observation, _ = env.reset(options={"reset_mask": last.ended})
    shown, never = flat_observation(observation), np.zeros(env.num_envs, bool)
    return shown, Played(_copied(shown), None, never, never, last.ended, last.ended)


def _tick(env: VectorEnv, returned: Any, is_first: np.ndarray, mode: AutoresetMode) -> Played:
    if not (isinstance(returned, tuple) and len(returned) == 5):
        raise SpecError("step returns something else than (observation, reward, terminated, truncated, info)")
    observation, reward, *flags, info = returned
    for name, values, kinds in (("reward", reward, "fiu"), ("terminated", flags[0], "b"), ("truncated", flags[1], "b")):
        array = to_host(values)
        if array.shape != (env.num_envs,) or array.dtype.kind not in kinds:
            raise SpecError(
                f"{name} has shape {array.shape} and type {array.dtype}, expected {(env.num_envs,)} of "
                f"{'bool' if kinds == 'b' else 'float'}"
            )
    terminated, truncated = (np.array(to_host(flag)) for flag in flags)
    if mode == AutoresetMode.SAME_STEP:
        is_first = terminated | truncated
    return Played(
        observation=_copied(flat_observation(observation)),
        reward=np.array(to_host(reward)),
        terminated=terminated,
        truncated=truncated,
        is_first=is_first,
        active=np.ones(env.num_envs, bool),
        final=info.get("final_obs"),
    )


def _check_untouched(shown: Mapping[str, Any], copied: Table) -> None:
    """Raise if arrays that were returned before changed when the env was stepped."""
    for key, values in shown.items():
        if key in copied and not np.array_equal(to_host(values), copied[key], equal_nan=True):
            raise SpecError(f"step overwrites the observation {key!r} it returned before; fix: return a copy")
