from dataclasses import replace

import numpy as np
import pytest

from embodied_envs.camera_rig import CameraRig
from embodied_envs.camera_stream import CameraStream
from embodied_envs.robots.runner import ROBOT
from embodied_envs.sensors import Camera, Sensor, observation_space
from embodied_envs.simulation import Simulation

CONTROL_HZ = 20.0


def _sensor(rate_hz: float, key: str = "eye", kind: str = "rgb", **timing) -> Sensor:
    channels = 3 if kind == "rgb" else 1
    high = 2.0 if kind == "depth" else 255.0
    return Sensor(key, "camera", "1", rate_hz, (8, 8, channels), 0.0, 0.0, high, Camera("side", kind), **timing)


def _stream(sensor: Sensor, num_lanes: int) -> CameraStream:
    assert isinstance(sensor.source, Camera)
    return CameraStream(sensor, sensor.source, num_lanes, CONTROL_HZ)


def _play(sensor: Sensor, ticks: int, generator_seed: int = 0, skip: frozenset[int] = frozenset()) -> list[dict]:
    """One lane whose frame captured at tick t is filled with t + 1; ticks in `skip` are faulty and capture nothing."""
    stream = _stream(sensor, 1)
    generators, seen = [np.random.default_rng(generator_seed)], []
    for tick in range(ticks):
        now = np.array([tick])
        stream.forget(now == 0)
        if stream.fires(now)[0] and tick not in skip:
            stream.take(np.full((1, *sensor.shape), tick + 1, np.uint8), np.array([0]), now, generators)
        seen.append(stream.observe(now))
        assert observation_space((sensor,), CONTROL_HZ).contains({k: np.asarray(v[0]) for k, v in seen[-1].items()})
    return seen


@pytest.mark.parametrize("rate_hz", [20.0, 10.0, 5.0])
@pytest.mark.parametrize("latency_s", [0.0, 0.05, 0.1, 0.12, 0.35])
def test_frames_arrive_after_their_latency_and_not_before(rate_hz, latency_s):
    period, late = round(CONTROL_HZ / rate_hz), int(np.ceil(latency_s * CONTROL_HZ - 1e-9))
    played = _play(_sensor(rate_hz, latency_s=latency_s), 40)
    for tick, entries in enumerate(played):
        expected = (tick - late) // period * period if tick >= late else None
        assert (entries["eye"] == (0 if expected is None else expected + 1)).all()
        assert entries.get("eye.valid", np.array([1]))[0] == (expected is not None)
        np.testing.assert_allclose(entries["eye.age_s"], (tick - (expected or 0)) / CONTROL_HZ, rtol=1e-6)
    assert ("eye.valid" in played[0]) == (latency_s > 0)


def test_jitter_stays_in_its_range_and_frames_never_go_back():
    assert "eye.valid" in _play(_sensor(20.0, jitter_s=0.05), 1)[0]
    delays, last = [], -1
    for tick, entries in enumerate(_play(_sensor(5.0, latency_s=0.05, jitter_s=0.2), 250)):
        captured = int(entries["eye"][0, 0, 0, 0]) - 1
        if captured != last:
            assert captured > last
            delays.append(tick - captured)
            last = captured
    assert set(delays) <= {1, 2, 3, 4, 5}
    assert len(set(delays)) >= 4


def test_lost_frames_are_invalid_zeros():
    lost = [entries["eye.valid"][0] == 0 for entries in _play(_sensor(20.0, dropout=0.25), 250)]
    frames = [entries["eye"].max() for entries in _play(_sensor(20.0, dropout=0.25), 250)]
    assert 0.15 < np.mean(lost) < 0.35
    np.testing.assert_array_equal(np.array(frames) == 0, lost)


def test_a_capture_that_a_fault_prevents_leaves_the_last_frame():
    seen = _play(_sensor(10.0), 6, skip=frozenset({4}))
    assert [int(entries["eye"][0, 0, 0, 0]) for entries in seen] == [1, 1, 3, 3, 3, 3]
    np.testing.assert_allclose(seen[5]["eye.age_s"], 3 / CONTROL_HZ)


def test_a_new_episode_forgets_frames_under_way():
    sensor = _sensor(10.0, latency_s=0.1)
    stream = _stream(sensor, 2)
    for tick in range(4):
        ticks = np.array([tick, tick])
        if stream.fires(ticks)[0]:
            stream.take(np.full((2, *sensor.shape), 9, np.uint8), np.arange(2), ticks)
    stream.forget(np.array([True, False]))
    entries = stream.observe(np.array([0, 4]))
    assert entries["eye.valid"].tolist() == [0, 1]
    assert not entries["eye"][0].any()


@pytest.mark.parametrize(
    ("sensor", "message"),
    [
        (_sensor(3.0), "camera rate 3.0 Hz, expected 20.0 Hz divided by a whole number"),
        (_sensor(5.0, kind="dept"), "did you mean 'depth'"),
        (replace(_sensor(5.0), shape=(8, 8, 1)), r"expected \(height, width, 3\)"),
    ],
)
def test_impossible_cameras_are_one_line(sensor, message):
    with pytest.raises(ValueError, match=message) as caught:
        _stream(sensor, 1)
    assert "\n" not in str(caught.value)


def _rig(sensors: tuple[Sensor, ...], num_lanes: int = 3) -> tuple[CameraRig, Simulation]:
    simulation = Simulation(ROBOT, num_lanes, 1)
    simulation.reset(np.ones(num_lanes, bool), [np.random.default_rng(lane) for lane in range(num_lanes)])
    rig = CameraRig(sensors, simulation.model, num_lanes, CONTROL_HZ)
    rig.open("ray")
    return rig, simulation


def test_only_firing_cameras_of_firing_lanes_are_drawn_each_lane_once(monkeypatch):
    rig, simulation = _rig((_sensor(10.0, "a"), _sensor(5.0, "b", "depth")))
    assert rig._renderer is not None
    drawn, render = [], rig._renderer.render
    monkeypatch.setattr(
        rig._renderer,
        "render",
        lambda batch, lanes, views, **kwargs: (
            drawn.append((lanes.tolist(), [view.kind for view in views])),
            render(batch, lanes, views, **kwargs),
        )[1],
    )
    for ticks in ([0, 1, 2], [1, 2, 3], [2, 3, 4]):
        rig.capture(simulation.batch, np.array([True, True, True]), np.array(ticks))
    rig.capture(simulation.batch, np.array([False, False, True]), np.array([4, 4, 8]))
    both, one = ["rgb", "depth"], ["rgb"]
    assert sorted(drawn) == sorted([([0], both), ([2], one), ([1], one), ([0], one), ([2], both), ([2], both)])


def test_depth_is_clipped_to_the_sensors_range_and_state_is_restored(assert_same):
    sensors = (_sensor(20.0, "a"), _sensor(20.0, "b", "depth"), _sensor(20.0, "c", "segmentation"))
    rig, simulation = _rig(sensors)
    lanes, ticks = np.ones(3, bool), np.zeros(3, np.int64)
    rig.capture(simulation.batch, lanes, ticks)
    entries = rig.observe(ticks)
    assert entries["b"].dtype == np.float32
    assert entries["b"].max() == 2.0
    assert entries["b"].min() < 1.8
    assert entries["c"].dtype == np.uint8
    assert entries["c"].max() == simulation.model.nbody - 1
    other, _ = _rig(sensors)
    other.set_state(rig.get_state())
    assert_same(other.observe(ticks + 1), rig.observe(ticks + 1))


def test_a_robot_without_rgb_camera_cannot_be_rendered():
    rig, simulation = _rig((_sensor(20.0, "b", "depth"),))
    with pytest.raises(ValueError, match="without an RGB camera"):
        rig.draw(simulation.batch, np.arange(3))
    assert not _rig(())[0].has_cameras


def test_frames_are_held_and_age_until_the_camera_fires(make_envs, actions):
    envs = make_envs(3, cameras=True, episode_ticks=20)
    envs.reset(seed=0)
    observation, _ = envs.reset(options={"reset_mask": np.array([False, False, True])})
    for tick, action in enumerate(actions[:20, :3], start=1):
        previous, (observation, *_) = observation, envs.step(action)
        np.testing.assert_allclose(observation["camera.age_s"], (tick % 8) / 20.0, atol=1e-6)
        if tick % 8:
            np.testing.assert_array_equal(observation["camera"], previous["camera"])
        else:
            assert (observation["camera"] != previous["camera"]).any(axis=(1, 2, 3)).all()


def test_returned_frames_are_the_callers(make_envs, actions):
    envs = make_envs(1, cameras=True)
    frame = envs.reset(seed=0)[0]["camera"]
    kept = frame.copy()
    frame[:] = 0
    np.testing.assert_array_equal(envs.step(actions[0, :1])[0]["camera"], kept)
