# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from collections.abc import Callable, Iterator

import mujoco
import numpy as np
import pytest

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots import quadruped_model as model_of
from embodied_envs.robots import quadruped_terrain as terrain
from embodied_envs.robots.quadruped import PUSH_LENGTH_S, PUSH_SLOT_S, ROBOT, TARGET_SPEED_M_S
from embodied_envs.robots.quadruped_gait import scripted_action
from embodied_envs.robots.quadruped_privileged import upright

NUM_LANES = 16
NUM_JOINTS = 12
PERIOD_S = 1.0 / model_of.CONTROL_HZ
TROT_TICKS = 300


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
def standing():
    """One episode of 20 s under zero action: environment, start positions, per-tick records and the last step."""
    envs = BatchVectorEnv("Quadruped", NUM_LANES, cameras=False, num_threads=2)
    envs.reset(seed=0)
    start = envs.batch.bind("qpos").copy()
    ended, rewards, step = np.zeros(NUM_LANES, bool), np.zeros(NUM_LANES), None
    for _ in range(ROBOT.episode_ticks):
        assert not ended.any()
        step = envs.step(np.zeros((NUM_LANES, NUM_JOINTS)))
        rewards += step[1] / ROBOT.episode_ticks
        ended = step[2] | step[3]
    yield envs, start, rewards, step
    envs.close()


def _walk(envs, policy, ticks):
    """Returns each lane's return until it falls, forward distance in m, and whether it never fell."""
    envs.reset(seed=1)
    qpos = envs.batch.bind("qpos")
    start_x = qpos[:, 0].copy()
    total, distance, up = np.zeros(envs.num_envs), np.zeros(envs.num_envs), np.ones(envs.num_envs, bool)
    for tick in range(ticks):
        _, rewards, terminated, _, info = envs.step(policy(tick))
        assert not info["engine_fault"].any()
        total += np.where(up, rewards, 0.0)
        up &= ~terminated
        distance = np.where(up, qpos[:, 0] - start_x, distance)
    return total, distance, up


def _trot(num_envs):
    return lambda tick: np.tile(scripted_action(tick * PERIOD_S), (num_envs, 1))


def test_the_model_is_what_it_claims():
    model = model_of.build_quadruped().compile()
    assert 12.0 < model.body_subtreemass[model_of.TRUNK] < 15.0
    assert model.body(model_of.TRUNK).name == "trunk"
    assert [model.joint(j).name for j in model.actuator_trnid[:, 0]] == list(model_of.JOINTS)
    np.testing.assert_allclose(model.qpos0[7:], model_of.STANCE_RAD)
    feet = np.array([_geom_at_start(model, f"{leg}_foot") for leg in model_of.LEGS])
    np.testing.assert_allclose(feet[:, :2], model_of.FEET_AT_M, atol=1e-6)
    np.testing.assert_allclose(feet[:, 2], model_of.FOOT_RADIUS_M, atol=1e-6)
    on_robot = model.geom_bodyid > 0
    assert not model.geom_conaffinity[on_robot].any()  # parts of the robot never collide with each other
    assert (model.actuator_delay <= model.actuator_history[:, 0] * model.opt.timestep + 1e-12).all()
    assert model_of.ACTION_DELAY_S[1] <= model.actuator_history[:, 0].min() * model.opt.timestep + 1e-12


def _geom_at_start(model, name):
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return data.geom(name).xpos


def test_it_stands_for_an_episode_when_nothing_acts(standing):
    envs, start, rewards, (_, _, terminated, truncated, info) = standing
    assert truncated.all()
    assert not terminated.any()
    assert (upright(envs.batch) > 0.98).all()
    assert (np.abs(info["privileged"]["base_vel"]) < 0.05).all()
    assert (np.abs(envs.batch.bind("qpos")[:, :2] - start[:, :2]) < 0.25).all()
    assert ((rewards > 0.1) & (rewards < 0.25)).all()


def test_a_scripted_trot_walks_and_beats_standing_and_random(make_dogs):
    envs, generator = make_dogs(), np.random.default_rng(0)
    trot, distance, up = _walk(envs, _trot(NUM_LANES), TROT_TICKS)
    stand, _, _ = _walk(envs, lambda tick: np.zeros((NUM_LANES, NUM_JOINTS)), TROT_TICKS)
    chance, _, _ = _walk(envs, lambda tick: generator.uniform(-1, 1, (NUM_LANES, NUM_JOINTS)), TROT_TICKS)
    assert up.mean() > 0.9
    assert np.median(distance) > 0.6 * TARGET_SPEED_M_S * TROT_TICKS * PERIOD_S
    assert trot.mean() > 3.0 * stand.mean()
    assert stand.mean() > chance.mean() + 0.2 * TROT_TICKS


def test_the_gait_is_an_action_at_any_time():
    times_s = np.linspace(0.0, 5.0, 60).reshape(3, 20)
    actions = scripted_action(times_s)
    assert actions.shape == (3, 20, NUM_JOINTS)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1.0
    np.testing.assert_array_equal(actions[1, 4], scripted_action(float(times_s[1, 4])))
    knees = scripted_action(np.linspace(2.0, 3.0, 200))[:, 2::3]
    assert np.corrcoef(knees[:, 0], knees[:, 3])[0, 1] > 0.9  # diagonal legs step together
    assert np.corrcoef(knees[:, 0], knees[:, 1])[0, 1] < 0


@pytest.mark.parametrize("fall", ["back", "down"])
def test_a_fallen_robot_terminates_its_lane(make_dogs, fall):
    envs = make_dogs(3)
    envs.reset(seed=0)
    qpos = envs.batch.bind("qpos")
    if fall == "back":
        qpos[1, 3:7] = [0.0, 1.0, 0.0, 0.0]
    else:
        qpos[1, 2] = 0.08
        qpos[1, 7:] = np.tile([0.0, 2.0, -2.4], 4)
    _, _, terminated, truncated, _ = envs.step(np.zeros((3, NUM_JOINTS)))
    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()
    _, rewards, terminated, _, _ = envs.step(np.zeros((3, NUM_JOINTS)))
    assert rewards[1] == 0
    assert not terminated.any()


def test_pushes_come_when_planned_and_move_the_robot(make_dogs):
    envs = make_dogs(4, episode_ticks=300)
    envs.reset(seed=2)
    start_s, force_n = envs.batch.bind("userdata")[:, 0].copy(), envs.batch.bind("userdata")[:, [4, 8]].copy()
    assert ((start_s >= 0.2 * PUSH_SLOT_S) & (start_s <= PUSH_SLOT_S)).all()
    velocity, pushed = [], []
    for tick in range(int(PUSH_SLOT_S / PERIOD_S)):
        begin_s = tick * PERIOD_S
        _, _, _, _, info = envs.step(np.zeros((4, NUM_JOINTS)))
        is_on = (begin_s >= start_s - 1e-9) & (begin_s < start_s + PUSH_LENGTH_S - 1e-9)
        np.testing.assert_allclose(info["privileged"]["push_force"], force_n * is_on[:, None], rtol=1e-6)
        velocity.append(envs.batch.bind("qvel")[:, :2].copy())
        pushed.append(is_on)
    along = (np.array(velocity) * (force_n / np.linalg.norm(force_n, axis=1, keepdims=True))).sum(axis=-1)
    assert (np.where(pushed, along, 0.0).max(axis=0) > 0.03).all()
    assert (np.abs(along[40:])[~np.array(pushed)[40:]].mean()) < 0.02


def test_each_lane_has_its_own_dynamics(make_dogs):
    envs = make_dogs(64)
    _, info = envs.reset(seed=0)
    ranges = {"friction": (0.5, 1.2), "payload_kg": (0.1, 3.0), "action_delay_s": (0.005, 0.025)}
    for key, (low, high) in (ranges | {"motor_gain": (0.8, 1.1)}).items():
        values = info["privileged"][key][:, 0]
        assert low <= values.min() < low + 0.1 * (high - low) < high - 0.1 * (high - low) < values.max() <= high
    friction = envs.batch.expand("geom_friction")[:, terrain.terrain_geoms(envs.batch.model), 0]
    np.testing.assert_array_equal(friction, np.repeat(friction[:, :1], friction.shape[1], axis=1))
    dynamics = {key: info["privileged"][key].copy() for key in ranges}
    for _ in range(50):
        _, _, _, _, info = envs.step(np.zeros((64, NUM_JOINTS)))
    for key, values in dynamics.items():
        np.testing.assert_array_equal(values, info["privileged"][key])
    # A heavier payload presses harder on the feet, a weaker motor lets the trunk sink.
    forces = info["privileged"]["contact_force"].sum(axis=1)
    assert np.corrcoef(info["privileged"]["payload_kg"][:, 0], forces)[0, 1] > 0.8
    assert np.corrcoef(info["privileged"]["motor_gain"][:, 0], info["privileged"]["base_pose"][:, 0])[0, 1] > 0.3


def test_actions_arrive_as_late_as_the_lane_says(make_dogs):
    envs = make_dogs(3, sensors=["joint_torque"])
    envs.reset(seed=0)
    for _ in range(30):
        envs.step(np.zeros((3, NUM_JOINTS)))
    envs.batch.expand("actuator_delay")[:] = np.array([0.005, 0.015, 0.025])[:, None]
    action = np.zeros((3, NUM_JOINTS))
    action[:, 2] = -1.0
    torques = []
    for _ in range(4):
        torques.append(envs.batch.rollout(4, control=None, record=("actuator_force",))["actuator_force"][:, :, 2])
        envs.batch.bind("ctrl")[:] = action
    torque = np.concatenate(torques, axis=1)
    jumps = np.abs(np.diff(torque, axis=1)) > 5.0
    first = jumps.argmax(axis=1) + 1
    assert ((first - 4) * model_of.TIMESTEP_S).round(4).tolist() == [0.005, 0.015, 0.025]


def test_lanes_walk_over_different_ground(make_dogs):
    envs = make_dogs(64)
    envs.reset(seed=0)
    start_m = envs.batch.bind("qpos")[:, :2]
    path_m = start_m[:, None] + np.stack([np.linspace(0.0, 6.0, 100), np.zeros(100)], axis=1)
    heights_m = terrain.ground_height(path_m)
    assert 0.02 < heights_m.max() < 0.05
    assert ((heights_m > 0).mean(axis=1) > 0.15).all()
    assert len(np.unique(heights_m.round(4), axis=0)) > 56
    # What the map says is what a ray from above meets.
    above = np.concatenate([path_m[0], np.full((100, 1), 3.0)], axis=1)
    model, data = envs.batch.model, mujoco.MjData(envs.batch.model)
    data.qpos[1] = 13.0
    mujoco.mj_forward(model, data)
    down, geom = np.array([0.0, 0.0, -1.0]), np.zeros(1, np.int32)
    met = [mujoco.mj_ray(model, data, point, down, None, 1, -1, geom) for point in above]
    np.testing.assert_allclose(3.0 - np.array(met), heights_m[0], atol=1e-6)


def test_state_brings_back_the_pushes(make_dogs, assert_same):
    first, second = make_dogs(3), make_dogs(3)
    first.reset(seed=4)
    policy = _trot(3)
    for tick in range(60):
        first.step(policy(tick))
    second.reset(seed=9)
    second.set_state(first.get_state())
    for tick in range(60, 240):
        assert_same(first.step(policy(tick)), second.step(policy(tick)))
