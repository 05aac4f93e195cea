from collections.abc import Callable, Iterator

import numpy as np
import pytest

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots.hand import ROBOT
from embodied_envs.robots.hand_model import FINGERS, JOINTS, TAXELS, TIMESTEP_S
from embodied_envs.robots.hand_task import CUBE_POS, CUBE_QUAT

NUM_LANES = 24
NUM_JOINTS = len(JOINTS)
PERIOD_S = 0.05


@pytest.fixture
def make_hands() -> Iterator[Callable[..., BatchVectorEnv]]:
    made = []

    def make(num_envs: int = NUM_LANES, **kwargs) -> BatchVectorEnv:
        defaults = {"cameras": False, "camera_backend": "ray", "num_threads": 2}
        made.append(BatchVectorEnv("Hand", num_envs, **(defaults | kwargs)))
        return made[-1]

    yield make
    for envs in made:
        envs.close()


def _hold(envs, action, ticks):
    """Repeats one action; returns the last observation and info."""
    observation, info = {}, {}
    for _ in range(ticks):
        observation, _, _, _, info = envs.step(action)
    return observation, info


def _press(envs, fingers):
    """Curls some fingers onto the cube."""
    action = np.zeros((envs.num_envs, NUM_JOINTS))
    for finger in fingers:
        action[:, JOINTS.index(f"{finger}_flex")] = 1.0
        action[:, JOINTS.index(f"{finger}_curl")] = 0.5
    return _hold(envs, action, ticks=12)


def test_touch_and_skin_feel_the_fingers_that_press_and_no_others(make_hands):
    envs = make_hands(4)
    envs.reset(seed=0)
    batch = envs.batch
    batch.bind("qpos")[:, CUBE_QUAT] = [1.0, 0.0, 0.0, 0.0]
    observation, info = _press(envs, ("thumb", "middle"))
    pressing = np.array([finger in ("thumb", "middle") for finger in FINGERS])
    touch = info["clean"]["touch"][:, -1]
    skins = np.stack(np.split(info["clean"]["tactile"][..., 0], len(FINGERS), axis=2), axis=1)
    assert skins.shape == (4, len(FINGERS), *TAXELS)
    assert (touch[:, pressing] > 0.3).all()
    assert not touch[:, ~pressing].any()
    assert (skins[:, pressing].max(axis=(2, 3)) > 0.1).all()
    assert not skins[:, ~pressing].any()
    np.testing.assert_array_equal(info["privileged"]["fingertip_contact"] > 0, np.tile(pressing, (4, 1)))
    assert observation["touch"].max() > 0.3


def test_fingers_that_close_on_nothing_feel_nothing(make_hands):
    envs = make_hands(2)
    envs.reset(seed=0)
    batch = envs.batch
    batch.bind("qpos")[:, CUBE_POS] = [0.0, 0.0, 3.0]  # still falling when the fingers have closed
    _, info = _press(envs, FINGERS)
    assert not info["clean"]["touch"].any()
    assert not info["clean"]["tactile"].any()
    assert not info["privileged"]["fingertip_force"].any()
    assert np.abs(info["clean"]["joint_torque"]).max() > 0.005


def test_the_camera_sees_the_cube_turn_and_all_fingers(make_hands):
    envs = make_hands(1, cameras=True, camera_kinds=("rgb", "segmentation"))
    pictures, observation = [], {}
    for angle in (0.0, 0.4, np.pi / 2):
        envs.reset(seed=0)
        envs.batch.bind("qpos")[:, CUBE_QUAT] = [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]
        observation, _ = _hold(envs, np.zeros((1, NUM_JOINTS)), ticks=4)
        assert observation["camera.valid"].all()
        pictures.append(observation["camera"][0].astype(int))
    model = envs.batch.model
    pixels = np.bincount(observation["camera_segmentation"].ravel(), minlength=model.nbody)
    assert pixels[model.body("cube").id] > 300
    for finger in FINGERS:
        assert sum(pixels[model.body(f"{finger}_{link}").id] for link in ("flex", "curl", "tip")) > 20
    for other in pictures[1:]:
        changed = np.abs(other - pictures[0]).max(axis=2) > 30
        assert changed.sum() > 150


def test_ages_are_the_declared_latencies(make_hands):
    envs = make_hands(8, cameras=True)
    envs.reset(seed=0)
    declared = {sensor.key: sensor for sensor in ROBOT.sensors}
    ages = {key: [] for key in declared}
    for tick in range(1, 21):
        observation, *_ = envs.step(np.zeros((8, NUM_JOINTS)))
        for key in declared:
            if tick > 4:
                ages[key].append(observation[f"{key}.age_s"])
    for key in ("joint_pos", "joint_torque", "touch"):
        sensor, rows = declared[key], np.array(ages[key])
        np.testing.assert_allclose(np.diff(rows, axis=-1), -1.0 / sensor.rate_hz, atol=1e-5)
        assert rows[..., -1].min() >= sensor.latency_s - 1e-6
        assert rows[..., -1].max() <= sensor.latency_s + sensor.jitter_s + 1.0 / sensor.rate_hz + 1e-6
    # Captured with every observation and late by less than a period: always delivered with the next one.
    assert np.allclose(ages["tactile"], PERIOD_S, atol=TIMESTEP_S)
    camera = np.array(ages["camera"])
    assert set(np.round(np.unique(camera), 4)) == {np.float32(0.05), np.float32(0.1)}


def test_encoder_noise_and_bias_are_those_declared(make_hands):
    envs = make_hands(NUM_LANES)
    envs.reset(seed=0)
    errors = []
    for _ in range(12):
        observation, _, _, _, info = envs.step(np.zeros((NUM_LANES, NUM_JOINTS)))
        errors.append(observation["joint_pos"] - info["clean"]["joint_pos"])
    error = np.concatenate(errors[2:], axis=1)
    sensor = ROBOT.sensors[0]
    assert error.std(axis=1).mean() == pytest.approx(sensor.noise_std, rel=0.1)
    assert error.mean(axis=1).std() == pytest.approx(sensor.bias_std, rel=0.15)


def test_encoders_read_the_joints_and_torques_the_servos(make_hands):
    envs = make_hands(4)
    envs.reset(seed=0)
    force = envs.batch.bind("qfrc_actuator")[:, :NUM_JOINTS]
    _, info = _hold(envs, np.full((4, NUM_JOINTS), -0.4), ticks=30)  # opens the hand, away from the cube
    qpos = envs.batch.bind("qpos")[:, :NUM_JOINTS]
    np.testing.assert_allclose(info["clean"]["joint_pos"][:, -1], qpos, atol=1e-3)
    np.testing.assert_allclose(info["clean"]["joint_torque"][:, -1], force, atol=1e-3)
