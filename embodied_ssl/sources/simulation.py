"""A Gymnasium vector env as a source of ticks.

The contract is plain Gymnasium: a Dict (or Box) observation and, in ``env.metadata``, optionally
``control_hz`` and ``sensors = {key: {"rate_hz": ..., "unit": ..., "modality": ...}}``. Beside a key there may be
``<key>.age_s`` (seconds since capture) and ``<key>.valid``. For a sensor faster than control the leading axis of
its array is the rows of the tick, oldest first. Absent: control rate, age 0, valid. Dicts in a Dict are flattened:
their sensors are called ``<outer>/<inner>``.

Arrays may be torch tensors of any device. Then rows, actions and rewards stay there; flags, ages and validities, a few
bytes a lane, are copied to the host, which decides where rows are stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from embodied_ssl.errors import SpecError, nearest
from embodied_ssl.sources.action_scale import ActionScale
from embodied_ssl.sources.final_observation import with_final
from embodied_ssl.sources.nested import flat_observation, flat_spaces
from embodied_ssl.sources.rows import (
    Rows,
    as_rows,
    blank_unless,
    finite_rows,
    finite_values,
    keep_float,
    shape_rows,
    take_lanes,
    to_host,
)
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

_SUFFIXES = (".age_s", ".valid")


def stream_spec(env: VectorEnv) -> StreamSpec:
    """Read the stream spec from an env's spaces and metadata.

    Args:
        env: a vector env with a Dict or Box observation and a Box action.

    Raises:
        SpecError: the env is not a vector env, or a space has no stream form.
    """
    if not isinstance(env, VectorEnv):
        raise SpecError(f"got {type(env).__name__}, expected a vector env; fix: gym.make_vec(id, num_envs=1)")
    if not isinstance(env.single_action_space, gym.spaces.Box):
        raise SpecError(f"action space is {env.single_action_space}, expected a Box of continuous actions")
    metadata = env.metadata or {}
    control_hz = float(metadata.get("control_hz") or metadata.get("render_fps") or 1.0)
    declared = metadata.get("sensors", {})
    observed = flat_spaces(env.single_observation_space)
    for key in declared:
        if key not in observed:
            raise SpecError(f"metadata['sensors'] declares {key!r}, which is not observed; {nearest(key, observed)}")
    sensors = [
        _sensor(key, space, declared.get(key, {}), control_hz)
        for key, space in observed.items()
        if not key.endswith(_SUFFIXES)
    ]
    return StreamSpec(tuple(sensors), int(np.prod(env.single_action_space.shape)), control_hz)


def _sensor(key: str, space: gym.Space, declared: Mapping[str, Any], control_hz: float) -> SensorSpec:
    if not isinstance(space, gym.spaces.Box):
        raise SpecError(f"observation {key!r} is {space}, expected a Box; fix: drop or flatten it in a wrapper")
    rate_hz = float(declared.get("rate_hz", control_hz))
    shape = space.shape[1:] if rate_hz > control_hz else space.shape
    is_image = space.dtype == np.uint8 and len(shape) == 3
    return SensorSpec(
        name=key,
        modality=str(declared.get("modality", "camera" if is_image else "vector")),
        shape=shape or (1,),
        dtype="uint8" if is_image else "float32",
        rate_hz=rate_hz,
        unit=str(declared.get("unit", "")),
        low=float(np.min(space.low)),
        high=float(np.max(space.high)),
    )


class TickMaker:
    """Turns what a vector env returns into ticks, whatever its autoreset mode.

    ``NEXT_STEP``: the final observation is an ordinary tick, the next one is first. ``SAME_STEP``: the final
    observation comes in ``info["final_obs"]`` and makes a tick of its own before the first tick of the next
    episode. ``DISABLED``: the caller resets lanes and passes the mask to `reset`.
    """

    def __init__(self, env: VectorEnv, spec: StreamSpec | None = None) -> None:
        """Bind to the spaces of ``env``; ``spec`` defaults to `stream_spec`.

        Raises:
            SpecError: ``spec`` was made for another env.
        """
        own = stream_spec(env)
        if spec is not None and spec != own:
            raise SpecError(
                f"the env's sensors {own} are not those of the learner {spec}; use the env it was built for"
            )
        self.spec = own
        self.num_lanes = env.num_envs
        self.num_rejected_rows = dict.fromkeys((sensor.name for sensor in own.sensors), 0)
        self.num_rejected_rewards = 0
        self._mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        space = env.single_action_space
        assert isinstance(space, gym.spaces.Box)
        self._actions = ActionScale(space)
        self._clock = np.zeros(self.num_lanes, np.int64)
        self._captured_s = {s.name: np.full(self.num_lanes, -np.inf) for s in own.sensors}
        self._ended = np.zeros(self.num_lanes, bool)
        self._begun = False

    def to_env(self, action: Rows) -> Any:
        """Scale actions ``(N, A)`` from [-1, 1] to the env's own bounds and shape."""
        return self._actions.to_env(action)

    def reset(self, observation: Any, info: Mapping[str, Any] | None = None, mask: np.ndarray | None = None) -> Tick:
        """Return the first tick of the lanes in ``mask`` (default: all)."""
        self._begun = True
        lanes = np.arange(self.num_lanes) if mask is None else np.flatnonzero(mask)
        self._ended[lanes] = False
        return self._tick(lanes, observation, None, is_first=np.ones(len(lanes), bool))

    def step(
        self,
        action: Rows,
        observation: Any,
        reward: Rows,
        terminated: Rows,
        truncated: Rows,
        info: Mapping[str, Any] | None = None,
    ) -> list[Tick]:
        """Return the ticks of one ``env.step``: one of all lanes, or two under ``SAME_STEP`` when lanes ended.

        Args:
            action: ``(N, ...)`` as given to the env, in the env's own scale.
            observation: what the env returned.
            reward: ``(N,)``; one that is not finite counts as 0 and is counted.
            terminated: ``(N,)`` bool.
            truncated: ``(N,)`` bool.
            info: needed under ``SAME_STEP`` for ``final_obs``; lanes that ended because their simulator broke are
                marked in ``engine_fault`` (N,): what they observed are no readings.
        """
        if not self._begun:
            raise SpecError("observe() before reset(); fix: stream.reset(*env.reset())")
        self._actions.check(action, self.num_lanes)
        was_terminated, was_truncated = to_host(terminated).astype(bool), to_host(truncated).astype(bool)
        ended = was_terminated | was_truncated
        rewards, num_rejected = finite_values(reward)
        self.num_rejected_rewards += num_rejected
        outcome = (as_rows(action), rewards, was_terminated, was_truncated)
        lanes = np.arange(self.num_lanes)
        if self._mode == AutoresetMode.SAME_STEP and ended.any():
            last = with_final(observation, (info or {}).get("final_obs"), ended)
            final = self._tick(lanes, last, outcome, is_first=np.zeros(self.num_lanes, bool))
            return [final, self.reset(observation, info, ended)]
        if self._mode == AutoresetMode.DISABLED and self._ended.any():
            raise SpecError(
                f"lanes {np.flatnonzero(self._ended).tolist()} ended and were stepped again; "
                "fix: reset them and call stream.reset(observation, info, mask) first"
            )
        is_first = self._ended if self._mode == AutoresetMode.NEXT_STEP else np.zeros(self.num_lanes, bool)
        tick = self._tick(lanes, observation, outcome, is_first=is_first.copy())
        self._ended = ended
        return [_without_broken(tick, info or {}) if ended.any() else tick]

    def state(self) -> dict[str, torch.Tensor]:
        """Return the clocks of an exact resume."""
        clocks = {"clock": self._clock, "ended": self._ended}
        clocks |= {f"captured_s.{name}": captured for name, captured in self._captured_s.items()}
        return {name: torch.from_numpy(array.copy()) for name, array in clocks.items()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore `state`."""
        self._clock[:], self._ended[:] = state["clock"].numpy(), state["ended"].numpy()
        for name, captured in self._captured_s.items():
            captured[:] = state[f"captured_s.{name}"].numpy()
        self._begun = True

    def _tick(self, lanes: np.ndarray, observation: Any, outcome: tuple | None, is_first: np.ndarray) -> Tick:
        table = flat_observation(observation)
        self._clock[lanes] = np.where(is_first, 0, self._clock[lanes] + 1)
        rows, fresh, age_s = {}, {}, {}
        for sensor in self.spec.sensors:
            rows[sensor.name], fresh[sensor.name], age_s[sensor.name] = self._rows(sensor, table, lanes, is_first)
        action, reward, terminated, truncated = outcome or self._no_outcome()
        normal = self._actions.from_env(action)
        keep = ~is_first
        return Tick(
            lanes=lanes,
            rows=rows,
            fresh=fresh,
            age_s=age_s,
            action=keep_float(take_lanes(normal, lanes).clip(-1, 1), keep),
            reward=keep_float(take_lanes(reward, lanes), keep),
            is_first=is_first,
            terminated=terminated[lanes] & keep,
            truncated=truncated[lanes] & keep,
        )

    def _no_outcome(self) -> tuple[np.ndarray, ...]:
        never = np.zeros(self.num_lanes, bool)
        return np.zeros((self.num_lanes, self._actions.size), np.float32), np.zeros(self.num_lanes), never, never

    def _rows(
        self, sensor: SensorSpec, table: Mapping[str, Any], lanes: np.ndarray, is_first: np.ndarray
    ) -> tuple[Rows, np.ndarray, np.ndarray]:
        """Return rows ``(M, K, *shape)``, which are fresh ``(M, K)`` and their ages ``(M, K)``."""
        stacked = as_rows(table[sensor.name])
        if len(stacked) != self.num_lanes:
            raise SpecError(f"observation {sensor.name!r} has {len(stacked)} lanes, expected {self.num_lanes}")
        rows = shape_rows(take_lanes(stacked, lanes), sensor.shape, sensor.dtype)
        room = self.spec.tick_room(sensor)
        if rows.shape[1] > room:
            raise SpecError(f"sensor {sensor.name!r} sent {rows.shape[1]} rows in a tick, expected at most {room}")
        shape = rows.shape[:2]
        age_s = self._beside(table, f"{sensor.name}.age_s", lanes, shape, self._default_age(sensor, lanes, shape))
        valid = self._beside(table, f"{sensor.name}.valid", lanes, shape, np.ones(shape)).astype(bool)
        finite = finite_rows(rows) if not sensor.is_image else valid
        last = self._captured_s[sensor.name]
        last[lanes[is_first]] = -np.inf
        captured = self._clock[lanes, None] * self.spec.tick_s - age_s
        new = valid & (captured > last[lanes, None] + 0.5 / sensor.rate_hz)
        fresh = new & finite
        self.num_rejected_rows[sensor.name] += int((new & ~finite).sum())
        last[lanes] = np.maximum(last[lanes], np.where(new, captured, -np.inf).max(1))
        return blank_unless(fresh, rows), fresh, _whole_ns(age_s)

    def _default_age(self, sensor: SensorSpec, lanes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Ages when the env gives none: rows evenly spread, newest now; a slow sensor fires at its own rate."""
        if sensor.rate_hz >= self.spec.control_hz:
            return np.broadcast_to(np.arange(shape[1])[::-1] / sensor.rate_hz, shape)
        ticks = self._clock[lanes, None]
        fired = np.floor(ticks * sensor.rate_hz / self.spec.control_hz + 1e-9)
        return (ticks - np.ceil(fired * self.spec.control_hz / sensor.rate_hz - 1e-9)) * self.spec.tick_s

    @staticmethod
    def _beside(
        table: Mapping[str, Any], key: str, lanes: np.ndarray, shape: tuple[int, ...], default: np.ndarray
    ) -> np.ndarray:
        return to_host(table[key])[lanes].reshape(shape) if key in table else default


def _whole_ns(age_s: np.ndarray) -> np.ndarray:
    """Return ages as float32 of whole nanoseconds: a log, whose times are int64 ns, gives them back bit for bit."""
    return (np.rint(np.asarray(age_s, np.float64) * 1e9) / 1e9 + 0.0).astype(np.float32)  # + 0.0: no negative zero


def _without_broken(tick: Tick, info: Mapping[str, Any]) -> Tick:
    """Return the tick of all lanes without the rows of lanes whose simulator broke."""
    if "engine_fault" not in info:
        return tick
    intact = ~to_host(info["engine_fault"]).astype(bool)[:, None]
    return dataclasses.replace(tick, fresh={name: fresh & intact for name, fresh in tick.fresh.items()})
