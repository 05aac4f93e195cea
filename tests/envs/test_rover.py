# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
"""The Rover: driving, sensors against geometry, and the task."""

import numpy as np
import pytest

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.native_history import NativeHistory
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.robot_spec import GROUPS, Step
from embodied_envs.robots.rover import ROBOT
from embodied_envs.robots.rover_task import (
    FOUND_BONUS,
    FOUND_RADIUS_M,
    bump_force,
    find_reward,
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


def _mocap(envs, name):
    return envs.batch.model.body(name).mocapid[0]


def _open_field(envs, yaw_rad=0.0):
    """Put the robots at the origin of an empty arena, with equal motors on grippy ground."""
    envs.reset(seed=0)
    batch = envs.batch
    for name in rover.OBSTACLES:
        batch.bind("mocap_pos")[:, _mocap(envs, name), 2] = -20.0
    for name, xy in zip(rover.SOURCES, ((2.5, 0.0), (-2.5, 0.0)), strict=True):
        batch.bind("mocap_pos")[:, _mocap(envs, name), :2] = xy
    qpos = batch.bind("qpos")
    qpos[:, :3] = 0.0
    qpos[:, 3:7] = [np.cos(yaw_rad / 2), 0, 0, np.sin(yaw_rad / 2)]
    batch.expand("actuator_gainprm")[:, :, 0] = rover.SERVO_GAIN * rover.MAX_WHEEL_SPEED
    batch.expand("geom_friction")[:, [batch.model.geom(wheel).id for wheel in rover.WHEELS], 0] = 1.0
    batch.forward()


def _play(envs, action, ticks):
    """Return the ticks' [(observation, reward, info)] under a constant action."""
    action = np.tile(np.array(action, np.float32), (envs.num_envs, 1))
    steps = [envs.step(action) for _ in range(ticks)]
    return [(observation, reward, info) for observation, reward, _, _, info in steps]


def _yaw(envs):
    privileged = envs.batch.bind("qpos")[:, 3:7]
    return 2 * np.arctan2(privileged[:, 3], privileged[:, 0])


def test_equal_wheels_drive_straight_and_encoders_measure_the_way(make_rovers):
    envs = make_rovers(2)
    _open_field(envs)
    ticks = _play(envs, (0.5, 0.5), 40)
    position = envs.batch.bind("qpos")[:, :3]
    assert (np.abs(_yaw(envs)) < 0.03).all()
    assert (np.abs(position[:, 1]) < 0.03).all()
    assert (position[:, 0] > 0.6).all()
    speed = np.concatenate([info["clean"]["wheel_speed"] for _, _, info in ticks], axis=1).mean(axis=2)
    driven = speed.sum(axis=1) / rover.ENCODER_HZ * rover.WHEEL_RADIUS_M
    np.testing.assert_allclose(driven, position[:, 0], rtol=0.03)
    np.testing.assert_allclose(ticks[-1][2]["privileged"]["body_vel"], [[0.4, 0.0]] * 2, atol=0.02)
    np.testing.assert_allclose(position[:, 2], 0.0, atol=0.005)


def test_opposite_wheels_turn_on_the_spot_and_the_gyro_measures_the_angle(make_rovers):
    envs = make_rovers(2)
    _open_field(envs)
    ticks = _play(envs, (-0.15, 0.15), 20)
    assert (_yaw(envs) > 0.5).all()  # right wheel forward: to the left
    assert (np.abs(envs.batch.bind("qpos")[:, :2]) < 0.08).all()
    rate = np.concatenate([info["clean"]["gyro"][..., 0] for _, _, info in ticks], axis=1)
    np.testing.assert_allclose(rate.sum(axis=1) / rover.IMU_HZ, _yaw(envs), rtol=0.05)
    assert (ticks[-1][2]["privileged"]["body_vel"][:, 1] > 0.5).all()


def test_accelerometer_feels_gravity_and_the_start(make_rovers):
    envs = make_rovers(1)
    _open_field(envs)
    still = _play(envs, (0, 0), 10)
    np.testing.assert_allclose(still[-1][2]["clean"]["accelerometer"][0], [[0, 0, 9.81]] * 5, atol=0.1)
    start = np.concatenate([info["clean"]["accelerometer"][0] for _, _, info in _play(envs, (0.7, 0.7), 6)])
    assert start[:, 0].sum() / rover.IMU_HZ == pytest.approx(0.56, abs=0.1)  # speed gained, m/s


@pytest.mark.parametrize("yaw_rad", [0.0, 0.7])
def test_lidar_measures_the_arena(make_rovers, yaw_rad):
    envs = make_rovers(1)
    _open_field(envs, yaw_rad)
    envs.batch.bind("mocap_pos")[:, _mocap(envs, "crate")] = [1.2 * np.cos(yaw_rad), 1.2 * np.sin(yaw_rad), 0.22]
    half = yaw_rad / 2
    envs.batch.bind("mocap_quat")[:, _mocap(envs, "crate")] = [np.cos(half), 0, 0, np.sin(half)]
    lidar = _play(envs, (0, 0), 10)[-1][2]["clean"]["lidar"][0]
    angles = 2 * np.pi * np.arange(rover.LIDAR_RAYS) / rover.LIDAR_RAYS
    world = angles + yaw_rad
    walls = rover.ARENA_HALF_M / np.maximum(np.abs(np.cos(world)), np.abs(np.sin(world)))
    on_crate = np.minimum(angles, 2 * np.pi - angles) < np.arctan2(0.22, 0.98)
    expected = np.where(on_crate, 0.98 / np.cos(angles), walls)
    np.testing.assert_allclose(lidar, expected, atol=0.02)
    assert on_crate.sum() == 5


def test_lidar_is_what_rays_hit_among_obstacles(make_rovers):
    envs = make_rovers(8)
    envs.reset(seed=2)
    lidar = _play(envs, (0, 0), 10)[-1][2]["clean"]["lidar"]
    angles = 2 * np.pi * np.arange(rover.LIDAR_RAYS) / rover.LIDAR_RAYS + _yaw(envs)[:, None]
    rays = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=2)
    start = envs.batch.bind("qpos")[:, None, :3] + [0, 0, rover.LIDAR_HEIGHT_M]
    groups = np.arange(6) == rover.OPAQUE_GROUP
    hit, _ = envs.batch.ray(start, rays, geomgroup=groups.astype(np.uint8))
    # A robot that settles on its caster tilts by less than half a degree: edges may move by a centimetre or two.
    assert np.quantile(np.abs(lidar - hit), 0.98) < 0.02


def test_weak_motor_curves_and_latency_delays(make_rovers):
    envs = make_rovers(2)
    _open_field(envs)
    gains = envs.batch.expand("actuator_gainprm")
    gains[0, 0, 0] *= 0.85
    envs.batch.expand("actuator_delay")[:, :] = np.array([[0.005], [0.04]])
    _play(envs, (0.5, 0.5), 1)
    speed = NativeHistory(envs.batch, rover.WHEELS).read()[1][:, :, 1]
    assert speed[0, -2] > 0.5  # 40 ms command latency: the second one has hardly begun to move
    assert speed[1, -2] < 0.1
    _play(envs, (0.5, 0.5), 20)
    yaw = _yaw(envs)
    assert yaw[0] > 0.1
    assert abs(yaw[1]) < 0.03


def test_privileged_quantities_are_geometry(make_rovers):
    envs = make_rovers(2)
    _open_field(envs, yaw_rad=0.5)
    envs.batch.bind("mocap_pos")[1, _mocap(envs, "screen")] = [1.2, 0.0, 0.3]
    envs.batch.bind("mocap_quat")[1, _mocap(envs, "screen")] = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]
    info = _play(envs, (0, 0), 1)[0][2]["privileged"]
    np.testing.assert_allclose(info["target_distance"], [[2.5]] * 2, atol=0.01)
    np.testing.assert_allclose(info["target_bearing"], [[-np.sin(0.5), np.cos(0.5)]] * 2, atol=0.01)
    np.testing.assert_allclose(info["distractor_bearing"], [[np.sin(0.5), -np.cos(0.5)]] * 2, atol=0.01)
    np.testing.assert_allclose(info["heading"], [[np.sin(0.5), np.cos(0.5)]] * 2, atol=0.01)
    np.testing.assert_array_equal(info["target_occluded"], [[0], [1]])
    assert {entry.group for entry in ROBOT.privileged} == set(GROUPS)


def test_bumping_is_felt_and_costs(make_rovers):
    envs = make_rovers(2)
    _open_field(envs)
    envs.batch.bind("mocap_pos")[0, _mocap(envs, "crate")] = [0.6, 0.0, 0.22]
    ticks = _play(envs, (0.5, 0.5), 30)
    info = ticks[-1][2]["privileged"]
    np.testing.assert_array_equal(info["bump"], [[1], [0]])
    assert info["bump_force"][0] > 5.0
    np.testing.assert_allclose(bump_force(envs.batch), NativeHistory(envs.batch, ["bump"]).mean()[:, 0])
    assert envs.batch.bind("qpos")[0, 0] == pytest.approx(0.6 - 0.22 - rover.BUMPER_RADIUS_M, abs=0.02)
    assert ticks[-1][1][0] < ticks[-1][1][1] - 0.5


def test_reward_is_approach_and_a_bonus_and_the_source_moves_on(make_rovers):
    envs = make_rovers(1)
    _open_field(envs)
    target = _mocap(envs, "target")
    rewards, distances, places = [], [], []
    for _ in range(100):
        (_, reward, info), *_ = _play(envs, (0.6, 0.6), 1)
        rewards.append(reward[0])
        distances.append(info["privileged"]["target_distance"][0, 0])
        places.append(envs.batch.bind("mocap_pos")[0, target, :2].copy())
    found = int(np.argmax(np.array(distances) < FOUND_RADIUS_M))
    assert found > 0
    speed = -np.diff(distances)[: found - 1] / PERIOD_S
    np.testing.assert_allclose(rewards[1:found], speed - 0.05 * 2 * 0.36, atol=1e-3)
    assert rewards[found] > FOUND_BONUS - 0.1
    assert np.ptp(places[: found + 1], axis=0).max() == 0
    assert np.linalg.norm(places[found + 1] - places[found]) > 0.3
    standing = Step(envs.batch, envs.batch.bind("qpos").copy(), np.zeros((1, 2)), PERIOD_S)
    np.testing.assert_allclose(find_reward(standing), 0.0, atol=1e-9)
