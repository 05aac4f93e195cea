"""Plays one lane of an env and keeps every row that its sensors delivered, with its time: the material of pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from embodied_ssl.errors import RunError
from embodied_ssl.sources.env_card import EnvCard, SensorCard
from embodied_ssl.sources.nested import flat_observation
from embodied_ssl.sources.rows import to_host
from embodied_ssl.sources.simulation import TickMaker
from embodied_ssl.spec import Tick

Policy = Callable[[VectorEnv, Any, Mapping[str, Any], np.ndarray], np.ndarray]
"""(env, observation, info, seconds since the episode began [lane]) -> action of all lanes, in the env's own scale."""


@dataclass(frozen=True)
class Track:
    """What one sensor delivered. Times are seconds since the recording began, over all episodes.

    Attributes:
        card: the sensor.
        rows: delivered rows (R, *shape), oldest first.
        captured_s: when each was captured, (R,).
        num_seen: number of rows delivered up to each tick, (T,).
        age_s: age of the newest row at each tick, (T,); NaN where none has arrived in the episode.
        lost_s: when rows that were lost were captured, (L,).
    """

    card: SensorCard
    rows: np.ndarray
    captured_s: np.ndarray
    num_seen: np.ndarray
    age_s: np.ndarray
    lost_s: np.ndarray

    @property
    def is_picture(self) -> bool:
        """Whether rows are camera frames: colour, depth or segmentation."""
        shape = self.card.spec.shape
        return self.card.spec.is_image or (len(shape) == 3 and self.card.spec.modality in ("depth", "segmentation"))

    def newest(self, tick: int) -> np.ndarray | None:
        """Return the newest row at a tick, None before the first of the episode."""
        return None if np.isnan(self.age_s[tick]) else self.rows[self.num_seen[tick] - 1]


@dataclass(frozen=True)
class Recording:
    """Some seconds of one lane.

    Attributes:
        card: the env.
        times_s: time of each tick, (T,).
        tracks: by sensor, in observation order.
        action: (T, A), in [-1, 1]; the action that led to each tick.
        reward: (T,).
        starts: ticks that begin an episode, (T,) bool.
    """

    card: EnvCard
    times_s: np.ndarray
    tracks: tuple[Track, ...]
    action: np.ndarray
    reward: np.ndarray
    starts: np.ndarray

    @property
    def pictures(self) -> tuple[Track, ...]:
        """The cameras."""
        return tuple(track for track in self.tracks if track.is_picture)

    @property
    def vectors(self) -> tuple[Track, ...]:
        """Everything that is no camera."""
        return tuple(track for track in self.tracks if not track.is_picture)


def record(env: VectorEnv, card: EnvCard, policy: Policy, num_ticks: int, seed: int) -> Recording:
    """Play `num_ticks` actions from a seeded reset and keep lane 0.

    Raises:
        SpecError: the env breaks its own spec.
        RunError: the env raises, as it may for its arguments or for actions of another shape.
    """
    maker = TickMaker(env)
    observation, info = _asked(card.id, "reset", lambda: env.reset(seed=seed))
    recorder, tick_s = _Recorder(card), 1.0 / card.control_hz
    recorder.take(maker.reset(observation, info), observation)
    for _ in range(num_ticks):
        action = policy(env, observation, info, np.full(env.num_envs, recorder.episode_ticks * tick_s))
        returned = _asked(card.id, "step", functools.partial(env.step, action))
        observation, reward, terminated, truncated, info = returned
        for tick in maker.step(action, observation, reward, terminated, truncated, info):
            recorder.take(tick, observation)
    return recorder.finish()


def _asked(env_id: str, what: str, call: Callable[[], Any]) -> Any:
    """Return what the env answers; whatever it raises becomes one line."""
    try:
        return call()
    except Exception as error:
        raise RunError(f"{what} of {env_id!r} raises {type(error).__name__}: {' '.join(str(error).split())}") from error


class _Recorder:
    def __init__(self, card: EnvCard) -> None:
        self._card, self._ticks, self._losses = card, list[Tick](), {s.spec.name: list[float]() for s in card.sensors}
        self._last_lost_s = dict.fromkeys(self._losses, -np.inf)
        self.episode_ticks = 0

    def take(self, tick: Tick, observation: Any) -> None:
        if 0 not in tick.lanes:
            return
        place = int(np.flatnonzero(tick.lanes == 0)[0])
        self.episode_ticks = 0 if tick.is_first[place] else self.episode_ticks + 1
        self._ticks.append(_only_lane(tick, place))
        table = flat_observation(observation)
        for sensor in self._card.sensors:
            self._note_losses(sensor, table)

    def _note_losses(self, sensor: SensorCard, table: Mapping[str, Any]) -> None:
        name, now_s = sensor.spec.name, (len(self._ticks) - 1) / self._card.control_hz
        if f"{name}.valid" not in table:
            return
        age_s = np.atleast_1d(to_host(table.get(f"{name}.age_s", np.zeros(1)))[0])
        captured_s = now_s - age_s[np.atleast_1d(to_host(table[f"{name}.valid"])[0]) == 0]
        began_s = now_s - self.episode_ticks / self._card.control_hz
        # What is dated to the episode's start or before it never existed: nothing was lost.
        for time_s in captured_s[captured_s > began_s + 1e-6]:
            if time_s > self._last_lost_s[name] + 0.5 / sensor.spec.rate_hz:
                self._losses[name].append(float(time_s))
                self._last_lost_s[name] = float(time_s)

    def finish(self) -> Recording:
        times_s = np.arange(len(self._ticks)) / self._card.control_hz
        return Recording(
            card=self._card,
            times_s=times_s,
            tracks=tuple(self._track(sensor, times_s) for sensor in self._card.sensors),
            action=np.stack([tick.action[0] for tick in self._ticks]),
            reward=np.stack([tick.reward[0] for tick in self._ticks]),
            starts=np.stack([tick.is_first[0] for tick in self._ticks]),
        )

    def _track(self, sensor: SensorCard, times_s: np.ndarray) -> Track:
        name = sensor.spec.name
        fresh = [tick.fresh[name][0] for tick in self._ticks]
        rows = [tick.rows[name][0][new] for tick, new in zip(self._ticks, fresh, strict=True)]
        captured_s = [
            now - tick.age_s[name][0][new] for now, tick, new in zip(times_s, self._ticks, fresh, strict=True)
        ]
        joined_s = np.concatenate(captured_s)
        num_seen = np.cumsum([int(new.sum()) for new in fresh])
        began_s = np.maximum.accumulate(np.where([tick.is_first[0] for tick in self._ticks], times_s, 0.0))
        newest_s = np.where(num_seen > 0, joined_s[num_seen - 1], -np.inf) if len(joined_s) else times_s - np.inf
        # Half a row early: rounding must not hide a row captured at the reset itself.
        age_s = np.where(newest_s > began_s - 0.5 / sensor.spec.rate_hz, times_s - newest_s, np.nan)
        return Track(sensor, np.concatenate(rows), joined_s, num_seen, age_s, np.array(self._losses[name]))


def _only_lane(tick: Tick, place: int) -> Tick:
    """Return one lane of a tick, on the host."""

    def pick(values: Any) -> Any:
        if isinstance(values, Mapping):
            return {key: pick(entry) for key, entry in values.items()}
        return to_host(values[place : place + 1])

    return Tick(**{field.name: pick(getattr(tick, field.name)) for field in fields(tick)})
