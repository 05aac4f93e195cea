"""The contract of a stream env, as a check that users run on their own: see `check_stream_env`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.env_play import Played, autoreset_mode, play, play_on, random_actions
from embodied_ssl.sources.env_rows import check_arrays, check_companions, latest_gap, measured_rate
from embodied_ssl.sources.nested import flat_observation, flat_spaces
from embodied_ssl.sources.simulation import stream_spec
from embodied_ssl.spec import StreamSpec

RATE_TOLERANCE = 0.05
_SUFFIXES = (".age_s", ".valid")

MakeEnv = Callable[[int], VectorEnv]
"""Number of lanes -> the env."""


def check_stream_env(make_env: MakeEnv, num_lanes: int = 3, num_ticks: int = 200, seed: int = 0) -> str:
    """Hold a vector env against everything that the learner relies on.

    Spaces and observations agree (keys, type, shape, range); `metadata["sensors"]` names observed keys; ages and
    validities fit their rows; rows arrive at the declared rate, oldest first; returned arrays are not overwritten;
    rewards are finite; the autoreset mode is what is declared; the same seed gives the same bits; a lane with a seed of
    its own does not depend on the other lanes; actions out of bounds do not crash.

    Args:
        make_env: makes the env with a given number of lanes; called a few times, each env is closed.
        num_lanes: at least 1.
        num_ticks: actions played; episodes that end within them show how the env resets.
        seed: of the env and of the actions.

    Returns:
        A line for each thing that was checked, or that could not be.

    Raises:
        SpecError: the first breach, in one line.
    """
    env = make_env(num_lanes)
    try:
        spec, actions = stream_spec(env), random_actions(env, num_ticks, seed)
        _check_declared(env, spec)
        ticks = play(env, actions, seed)
        notes = [_check_ticks(env, spec, ticks), *_check_rates(spec, ticks), _check_ends(env, ticks)]
        notes.append(_check_wild_actions(env, actions[-1]))
    finally:
        env.close()
    notes.append(_check_seed(make_env, actions, ticks, seed))
    notes.append(_check_lanes(make_env, num_lanes, num_ticks, seed))
    return "\n".join(f"  {note}" for note in notes)


def _check_declared(env: VectorEnv, spec: StreamSpec) -> None:
    spaces = flat_spaces(env.single_observation_space)
    names = [sensor.name for sensor in spec.sensors]
    for key in spaces:
        owner = next((key.removesuffix(suffix) for suffix in _SUFFIXES if key.endswith(suffix)), None)
        if owner is not None and owner not in names:
            raise SpecError(f"{key!r} is observed without {owner!r}; fix: rename one of them")
    if (env.metadata or {}).get("sensors") and "control_hz" not in env.metadata and "render_fps" not in env.metadata:
        raise SpecError("metadata['control_hz'] is missing, so rates mean nothing; fix: declare actions per second")


def _check_ticks(env: VectorEnv, spec: StreamSpec, ticks: Sequence[Played]) -> str:
    spaces = flat_spaces(env.single_observation_space)
    for number, tick in enumerate(ticks):
        where = f"tick {number}"
        check_arrays(tick.observation, spaces, env.num_envs, where)
        check_companions(tick.observation, spec, env.num_envs, where)
        if tick.reward is not None and not np.isfinite(tick.reward).all():
            raise SpecError(f"{where}: rewards are {tick.reward.tolist()}, expected finite numbers")
    return f"observations: {len(spaces)} keys, {len(ticks)} ticks of {env.num_envs} lanes, all as declared"


def _check_rates(spec: StreamSpec, ticks: Sequence[Played]) -> list[str]:
    measured, unknown = [], []
    for sensor in spec.sensors:
        if f"{sensor.name}.age_s" not in ticks[0].observation:
            continue
        counted, expected = measured_rate(ticks, sensor, spec)
        silent_s = latest_gap(ticks, sensor, spec)
        stopped = silent_s > 10 / sensor.rate_hz + 5 * spec.tick_s
        if expected < 3 and not stopped:
            unknown.append(sensor.name)
        elif stopped or abs(counted - expected) > max(RATE_TOLERANCE * expected, 1.5):
            rate_hz = sensor.rate_hz * counted / expected if expected else 0.0
            silence = f" and was silent for {silent_s:.3g} s" if stopped else ""
            raise SpecError(
                f"sensor {sensor.name!r} delivers {rate_hz:.4g} rows/s{silence}, declared are {sensor.rate_hz:g} Hz; "
                "fix: metadata['sensors'] or the ages"
            )
        else:
            measured.append(sensor.name)
    notes = [f"rates as declared, by ages: {', '.join(measured)}"] if measured else []
    return notes + ([f"rates not checked, too few rows in {len(ticks)} ticks: {', '.join(unknown)}"] if unknown else [])


def _check_ends(env: VectorEnv, ticks: Sequence[Played]) -> str:
    mode, spaces = autoreset_mode(env), flat_spaces(env.single_observation_space)
    num_ends = sum(int(tick.ended.sum()) for tick in ticks)
    for number, tick in enumerate(ticks):
        where = f"tick {number}"
        if mode == AutoresetMode.SAME_STEP and tick.ended.any():
            _check_final(tick, spaces, where)
        elif tick.final is not None:
            raise SpecError(f"{where}: info has 'final_obs', which belongs to SAME_STEP; metadata declares {mode.name}")
        if mode == AutoresetMode.NEXT_STEP and tick.reward is not None and (tick.reward[tick.is_first] != 0).any():
            raise SpecError(f"{where}: a lane earns a reward in the step that resets it, expected 0 under NEXT_STEP")
        if mode == AutoresetMode.NEXT_STEP and (tick.ended & tick.is_first).any():
            raise SpecError(f"{where}: an episode ends in the step that resets it, expected its first observation")
    ends = f"{num_ends} episode ends" if num_ends else "no episode ended, so resets were not checked"
    return f"autoreset {mode.name}: {ends}"


def _check_final(tick: Played, spaces: Mapping[str, gym.Space], where: str) -> None:
    """Raise unless every ended lane's final observation is in `final_obs` and legal."""
    if tick.final is None:
        raise SpecError(f"{where}: an episode ended without info['final_obs'], which SAME_STEP promises")
    for lane in np.flatnonzero(tick.ended):
        final = tick.final
        for key, space in spaces.items():
            flat = flat_observation(final if isinstance(final, Mapping) else final[lane])
            value = np.asarray(flat[key][lane] if isinstance(final, Mapping) else flat[key])
            if not space.contains(value):
                raise SpecError(f"{where}: final_obs[{key!r}] of lane {lane} is outside its space {space}")


def _check_wild_actions(env: VectorEnv, action: np.ndarray) -> str:
    if autoreset_mode(env) == AutoresetMode.DISABLED:
        env.reset(seed=0)
    for wild in (10 * np.abs(action) + 10, -10 * np.abs(action) - 10):
        try:
            _, reward, *_ = env.step(wild.astype(action.dtype))
        except Exception as error:
            raise SpecError(f"actions out of bounds raise {type(error).__name__}: {error}; fix: clip them") from error
        if not np.isfinite(np.asarray(reward)).all():
            raise SpecError(f"actions out of bounds give rewards {reward}, expected finite ones; fix: clip them")
    return "actions out of bounds: survived"


def _check_seed(make_env: MakeEnv, actions: np.ndarray, ticks: Sequence[Played], seed: int) -> str:
    """Play again; under NEXT_STEP with other actions in the steps that reset, which must ignore them."""
    env = make_env(len(ticks[0].ended))
    try:
        again = actions.copy()
        if autoreset_mode(env) == AutoresetMode.NEXT_STEP:
            resets = np.stack([tick.is_first for tick in ticks[1:]])
            again[resets] = actions[::-1][resets]
        replayed = play(env, again, seed)
    finally:
        env.close()
    where = _first_difference(ticks, replayed)
    if where:
        raise SpecError(
            f"the same seed and actions give another {where}; fix: draw everything from generators that reset(seed=) "
            "sets, and ignore actions in steps that reset a lane"
        )
    return "same seed, same bits"


def _check_lanes(make_env: MakeEnv, num_lanes: int, num_ticks: int, seed: int) -> str:
    """Play the first lane alone too, its neighbour and the last beside lanes of other seeds and actions.

    Those two keep their place, as lanes may differ by place: robots or tasks of several kinds side by side.
    """
    seeds = [seed + 100 + lane for lane in range(num_lanes)]
    env = make_env(num_lanes)
    try:
        try:
            returned = env.reset(seed=seeds)  # pyright: ignore[reportArgumentType]  (one seed per lane)
        except (TypeError, ValueError, gym.error.Error, AssertionError):
            return "lanes alone and together: not checked, reset takes no list of seeds"
        actions, others = random_actions(env, num_ticks, seed), random_actions(env, num_ticks, seed + 1)
        together = play_on(env, actions, returned)
    finally:
        env.close()
    for lane in sorted({0, min(1, num_lanes - 1), num_lanes - 1}):
        changed, mixed = [one + num_lanes for one in seeds], others.copy()
        changed[lane], mixed[:, lane] = seeds[lane], actions[:, lane]
        shown = slice(0, 1) if lane == 0 else slice(None)
        again = _played(make_env, mixed[:, shown], changed[shown])
        where = _first_difference(_of_lane(together, lane), _of_lane(again, lane))
        if where:
            raise SpecError(
                f"lane {lane} with the same seed gives another {where} beside other lanes; lanes must not interact"
            )
    return "lanes alone and together: same bits"


def _played(make_env: MakeEnv, actions: np.ndarray, seeds: list[int]) -> list[Played]:
    env = make_env(len(seeds))
    try:
        return play(env, actions, seeds)
    finally:
        env.close()


def _of_lane(ticks: Sequence[Played], lane: int) -> list[Played]:
    """Return what `_first_difference` compares of one lane's ticks."""
    part = slice(lane, lane + 1)
    return [
        replace(
            tick,
            observation={key: values[part] for key, values in tick.observation.items()},
            reward=None if tick.reward is None else tick.reward[part],
            terminated=tick.terminated[part],
            truncated=tick.truncated[part],
        )
        for tick in ticks
        if tick.active[lane]
    ]


def _first_difference(ticks: Sequence[Played], others: Sequence[Played]) -> str | None:
    """Return what differs first, None if nothing does."""
    for number, (tick, other) in enumerate(zip(ticks, others, strict=False)):
        pairs: dict[str, tuple[Any, Any]] = {
            f"observation {key!r}": (values, other.observation[key]) for key, values in tick.observation.items()
        }
        pairs |= {name: (getattr(tick, name), getattr(other, name)) for name in ("reward", "terminated", "truncated")}
        for name, (one, two) in pairs.items():
            if one is not None and not np.array_equal(one, two, equal_nan=one.dtype.kind == "f"):
                return f"{name} at tick {number}"
    return None
