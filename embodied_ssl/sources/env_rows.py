"""Checks of what single observations hold: spaces, finite numbers, ages, validity, and how often rows arrive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import gymnasium as gym
import numpy as np

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.env_play import Played, Table
from embodied_ssl.spec import SensorSpec, StreamSpec

_TIME_TOLERANCE_S = 1e-4  # ages are float32


def check_arrays(observation: Table, spaces: dict[str, gym.Space], num_lanes: int, where: str) -> None:
    """Raise SpecError unless every key has the declared type, shape and range, (N, ...)."""
    if set(observation) != set(spaces):
        odd = sorted(set(observation) ^ set(spaces))
        raise SpecError(f"{where}: keys {odd} are in the observation or in its space, not in both")
    for key, space in spaces.items():
        values = observation[key]
        expected = (num_lanes, *(space.shape or ()))
        if values.shape != expected or values.dtype != space.dtype:
            raise SpecError(
                f"{where}: {key!r} is {values.shape} {values.dtype}, expected {expected} {space.dtype}; fix the space "
                "or the array"
            )
        low, high = _limits(space)
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            raise SpecError(
                f"{where}: {key!r} holds {float(values[bad][0]):g}, expected [{np.min(low):g}, {np.max(high):g}]"
            )


def _limits(space: gym.Space) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest legal values; validity flags may be a MultiBinary or a Discrete space."""
    if isinstance(space, gym.spaces.Box):
        return space.low, space.high
    if isinstance(space, gym.spaces.Discrete):
        return space.start, space.start + space.n - 1
    if isinstance(space, gym.spaces.MultiBinary):
        return np.zeros(space.shape, space.dtype), np.ones(space.shape, space.dtype)
    raise SpecError(f"got {space}, expected a Box, or MultiBinary for validity")


def check_companions(observation: Table, spec: StreamSpec, num_lanes: int, where: str) -> None:
    """Raise SpecError unless ages and validities have one value a row, ages are not negative, rows oldest first."""
    for sensor in spec.sensors:
        num_rows = observation[sensor.name].size // (num_lanes * sensor.size)
        if num_rows > spec.tick_room(sensor):
            raise SpecError(
                f"{where}: {sensor.name!r} has {num_rows} rows, expected at most {spec.tick_room(sensor)} at "
                f"{sensor.rate_hz:g} Hz and control {spec.control_hz:g} Hz"
            )
        for key in (f"{sensor.name}.age_s", f"{sensor.name}.valid"):
            if key in observation and observation[key].size != num_lanes * num_rows:
                raise SpecError(f"{where}: {key!r} is {observation[key].shape}, expected {num_rows} values a lane")
        age_s, valid = row_ages(observation, sensor, spec), row_validity(observation, sensor, num_rows)
        if not (age_s >= 0).all():
            raise SpecError(f"{where}: {sensor.name + '.age_s'!r} holds {age_s.min():g}, expected 0 or more seconds")
        _check_order(sensor, age_s, valid, where)


def _check_order(sensor: SensorSpec, age_s: np.ndarray, valid: np.ndarray, where: str) -> None:
    for ages, is_valid in zip(age_s, valid, strict=True):
        if (np.diff(ages[is_valid]) > _TIME_TOLERANCE_S).any():
            raise SpecError(f"{where}: rows of {sensor.name!r} have ages {ages.tolist()}, expected oldest first")


def row_ages(observation: Table, sensor: SensorSpec, spec: StreamSpec) -> np.ndarray:
    """Return ages (N, K); rows without them are evenly spread, the newest is of now."""
    lanes = len(observation[sensor.name])
    num_rows = observation[sensor.name].size // (lanes * sensor.size)
    even = np.broadcast_to(np.arange(num_rows)[::-1] / sensor.rate_hz, (lanes, num_rows))
    return np.asarray(observation.get(f"{sensor.name}.age_s", even), np.float64).reshape(lanes, num_rows)


def row_validity(observation: Table, sensor: SensorSpec, num_rows: int) -> np.ndarray:
    """Return validities (N, K) bool; without them, every row is valid."""
    lanes = len(observation[sensor.name])
    valid = observation.get(f"{sensor.name}.valid", np.ones((lanes, num_rows)))
    return np.asarray(valid).reshape(lanes, num_rows) > 0


def measured_rate(ticks: Sequence[Played], sensor: SensorSpec, spec: StreamSpec) -> tuple[float, float]:
    """Return (captures counted, captures expected at the declared rate) over all lanes and episodes.

    A capture is a time at which a row was taken, whether or not the row was lost: two observations of the same row
    count once. The expected number is counted from each episode's first capture to its last one.
    """
    counted = expected = 0.0
    for captures_s in _captures(ticks, sensor, spec):
        if len(captures_s) > 1:
            counted += len(captures_s) - 1
            expected += (captures_s[-1] - captures_s[0]) * sensor.rate_hz
    return counted, expected


def latest_gap(ticks: Sequence[Played], sensor: SensorSpec, spec: StreamSpec) -> float:
    """Return the longest time in s that passed between an episode's last capture and its end."""
    gaps = [0.0]
    for episode_s, captures_s in zip(_durations(ticks, spec), _captures(ticks, sensor, spec), strict=True):
        gaps.append(episode_s - (captures_s[-1] if len(captures_s) else 0.0))
    return max(gaps)


def _captures(ticks: Sequence[Played], sensor: SensorSpec, spec: StreamSpec) -> Iterator[np.ndarray]:
    """Yield each episode's capture times in s since its start, ascending, each once."""
    for lane, episode in _episodes(ticks):
        times: list[float] = []
        for number, tick in enumerate(episode):
            captured_s = number * spec.tick_s - row_ages(tick.observation, sensor, spec)[lane]
            for time_s in captured_s[captured_s > -_TIME_TOLERANCE_S]:
                if not times or time_s > times[-1] + 0.25 / sensor.rate_hz:
                    times.append(float(time_s))
        yield np.array(times)


def _durations(ticks: Sequence[Played], spec: StreamSpec) -> Iterator[float]:
    for _, episode in _episodes(ticks):
        yield (len(episode) - 1) * spec.tick_s


def _episodes(ticks: Sequence[Played]) -> Iterator[tuple[int, Sequence[Played]]]:
    """Yield (lane, its ticks) of every episode."""
    for lane in range(len(ticks[0].is_first)):
        own = [tick for tick in ticks if tick.active[lane]]
        starts = [number for number, tick in enumerate(own) if tick.is_first[lane]]
        for start, stop in itertools.pairwise([*starts, len(own)]):
            yield lane, own[start:stop]
