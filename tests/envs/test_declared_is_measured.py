"""What metadata declares of a sensor (rate, latency, jitter, noise, bias, loss) is what its stream shows.

One play per environment serves all its sensors. Only new rows count: a row belongs to its capture, and is repeated with
the same bits while it is still delivered.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from embodied_envs import ENV_IDS

NUM_TICKS, NUM_LANES, CAMERA_LANES = 120, 24, 2
SIGMAS = 5.0  # statistical bounds are this many standard errors wide
TIME_S = 1e-4  # ages are float32
PICTURES = ("camera", "depth", "segmentation")


@dataclass(frozen=True)
class Stream:
    """One sensor over a play: [tick, lane, row, value], [tick, lane, row]; `time_s` [tick, lane] is the episode's."""

    declared: dict
    tick_s: float
    time_s: np.ndarray
    values: np.ndarray
    clean: np.ndarray | None
    age_s: np.ndarray
    valid: np.ndarray

    @property
    def period_s(self) -> float:
        return 1.0 / self.declared["rate_hz"]

    @property
    def captured_s(self) -> np.ndarray:
        return self.time_s[:, :, None] - self.age_s

    @cached_property
    def exists(self) -> np.ndarray:
        """Rows captured in this episode. What was never captured may be dated to the episode's start."""
        captured_s = self.captured_s
        exists = (captured_s > -TIME_S) & (self.valid | (captured_s > TIME_S))
        if self.declared["modality"] in PICTURES:
            began = np.zeros(self.age_s.shape[1:], bool)
            for tick, valid in enumerate(self.valid):
                began = (began & (self.time_s[tick] > 0)[:, None]) | valid
                exists[tick] &= began
        return exists

    @cached_property
    def is_new(self) -> np.ndarray:
        """Rows captured in this episode after every row seen before, whether or not they were lost."""
        captured_s, is_new = self.captured_s, np.zeros(self.age_s.shape, bool)
        newest_s = np.zeros(captured_s.shape[1])
        for tick, times_s in enumerate(captured_s):
            newest_s[self.time_s[tick] == 0] = -np.inf
            is_new[tick] = (times_s > newest_s[:, None] + 0.5 * self.period_s) & self.exists[tick]
            newest_s = np.maximum(newest_s, np.where(is_new[tick], times_s, -np.inf).max(axis=1))
        return is_new

    @property
    def error(self) -> np.ndarray:
        """Reading minus noise-free reading of new rows; NaN elsewhere, and where noise may have been clipped."""
        assert self.clean is not None
        room = 6 * (self.declared["noise_std"] + self.declared["bias_std"])
        inside = (self.clean >= self.declared["low"] + room) & (self.clean <= self.declared["high"] - room)
        return np.where(inside & (self.is_new & self.valid)[..., None], self.values - self.clean, np.nan)


def stream_of(key: str, declared: dict, tick_s: float, ticks: list[tuple]) -> Stream:
    time_s = np.stack([number for number, _, _ in ticks]) * tick_s
    num_lanes, num_rows = time_s.shape[1], max(1, round(declared["rate_hz"] * tick_s))
    if f"{key}.age_s" in ticks[0][1]:
        num_rows = ticks[0][1][f"{key}.age_s"][0].size
    rows = (len(ticks), num_lanes, num_rows)
    even = np.arange(num_rows)[::-1] / declared["rate_hz"]
    clean = np.stack([t[2]["clean"][key] for t in ticks]).reshape(*rows, -1) if key in ticks[0][2]["clean"] else None
    return Stream(
        declared=declared,
        tick_s=tick_s,
        time_s=time_s,
        values=np.stack([t[1][key] for t in ticks]).reshape(*rows, -1).astype(np.float64),
        clean=clean,
        age_s=np.stack([t[1].get(f"{key}.age_s", np.tile(even, (num_lanes, 1))) for t in ticks]).reshape(rows),
        valid=np.stack([t[1].get(f"{key}.valid", np.ones(rows[1:])) for t in ticks]).reshape(rows) > 0,
    )


def play(env_id: str, cameras: bool) -> dict[str, Stream]:
    chosen: dict[str, Any] = (
        {"cameras": True, "camera_px": 8, "camera_backend": "ray"} if cameras else {"cameras": False}
    )
    lanes = CAMERA_LANES if cameras else NUM_LANES
    envs = gym.make_vec(f"embodied_envs:{env_id}", num_envs=lanes, episode_ticks=1000, num_threads=1, **chosen)
    assert envs.action_space.shape is not None
    generator, number, ended = np.random.default_rng(1), np.zeros(lanes), np.zeros(lanes, bool)
    ticks = [(number, *envs.reset(seed=2))]
    for _ in range(NUM_TICKS):
        action = generator.uniform(-0.6, 0.6, envs.action_space.shape)
        observation, _, terminated, truncated, info = envs.step(action)
        assert not info["engine_fault"].any()
        number, ended = np.where(ended, 0, number + 1), terminated | truncated
        ticks.append((number, observation, info))
    sensors, tick_s = envs.metadata["sensors"], 1.0 / envs.metadata["control_hz"]
    envs.close()
    keys = [key for key, declared in sensors.items() if (declared["modality"] in PICTURES) == cameras]
    return {key: stream_of(key, sensors[key], tick_s, ticks) for key in keys}


def check_rate(key: str, stream: Stream) -> None:
    """Every capture of an episode is delivered once: their spacing is the declared period."""
    spacings_s = []
    for lane in range(stream.time_s.shape[1]):
        starts = [*np.flatnonzero(stream.time_s[:, lane] == 0), len(stream.time_s)]
        for start, stop in itertools.pairwise(starts):
            captured_s = stream.captured_s[start:stop, lane][stream.is_new[start:stop, lane]]
            spacings_s.append(np.diff(captured_s))
    spacings_s = np.concatenate(spacings_s)
    assert len(spacings_s) > 5, key
    rate_hz = 1.0 / spacings_s.mean()
    assert rate_hz == pytest.approx(stream.declared["rate_hz"], rel=0.01), key


def check_latency(key: str, stream: Stream) -> None:
    """A row arrives with the first observation at or after capture + latency + jitter."""
    at_arrival_s = stream.age_s[stream.is_new & (stream.time_s > 0)[:, :, None]]
    latency_s, jitter_s = stream.declared["latency_s"], stream.declared["jitter_s"]
    assert at_arrival_s.min() >= latency_s - TIME_S, key
    assert at_arrival_s.max() - stream.tick_s <= latency_s + jitter_s + TIME_S, key


def check_repeats(key: str, stream: Stream) -> None:
    """Rows that are delivered again hold the same bits and the same validity."""
    num_rows, num_again = stream.age_s.shape[2], 0
    num_new = stream.is_new.sum(axis=2)
    for shift in range(num_rows):
        same = (num_new[1:] == shift) & (stream.time_s[1:] > 0)
        kept = num_rows - shift
        before, after = stream.values[:-1, :, shift:][same], stream.values[1:, :, :kept][same]
        existed = stream.exists[:-1, :, shift:][same]
        np.testing.assert_array_equal(before[existed], after[existed], err_msg=key)
        was_valid, is_valid = stream.valid[:-1, :, shift:][same], stream.valid[1:, :, :kept][same]
        np.testing.assert_array_equal(was_valid[existed], is_valid[existed], err_msg=key)
        num_again += existed.sum()
    fast = stream.period_s <= stream.tick_s + TIME_S
    assert num_again > 0 or fast, key


def check_noise(key: str, stream: Stream) -> None:
    """White noise has the declared spread about each lane's own bias, and biases have theirs."""
    error, noise_std, bias_std = stream.error, stream.declared["noise_std"], stream.declared["bias_std"]
    first_episode = np.where((np.cumsum(stream.time_s == 0, axis=0) == 1)[:, :, None, None], error, np.nan)
    count = np.isfinite(first_episode).sum(axis=(0, 2))
    total = np.nansum(first_episode, axis=(0, 2))
    enough = count >= 10
    if enough.mean() < 0.2:
        check_noise_at_the_edge(key, stream)
        return
    bias = np.where(enough, total / np.maximum(count, 1), np.nan)
    noise = (first_episode - bias[None, :, None]) * np.sqrt(count / np.maximum(count - 1, 1))[None, :, None]
    noise = noise[np.isfinite(noise)]
    size = np.abs(stream.values).max()
    assert noise.std() == pytest.approx(noise_std, rel=SIGMAS / np.sqrt(2 * len(noise)), abs=1e-6 * size), key
    found = bias[enough]
    expected_std = np.sqrt(bias_std**2 + noise_std**2 / count[enough].mean())
    assert np.sqrt(np.mean(found**2)) <= expected_std * (1 + SIGMAS / np.sqrt(2 * len(found))) + 1e-6 * size, key
    if bias_std > 0:
        assert np.sqrt(np.mean(found**2)) >= expected_std * (1 - SIGMAS / np.sqrt(2 * len(found))), key


def check_noise_at_the_edge(key: str, stream: Stream) -> None:
    """A sensor that nothing touches reads its lowest value; clipped there, half of noise plus bias is seen."""
    assert stream.clean is not None
    resting = (stream.clean == stream.declared["low"]) & (stream.is_new & stream.valid)[..., None]
    error = (stream.values - stream.clean)[resting]
    # Errors of one element share its bias: they count once.
    num = len(error) if stream.declared["bias_std"] == 0 else int(resting.any(axis=(0, 2)).sum())
    assert num > 1000, f"{key}: neither inside its range nor at rest"
    assert (error > 0).mean() == pytest.approx(0.5, abs=SIGMAS / np.sqrt(4 * num)), key
    expected_std = np.hypot(stream.declared["noise_std"], stream.declared["bias_std"])
    assert np.sqrt(np.mean(error[error > 0] ** 2)) == pytest.approx(expected_std, rel=SIGMAS / np.sqrt(num)), key


def started(stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Return (values never 0 in the lanes' second to fourth rows [value], which are 0 in their first [lane, value])."""
    assert stream.clean is not None
    num_lanes, num_values = stream.clean.shape[1], stream.clean.shape[3]
    found = (stream.is_new & stream.valid).swapaxes(1, 2).reshape(-1, num_lanes)  # [row in order of capture, lane]
    is_zero = (stream.clean == 0).swapaxes(1, 2).reshape(-1, num_lanes, num_values)
    rank = np.where(found, np.cumsum(found, axis=0), 0)
    return ~is_zero[(rank > 1) & (rank < 5)].any(axis=0), is_zero[rank == 1]


def check_start(key: str, stream: Stream) -> None:
    """The first row of an episode was sampled: it is not the zeros that a ring of samples is cleared to.

    One value may be 0 at rest, as the torque of a joint on a vertical axis is; not all of a row.
    """
    never_zero, zero_at_first = started(stream)
    assert len(zero_at_first) > stream.time_s.shape[1] // 2, key
    assert not never_zero.any() or not zero_at_first[:, never_zero].all(axis=1).any(), key


def check_losses(key: str, stream: Stream) -> None:
    """The declared share of captures is lost: not valid, and zero."""
    num, share = int(stream.is_new.sum()), stream.declared["dropout"]
    num_lost = int((stream.is_new & ~stream.valid).sum())
    assert abs(num_lost - share * num) <= SIGMAS * np.sqrt(num * share * (1 - share)), key
    assert (stream.values[~stream.valid] == 0).all(), key


@pytest.fixture(scope="module", params=ENV_IDS)
def vectors(request) -> dict[str, Stream]:
    return play(request.param, cameras=False)


@pytest.fixture(scope="module", params=ENV_IDS)
def cameras(request) -> dict[str, Stream]:
    return play(request.param, cameras=True)


@pytest.mark.parametrize("check", [check_rate, check_latency, check_repeats, check_start, check_noise, check_losses])
def test_vector_sensors(vectors, check):
    for key, stream in vectors.items():
        check(key, stream)


def test_half_of_the_sensors_show_whether_their_first_row_was_sampled(vectors):
    """Only what is never 0 later can show it: forces of contact, for example, are 0 until something touches."""
    telling = [key for key, stream in vectors.items() if started(stream)[0].any()]
    assert len(telling) >= len(vectors) / 2, telling


@pytest.mark.parametrize("check", [check_rate, check_latency, check_repeats])
def test_cameras(cameras, check):
    assert cameras
    for key, stream in cameras.items():
        check(key, stream)
