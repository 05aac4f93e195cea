# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from collections.abc import Callable, Iterator

import mujoco
import numpy as np
import pytest

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots import quadruped_model as model_of
from embodied_envs.robots.quadruped import ROBOT
from embodied_envs.robots.quadruped_gait import scripted_action
from embodied_envs.robots.quadruped_privileged import upright

NUM_LANES = 16
NUM_JOINTS = 12
PERIOD_S = 1.0 / model_of.CONTROL_HZ
GRAVITY = 9.81


@pytest.fixture
def make_dogs() -> Iterator[Callable[..., BatchVectorEnv]]:
    made = []

    def make(num_envs: int = NUM_LANES, **kwargs) -> BatchVectorEnv:
        defaults = {"cameras": False, "camera_backend": "ray", "num_threads": 2}
        made.append(BatchVectorEnv("Quadruped", num_envs, **(defaults | kwargs)))
        return made[-1]

    yield make
    for envs in made:
        envs.close()


@pytest.fixture(scope="module")
def resting():
    """The last step of 4 s under zero action, lanes that were pushed in the last second left out."""
    envs = BatchVectorEnv("Quadruped", NUM_LANES, cameras=False, num_threads=2)
    envs.reset(seed=0)
    for _ in range(199):
        envs.step(np.zeros((NUM_LANES, NUM_JOINTS)))
    observation, _, _, _, info = envs.step(np.zeros((NUM_LANES, NUM_JOINTS)))
    push_s = envs.batch.bind("userdata")[:, 0]
    calm = (push_s < 2.8) | (push_s > 4.0)
    assert calm.sum() > NUM_LANES // 2
    weight_n = GRAVITY * envs.batch.expand("body_mass").sum(axis=1)
    yield observation, info, weight_n, calm
    envs.close()


def _trot(num_envs):
    return lambda tick: np.tile(scripted_action(tick * PERIOD_S), (num_envs, 1))


def test_at_rest_the_sensors_read_gravity_weight_and_stance(resting):
    observation, info, weight_n, calm = resting
    clean = {key: values[calm] for key, values in info["clean"].items()}
    privileged = {key: values[calm] for key, values in info["privileged"].items()}
    specific_force = clean["accelerometer"].mean(axis=1)
    assert np.abs(np.linalg.norm(specific_force, axis=-1) - GRAVITY).max() < 0.15
    assert (specific_force[:, 2] > 9.7).all()
    assert np.abs(clean["gyro"]).max() < 0.05
    np.testing.assert_allclose(clean["foot_force"].sum(axis=1), weight_n[calm], rtol=0.03)
    assert privileged["contact"].sum(axis=1).min() >= 3  # a stiff robot on uneven ground may keep one foot up
    assert np.abs(clean["joint_pos"] - model_of.STANCE_RAD).max() < 0.35
    np.testing.assert_allclose(clean["joint_pos"][:, -1], privileged["joint_pos_clean"], atol=0.01)
    # The knees carry the weight: their torques stretch the legs.
    assert (clean["joint_torque"][:, -1, 2::3].sum(axis=1) > 5.0).all()
    assert observation["lidar.valid"].mean() > 0.8


def test_base_velocity_and_pose_are_the_trunks(make_dogs):
    envs = make_dogs(2)
    envs.reset(seed=0)
    policy = _trot(2)
    for tick in range(60):
        envs.step(policy(tick))
    _, _, _, _, info = envs.step(policy(60))
    data = envs.batch.get_data(1)
    mujoco.mj_forward(envs.batch.get_model(1), data)
    velocity = np.zeros(6)
    mujoco.mj_objectVelocity(envs.batch.model, data, mujoco.mjtObj.mjOBJ_XBODY, model_of.TRUNK, velocity, 1)
    base_vel = info["privileged"]["base_vel"][1]
    np.testing.assert_allclose(base_vel, np.roll(velocity, 3), atol=1e-5)
    rotation = data.xmat[model_of.TRUNK].reshape(3, 3)
    clearance, roll, pitch = info["privileged"]["base_pose"][1]
    np.testing.assert_allclose(pitch, -np.arcsin(rotation[2, 0]), atol=1e-5)
    np.testing.assert_allclose(roll, np.arctan2(rotation[2, 1], rotation[2, 2]), atol=1e-5)
    assert 0.2 < clearance < 0.35
    assert upright(envs.batch)[1] == pytest.approx(rotation[2, 2], abs=1e-6)


def _stand_at(envs, x_m, y_m):
    """Puts lane 0 level in its stance at a place of the plane."""
    qpos = envs.batch.bind("qpos")
    qpos[0] = envs.batch.model.qpos0
    qpos[0, :2] = x_m, y_m
    envs.batch.bind("qvel")[0] = 0.0


def _wait(envs, ticks=20):
    """Returns observation and info after some ticks without action."""
    for _ in range(ticks - 1):
        envs.step(np.zeros((envs.num_envs, NUM_JOINTS)))
    observation, _, _, _, info = envs.step(np.zeros((envs.num_envs, NUM_JOINTS)))
    return observation, info


def test_lidar_sees_ground_and_crates_but_never_the_robot(make_dogs):
    envs = make_dogs(1)
    envs.reset(seed=0)
    model, far = envs.batch.model, -25.0  # beyond the terrain: only the plane is there
    _stand_at(envs, far, 0.0)
    _, info = _wait(envs)
    level, dipped = info["clean"]["lidar"][0].reshape(2, -1)
    assert (level[1:-1] == model_of.LIDAR_RANGE_M).all()
    assert (np.abs(dipped - 1.6) < 0.35).all()
    crate = model.geom("crate3")
    _stand_at(envs, crate.pos[0] - 0.05, crate.pos[1] - np.sign(crate.pos[1]) * (crate.size[1] + 1.0))
    observation, info = _wait(envs)
    towards = 4 if crate.pos[1] > 0 else 12  # a quarter turn counter-clockwise, or clockwise
    assert info["clean"]["lidar"][0, towards] == pytest.approx(1.0, abs=0.08)
    assert np.abs(observation["lidar"] - info["clean"]["lidar"]).max() < 0.12


def test_no_action_puts_a_leg_before_the_lidar():
    model = model_of.build_quadruped().compile()
    data, generator = mujoco.MjData(model), np.random.default_rng(0)
    sites = [model.site(f"lidar{ray}").id for ray in range(model_of.LIDAR_RAYS)]
    data.qpos[0] = -25.0
    met, geom = set(), np.zeros(1, np.int32)
    for _ in range(60):
        action = np.sign(generator.uniform(-1, 1, NUM_JOINTS))
        data.qpos[7:] = model_of.STANCE_RAD + model_of.ACTION_RAD * action
        mujoco.mj_kinematics(model, data)
        for site in sites:
            axis = data.site_xmat[site].reshape(3, 3)[:, 2].copy()
            mujoco.mj_ray(model, data, data.site_xpos[site], axis, None, 1, model_of.TRUNK, geom)
            met.add(int(geom[0]))
    assert {model.geom_bodyid[number] for number in met if number >= 0} == {0}


def test_the_camera_sees_the_terrain_go_by(make_dogs):
    envs = make_dogs(2, cameras=True)
    envs.reset(seed=3)
    frames, ages, policy = [], [], _trot(2)
    for tick in range(60):
        observation, *_ = envs.step(policy(tick))
        frames.append(observation["camera"].astype(float))
        ages.append(observation["camera.age_s"])
    last = frames[-1]
    assert (last.std(axis=(1, 2, 3)) > 15).all()
    assert np.abs(last[0] - last[1]).mean() > 5  # other places, other ground
    assert np.abs(last - frames[10]).mean() > 5
    assert (last[:, -8:].mean(axis=(1, 2, 3)) > 15).all()  # the ground close to the nose is not clipped away
    assert min(age.min() for age in ages[20:]) >= 0.06 - 1e-6


@pytest.fixture(scope="module")
def walking():
    """Three seconds of trot in many lanes: per tick the observation, the clean readings and the time in s."""
    envs = BatchVectorEnv("Quadruped", 32, cameras=False, num_threads=2)
    envs.reset(seed=5)
    ticks = []
    for tick in range(150):
        observation, _, terminated, _, info = envs.step(_trot(32)(tick))
        assert not terminated.any()
        assert envs.observation_space.contains(observation)
        ticks.append((observation, info["clean"], (tick + 1) * PERIOD_S))
    yield ticks
    envs.close()


VECTORS = [sensor for sensor in ROBOT.sensors if sensor.modality != "camera"]


@pytest.mark.parametrize("sensor", VECTORS, ids=lambda sensor: sensor.key)
def test_rates_and_latencies_are_as_declared(walking, sensor):
    captured, period_s = [], 1.0 / sensor.rate_hz
    for observation, _, time_s in walking[30:]:
        age_s = observation[f"{sensor.key}.age_s"][0]
        assert age_s.min() >= sensor.latency_s - 1e-6
        newest_s = sensor.latency_s + sensor.jitter_s + period_s + (0.0 if age_s.ndim else PERIOD_S)
        assert age_s.min() <= newest_s + 1e-6
        captured.append(np.atleast_1d(time_s - age_s))
    samples = np.unique(np.concatenate(captured).round(4))
    span_s = samples[-1] - samples[0]
    assert (len(samples) - 1) / span_s == pytest.approx(sensor.rate_hz, rel=0.02)


@pytest.mark.parametrize("sensor", VECTORS, ids=lambda sensor: sensor.key)
def test_noise_bias_and_losses_are_as_declared(walking, sensor):
    errors, valid = [], []
    for observation, clean, _ in walking[30:]:
        kept = observation.get(f"{sensor.key}.valid", np.ones(len(clean[sensor.key]), np.int8))
        margin = 5.0 * (sensor.noise_std + sensor.bias_std)  # readings near the limits are clipped
        inside = (clean[sensor.key] > sensor.low + margin) & (clean[sensor.key] < sensor.high - margin)
        error = np.where(inside, observation[sensor.key] - clean[sensor.key], np.nan)
        error[kept == 0] = np.nan
        errors.append(error)
        valid.append(kept)
    rows = np.array(errors).reshape(len(errors), 32, -1, sensor.shape[-1])
    bias = np.nanmean(rows, axis=(0, 2)) if sensor.bias_std else np.zeros((32, rows.shape[-1]))
    assert np.nanstd(rows - bias[None, :, None]) == pytest.approx(sensor.noise_std, rel=0.1)
    if sensor.bias_std:
        assert np.std(bias) == pytest.approx(sensor.bias_std, rel=0.35)
    assert 1.0 - np.mean(valid) == pytest.approx(sensor.dropout, abs=0.6 * sensor.dropout + 1e-9)
