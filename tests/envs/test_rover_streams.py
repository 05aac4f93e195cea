# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
"""The Rover's streams: rates, ages, noise, starts, saved states, and a policy that finds the source by ear alone."""

import numpy as np
import pytest

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.rover import ROBOT
from embodied_envs.robots.rover_script import heard_direction, scripted_action
from embodied_envs.robots.rover_task import (
    FOUND_RADIUS_M,
    FRICTION_RANGE,
    LATENCY_RANGE_S,
    PAYLOAD_RANGE_KG,
)

PERIOD_S = 1.0 / rover.CONTROL_HZ


@pytest.fixture
def make_rovers():
    made = []

    def make(num_envs=2, **kwargs):
        envs = BatchVectorEnv("Rover", num_envs, **({"cameras": False, "num_threads": 1} | kwargs))
        made.append(envs)
        return envs

    yield make
    for envs in made:
        envs.close()


def _stand(envs, ticks):
    """Return what the last of some steps without action returned."""
    return [envs.step(np.zeros((envs.num_envs, 2))) for _ in range(ticks)][-1]


def test_rates_and_ages_are_what_is_declared(make_rovers):
    """Count new rows by the reader's rule: captured later than the newest row seen so far."""
    envs = make_rovers(1, cameras=True, camera_backend="ray")
    observation, _ = envs.reset(seed=0)
    sensors = {sensor.key: sensor for sensor in ROBOT.sensors}
    newest, counts = dict.fromkeys(sensors, -np.inf), dict.fromkeys(sensors, 0)
    for tick in range(1, 81):
        observation = envs.step(np.zeros((1, 2)))[0]
        assert envs.observation_space.contains(observation)
        for key, sensor in sensors.items():
            ages = np.atleast_1d(observation[f"{key}.age_s"][0])
            captures = (tick * PERIOD_S - ages)[np.atleast_1d(observation[f"{key}.valid"][0]) > 0]
            counts[key] += int((captures > newest[key] + 1e-5).sum())
            newest[key] = max(newest[key], captures.max(initial=-np.inf))
            if captures.size:
                assert ages.min() >= sensor.latency_s - 1e-6
    for key, sensor in sensors.items():
        # At most the first period, what is on its way, and lost scans are missing of 4 s.
        assert 0.93 * 4 * sensor.rate_hz - 1 <= counts[key] <= 4 * sensor.rate_hz, key
    np.testing.assert_allclose(observation["microphones.age_s"][0], 0.01 + np.arange(99, -1, -1) / 2000, atol=1e-6)
    np.testing.assert_allclose(observation["wheel_speed.age_s"][0], [0.045, 0.035, 0.025, 0.015, 0.005], atol=1e-6)


def test_noise_and_bias_are_what_is_declared(make_rovers):
    envs = make_rovers(8)
    envs.reset(seed=0)
    errors = {sensor.key: [] for sensor in ROBOT.sensors if sensor.key != "camera"}
    for tick in range(120):
        observation, _, _, _, info = envs.step(np.zeros((8, 2)))
        for key, parts in errors.items():
            valid = observation[f"{key}.valid"].astype(bool)
            error = np.where(valid.reshape(valid.shape + (1,) * (observation[key].ndim - valid.ndim)),
                             observation[key] - info["clean"][key], np.nan)  # fmt: skip
            if tick % 2 == 0 or key != "lidar":  # every second observation repeats a scan
                parts.append(error)
    for key, parts in errors.items():
        sensor = next(sensor for sensor in ROBOT.sensors if sensor.key == key)
        error = np.stack(parts)
        per_lane = np.moveaxis(error, 1, 0).reshape(8, -1, error.shape[-1])
        bias = np.nanmean(per_lane, axis=1, keepdims=True)
        assert np.nanstd(per_lane - bias) == pytest.approx(sensor.noise_std, rel=0.05), key
        expected_bias = sensor.bias_std if sensor.bias_std else 0.0
        assert np.abs(bias).mean() < 1.6 * expected_bias + 0.15 * sensor.noise_std, key
        if expected_bias:
            assert bias.std() > 0.4 * expected_bias, key


def test_start_keeps_things_apart_and_draws_dynamics(make_rovers):
    envs = make_rovers(64)
    _, info = envs.reset(seed=0)
    batch = envs.batch
    robot, places = batch.bind("qpos")[:, None, :2], batch.bind("mocap_pos")[:, :, :2]
    gaps = np.linalg.norm(places - robot, axis=2)
    assert gaps.min() > 1.0
    assert np.abs(np.concatenate([robot, places], axis=1)).max() < rover.ARENA_HALF_M - 0.5
    privileged = info["privileged"]
    for key, (low, high) in {
        "friction": FRICTION_RANGE, "payload_kg": PAYLOAD_RANGE_KG, "command_latency": LATENCY_RANGE_S,
    }.items():  # fmt: skip
        assert low <= privileged[key].min() < low + 0.2 * (high - low), key
        assert high - 0.2 * (high - low) < privileged[key].max() <= high, key
    assert np.abs(privileged["motor_asymmetry"]).max() == pytest.approx(0.15, abs=0.03)
    assert 0.3 < (privileged["distractor_level"] > 0).mean() < 0.7
    assert not privileged["bump"].any()


def test_the_robot_never_falls_over(make_rovers):
    envs = make_rovers(8)
    envs.reset(seed=1)
    generator = np.random.default_rng(0)
    for _ in range(100):
        action = np.sign(generator.normal(size=(8, 2))) if generator.random() < 0.3 else np.ones((8, 2))
        info = envs.step(action)[-1]
        assert not info["engine_fault"].any()
        x, y = envs.batch.bind("qpos")[:, 4:6].T
        assert (1 - 2 * (x * x + y * y) > np.cos(np.deg2rad(8))).all()


def _finds(envs, policy, ticks=200):
    """Return how often each lane reached the source, and the mean return."""
    observation, _ = envs.reset(seed=5)
    finds, total = np.zeros(envs.num_envs), 0.0
    for _ in range(ticks):
        observation, reward, _, _, info = envs.step(policy(observation))
        finds += info["privileged"]["target_distance"][:, 0] < FOUND_RADIUS_M
        total += reward.mean()
    return finds.mean(), total


def test_listening_finds_the_source_and_neither_chance_nor_deafness_does(make_rovers):
    envs = make_rovers(12, episode_ticks=1000)
    generator = np.random.default_rng(0)
    by_ear, ear_return = _finds(envs, scripted_action)
    deaf, deaf_return = _finds(
        envs,
        lambda observation: scripted_action(
            observation | {"microphones": generator.normal(size=observation["microphones"].shape)}
        ),
    )
    chance, chance_return = _finds(envs, lambda observation: generator.uniform(-1, 1, (12, 2)))
    assert by_ear > 1.0
    assert by_ear > 3 * max(deaf, chance)
    assert ear_return > 60 + max(deaf_return, chance_return)


def test_direction_is_heard_despite_noise_and_distractor(make_rovers):
    envs = make_rovers(32)
    envs.reset(seed=3)
    observation, _, _, _, info = _stand(envs, 3)
    error = heard_direction(observation["microphones"]) - info["privileged"]["target_bearing"][:, 0]
    assert np.median(np.abs(error)) < 0.06


def test_state_restores_sounds_and_arena(make_rovers, assert_same):
    envs, others = make_rovers(3, episode_ticks=30), make_rovers(3, episode_ticks=30)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 3, 2))
    for action in actions[:20]:
        envs.step(action)
    others.reset(seed=9)
    others.set_state(envs.get_state())
    for action in actions[20:]:
        assert_same(envs.step(action), others.step(action))


def test_camera_sees_a_different_arena_in_every_lane(make_rovers):
    envs = make_rovers(3, cameras=True, camera_backend="ray")
    envs.reset(seed=0)
    frames = _stand(envs, 2)[0]["camera"].astype(float)
    assert (frames.std(axis=(1, 2, 3)) > 20).all()
    assert min(np.abs(frames[a] - frames[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))) > 5
