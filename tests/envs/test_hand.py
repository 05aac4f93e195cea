# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from mujoco.batch import Batch

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots.hand import ROBOT
from embodied_envs.robots.hand_gait import scripted_action
from embodied_envs.robots.hand_model import CUBE_HALF_M, JOINTS, PALM_TOP_M, TIMESTEP_S, build_hand
from embodied_envs.robots.hand_task import CUBE_POS, CUBE_QUAT, DELAY_RANGE_S, DROP_COST, turned_rad

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


def _zero(tick):
    return np.zeros((NUM_LANES, NUM_JOINTS))


def _play(envs, policy, ticks):
    """Returns mean reward, turned angle and whether the cube was never dropped, each [lane]."""
    envs.reset(seed=1)
    qpos = envs.batch.bind("qpos")
    reward, turned, held = np.zeros(NUM_LANES), np.zeros(NUM_LANES), np.ones(NUM_LANES, bool)
    for tick in range(ticks):
        before = qpos[:, CUBE_QUAT].copy()
        _, rewards, terminated, truncated, info = envs.step(policy(tick))
        assert not info["engine_fault"].any()
        reward += np.where(held, rewards, 0.0) / ticks
        turned += np.where(held, turned_rad(before, qpos[:, CUBE_QUAT]), 0.0)
        held &= ~(terminated | truncated)
    return reward, turned, held


def _about(axis, angle):
    return np.array([[np.cos(angle / 2), *(np.sin(angle / 2) * np.array(axis, float))]])


def _times(a, b):
    """Quaternion product of [1, 4] and [1, 4]."""
    w, v, u, x = a[0, 0], a[0, 1:], b[0, 0], b[0, 1:]
    return np.array([[w * u - v @ x, *(w * x + u * v + np.cross(v, x))]])


def test_the_cube_rests_for_a_whole_episode_when_nothing_acts(make_hands):
    envs = make_hands()
    reward, turned, held = _play(envs, _zero, ROBOT.episode_ticks - 1)
    assert held.all()
    assert np.abs(turned).max() < 0.02
    assert np.abs(reward).max() < 0.01
    assert np.abs(envs.batch.bind("qvel")).max() < 0.01


def test_the_scripted_gait_turns_the_cube_and_random_actions_do_not(make_hands):
    envs = make_hands()
    rng = np.random.default_rng(0)
    ticks = 160
    reward, turned, held = _play(envs, lambda tick: scripted_action(np.full(NUM_LANES, tick * PERIOD_S)), ticks)
    assert held.mean() > 0.9
    assert turned.mean() > 15.0
    assert reward.mean() > 0.4
    reward, turned, held = _play(envs, lambda tick: rng.uniform(-1, 1, (NUM_LANES, NUM_JOINTS)), ticks)
    assert held.mean() > 0.5
    assert abs(turned.mean()) < 1.5
    assert reward.mean() < 0.05


def test_a_dropped_cube_ends_the_episode_at_a_cost(make_hands):
    envs = make_hands(2)
    envs.reset(seed=0)
    envs.batch.bind("qpos")[1, CUBE_POS] = [0.0, 0.12, PALM_TOP_M]
    _, rewards, terminated, truncated, _ = envs.step(np.zeros((2, NUM_JOINTS)))
    assert terminated.tolist() == [False, True]
    assert not truncated.any()
    assert rewards[1] < -0.9 * DROP_COST
    _, _, terminated, _, info = envs.step(np.zeros((2, NUM_JOINTS)))
    assert not terminated.any()
    assert np.linalg.norm(info["privileged"]["cube_pos"][1, :2]) < 0.01


def test_the_reward_is_the_speed_up_to_the_target(make_hands):
    envs = make_hands(4, num_threads=1)
    envs.reset(seed=0)
    batch = envs.batch
    batch.bind("qpos")[:, CUBE_POS] = [0.0, 0.0, PALM_TOP_M + 0.05]  # in the air, so that it spins freely
    batch.bind("qvel")[:, -1] = [0.0, 1.0, -1.0, 6.0]
    _, rewards, _, _, _ = envs.step(np.zeros((4, NUM_JOINTS)))
    assert rewards == pytest.approx([0.0, 0.25, -0.25, 1.0], abs=0.02)


def test_turned_rad_is_the_vertical_part_however_the_cube_lies():
    tipped = _times(_about([1, 0, 0], 1.4), _about([0, 1, 0], 0.9))
    for angle in (-3.0, -0.4, 0.0, 1e-9, 2.0):
        turn = _about([0, 0, 1], angle)
        assert turned_rad(tipped, _times(turn, tipped)) == pytest.approx([angle])
        assert turned_rad(tipped, -_times(turn, tipped)) == pytest.approx([angle])
    assert turned_rad(tipped, _times(_about([1, 0, 0], 0.7), tipped)) == pytest.approx([0.0], abs=1e-12)


def test_commands_take_effect_after_the_lanes_own_delay():
    batch = Batch(build_hand().compile(), 2, 1)
    batch.expand("actuator_delay")[:] = np.array(DELAY_RANGE_S)[:, None]
    batch.reset()
    force, ctrl = batch.bind("actuator_force"), batch.bind("ctrl")
    batch.step()
    started = np.full(2, -1)
    ctrl[:] = 1.0
    for substep in range(10):
        batch.step()
        started = np.where((started < 0) & (force[:, 0] > 0.1), substep, started)
    np.testing.assert_array_equal(started, np.round(np.array(DELAY_RANGE_S) / TIMESTEP_S))


def test_lanes_differ_in_their_dynamics_and_probes_may_read_them(make_hands):
    envs = make_hands()
    _, info = envs.reset(seed=0)
    privileged, batch = info["privileged"], envs.batch
    for key in ("cube_mass_kg", "friction", "motor_gain", "actuator_delay_s"):
        assert len(np.unique(privileged[key])) == NUM_LANES
    support_n = batch.bind("qfrc_constraint")[:, NUM_JOINTS + 2]
    for tick in range(20):
        envs.step(_zero(tick))
    np.testing.assert_allclose(support_n, 9.81 * privileged["cube_mass_kg"][:, 0], rtol=0.02)
    inertia = batch.expand("body_inertia")[:, batch.model.body("cube").id, 0]
    np.testing.assert_allclose(inertia / privileged["cube_mass_kg"][:, 0], (2 * CUBE_HALF_M) ** 2 / 6, rtol=1e-3)


def test_privileged_velocities_are_those_of_the_motion(make_hands):
    envs = make_hands(2, num_threads=1)
    envs.reset(seed=0)
    batch = envs.batch
    batch.bind("qpos")[:, CUBE_POS] = [0.0, 0.0, PALM_TOP_M + 0.3]
    batch.bind("qvel")[:, NUM_JOINTS:] = [0.2, -0.1, 0.5, 0.0, 0.0, 2.0]
    quat = batch.bind("qpos")[:, CUBE_QUAT].copy()
    _, _, _, _, info = envs.step(np.zeros((2, NUM_JOINTS)))
    privileged = info["privileged"]
    speed = turned_rad(quat, batch.bind("qpos")[:, CUBE_QUAT]) / PERIOD_S
    assert privileged["yaw_rate"][:, 0] == pytest.approx(speed, rel=1e-4)
    assert privileged["cube_vel"][:, :2] == pytest.approx(np.array([[0.2, -0.1]] * 2), rel=1e-3)
    first, second = privileged["cube_axes"][:, :3], privileged["cube_axes"][:, 3:]
    assert np.linalg.norm(first, axis=1) == pytest.approx(1.0)
    assert np.arctan2(first[:, 1], first[:, 0]) == pytest.approx(2 * np.arctan2(quat[:, 3], quat[:, 0]) + 0.1, abs=0.01)
    assert (first * second).sum(axis=1) == pytest.approx(0.0, abs=1e-6)
