# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
"""Latency, jitter, bias, loss and repetition, on the Runner's gyro with another clock."""

import math
from dataclasses import replace

import numpy as np
import pytest

from embodied_envs import row_clock
from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.native_timing import set_rate
from embodied_envs.robots.runner import ROBOT, build_runner
from embodied_envs.sensors import HistoryRows, Sensor

TICKS = 200
LANES = 4


def _robot(rate_hz: float, **changes):
    late_s = changes.get("latency_s", 0.0) + changes.get("jitter_s", 0.0)

    def build():
        spec = build_runner()
        set_rate(spec.sensor("gyro"), rate_hz, ROBOT.control_hz, 0.005, late_s)
        return spec

    fast = rate_hz > ROBOT.control_hz
    shape = (math.ceil(rate_hz / ROBOT.control_hz) + ("jitter_s" in changes), 3) if fast else (3,)
    gyro = Sensor("gyro", "imu", "rad/s", rate_hz, shape, 0.1, -36.0, 36.0, HistoryRows(("gyro",)), **changes)
    return replace(ROBOT, build=build, sensors=(ROBOT.sensors[0], gyro, ROBOT.sensors[3]))


def _play(robot, seed=0, ticks=TICKS):
    """Return per tick observation and clean readings, stacked [tick, lane, ...]; ages and validity included."""
    envs = BatchVectorEnv(robot, LANES, episode_ticks=ticks + 1, num_threads=1)
    observation, info = envs.reset(seed=seed)
    actions = np.random.default_rng(1).uniform(-1, 1, (ticks, LANES, 6))
    rows = [observation | {"clean": info["clean"]["gyro"]}]
    for action in actions:
        observation, _, _, _, info = envs.step(action)
        assert envs.observation_space.contains(observation)
        rows.append(observation | {"clean": info["clean"]["gyro"]})
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


@pytest.mark.parametrize(
    ("rate_hz", "latency_s"), [(10.0, 0.0), (10.0, 0.03), (20.0, 0.06), (50.0, 0.02), (200.0, 0.0125)]
)
def test_a_sample_is_never_early_and_at_most_a_period_late(rate_hz, latency_s):
    stream = _play(_robot(rate_hz, latency_s=latency_s))
    age, valid = stream["gyro.age_s"][5:], stream["gyro.valid"][5:]
    assert valid.all()
    newest = age if age.ndim == 2 else age[:, :, -1]
    assert (newest >= latency_s - 1e-6).all()
    assert (newest <= latency_s + 1.0 / rate_hz + 0.005 + 1e-6).all()


@pytest.mark.parametrize(
    ("rate_hz", "latency_s"), [(20.0, 0.06), (20.0, 0.05), (40.0, 0.02), (80.0, 0.013), (200.0, 0.01), (200.0, 0.0125)]
)
def test_fixed_lateness_is_the_lateness_worked_out_lane_by_lane(monkeypatch, rate_hz, latency_s):
    robot = _robot(rate_hz, latency_s=latency_s)
    fixed = _play(robot)
    monkeypatch.setattr(row_clock, "late_rows", lambda *args: None)
    robot = replace(robot, sensors=robot.sensors[:3])
    general = _play(robot)
    settled = 4  # before that, rows that do not exist yet have other ages
    for key in ("gyro", "gyro.age_s", "gyro.valid", "clean"):
        np.testing.assert_array_equal(fixed[key][settled:], general[key][settled:])
    np.testing.assert_array_equal(fixed["gyro.valid"], general["gyro.valid"])


def test_values_are_those_of_the_capture_time():
    """A late gyro reads what an unlate one read that much earlier."""
    late, prompt = _play(_robot(200.0, latency_s=0.105)), _play(_robot(200.0))
    np.testing.assert_array_equal(late["clean"][20:], prompt["clean"][18:-2])


def test_a_held_sample_keeps_its_noise():
    stream = _play(_robot(5.0))
    captured = np.round((np.arange(TICKS + 1)[:, None] / 20.0 - stream["gyro.age_s"]) * 1000)
    for lane in range(LANES):
        valid = stream["gyro.valid"][:, lane] == 1
        for time in np.unique(captured[valid, lane]):
            rows = stream["gyro"][valid & (captured[:, lane] == time), lane]
            assert (rows == rows[0]).all()
    new = np.diff(captured[10:, 0]) > 0
    assert new.mean() == pytest.approx(0.25, abs=0.01)
    error = (stream["gyro"] - stream["clean"])[10:]
    assert error.std() == pytest.approx(0.1, rel=0.15)


def test_rows_keep_their_noise_while_they_move_through_the_window():
    """50 Hz under 20 Hz control: two or three new rows a tick, three delivered; overlapping rows are the same."""
    stream = _play(_robot(50.0))
    captured = np.round((np.arange(TICKS + 1)[:, None, None] / 20.0 - stream["gyro.age_s"]) * 1000)
    seen = {}
    repeats = 0
    for tick in range(5, TICKS):
        for row in range(3):
            key = (captured[tick, 0, row],)
            value = stream["gyro"][tick, 0, row]
            if key in seen:
                repeats += 1
                np.testing.assert_array_equal(seen[key], value)
            seen[key] = value
    assert repeats > 50


def test_jitter_delays_samples_loses_none_and_time_never_runs_back():
    stream = _play(_robot(100.0, latency_s=0.01, jitter_s=0.01))
    newest_s = stream["gyro.age_s"][5:, :, -1]
    assert (newest_s >= 0.01 - 1e-6).all()
    assert (newest_s <= 0.03 + 1e-6).all()
    late = newest_s > 0.02
    assert 0.2 < late.mean() < 0.8
    captured = np.arange(5, TICKS + 1)[:, None] / 20.0 - newest_s
    assert (np.diff(captured, axis=0) >= -1e-6).all()
    times = np.arange(5, TICKS + 1)[:, None] / 20.0 - stream["gyro.age_s"][5:, 0]
    seen = np.unique(np.round(times * 1000))
    np.testing.assert_array_equal(np.diff(seen), 10)


def test_a_jitter_of_more_than_a_period_is_refused():
    with pytest.raises(ValueError, match="expected at most one period"):
        BatchVectorEnv(_robot(200.0, jitter_s=0.02), 1)


def test_bias_is_constant_in_an_episode_and_new_in_the_next():
    robot = replace(_robot(20.0, bias_std=0.5))
    first, second = _play(robot, seed=0), _play(robot, seed=1)
    bias = [(stream["gyro"] - stream["clean"])[5:].mean(0) for stream in (first, second)]
    assert np.abs(bias[0] - bias[1]).mean() > 0.1
    half = (first["gyro"] - first["clean"])[5:]
    np.testing.assert_allclose(half[:90].mean(0), half[90:].mean(0), atol=0.06)
    assert 0.2 < np.std(bias) < 0.9


def test_lost_rows_are_lost_for_good_and_zero():
    stream = _play(_robot(10.0, dropout=0.25))
    captured = np.round((np.arange(TICKS + 1)[:, None] / 20.0 - stream["gyro.age_s"]) * 1000)
    lost = stream["gyro.valid"][5:] == 0
    assert (stream["gyro"][5:][lost] == 0).all()
    assert lost.mean() == pytest.approx(0.25, abs=0.06)
    same_sample = np.diff(captured[5:], axis=0) == 0
    assert (np.diff(lost.astype(int), axis=0)[same_sample] == 0).all()


def test_a_late_sensor_needs_a_deep_enough_history():
    robot = _robot(200.0)
    late = replace(robot, sensors=(replace(robot.sensors[1], latency_s=0.2),))
    with pytest.raises(ValueError, match="fix: pass max_delay_s to set_rate"):
        BatchVectorEnv(late, 1)
    late = replace(robot, sensors=(replace(robot.sensors[0], latency_s=0.2),))
    with pytest.raises(ValueError, match="expected a HistoryRows source"):
        BatchVectorEnv(late, 1)


def test_state_restores_deliveries():
    robot = _robot(10.0, latency_s=0.03, jitter_s=0.03, bias_std=0.2, dropout=0.1)
    source, target = (BatchVectorEnv(robot, LANES, episode_ticks=30, num_threads=1) for _ in range(2))
    actions = np.random.default_rng(0).uniform(-1, 1, (60, LANES, 6))
    source.reset(seed=0)
    for action in actions[:23]:
        source.step(action)
    target.set_state(source.get_state())
    for action in actions[23:]:
        a, b = source.step(action)[0], target.step(action)[0]
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
