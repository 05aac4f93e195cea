# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
import gymnasium as gym
import numpy as np
import pytest
from arms import Arms, flail, still

from embodied_envs.robots import arm_scripts
from embodied_envs.robots.arm import PICK, PUSH, REACH, pick_distance, push_distance, reach_distance
from embodied_envs.robots.arm_privileged import grip_axes, grip_position, grip_velocity
from embodied_envs.robots.arm_sensors import ARM_SENSORS, CONTROL_HZ
from embodied_envs.sensors import Camera

ROBOTS = (REACH, PUSH, PICK)


@pytest.mark.parametrize("robot", ROBOTS, ids=lambda robot: robot.name)
def test_it_holds_its_pose_when_nothing_is_commanded(robot):
    arms = Arms(robot, 8)
    start = arms.batch.bind("qpos")[:, :7].copy()
    arms.play(still, 40)
    # The payload, which no controller knows of, makes the weakest servos sag by some ten milliradians.
    assert np.abs(arms.batch.bind("qpos")[:, :7] - start).max() < (0.02 if robot is REACH else 0.002)
    assert np.abs(arms.batch.bind("qvel")).max() < 0.01


@pytest.mark.parametrize("robot", ROBOTS, ids=lambda robot: robot.name)
def test_violent_actions_break_nothing_and_rewards_stay_within_their_bounds(robot):
    rng = np.random.default_rng(0)
    rewards = Arms(robot, 8).play(lambda batch: rng.choice([-1.0, 1.0], (batch.nsim, 7)), 60)
    assert rewards.min() >= -0.02
    assert rewards.max() <= 2.75


@pytest.mark.parametrize(
    ("robot", "script", "distance", "num_ticks", "random_limit", "script_limit"),
    [
        (REACH, arm_scripts.reach_action, reach_distance, 80, 0.5, 1.5),
        (PUSH, arm_scripts.push_action, push_distance, 230, 0.35, 1.2),
        (PICK, arm_scripts.pick_action, pick_distance, 130, 0.15, 1.5),
    ],
    ids=["reach", "push", "pick"],
)
def test_a_script_solves_the_task_and_random_actions_do_not(
    robot, script, distance, num_ticks, random_limit, script_limit
):
    scripted, flailing = Arms(robot, 16, seed=1), Arms(robot, 16, seed=1)
    assert flailing.play(flail(), num_ticks).mean() < random_limit
    rewards = scripted.play(script, num_ticks)
    assert rewards.mean() > script_limit
    assert (distance(scripted.batch) < 0.03).mean() >= 0.9
    assert (distance(flailing.batch) < 0.03).mean() <= 0.1


def test_commands_reach_the_motors_after_the_lanes_action_latency():
    arms = Arms(REACH, 3)
    arms.batch.expand("actuator_delay")[:] = np.array([[0.0], [0.015], [0.03]])
    arms.play(still, 20)
    rest, arms.batch.bind("ctrl")[:, 0] = arms.batch.bind("actuator_force")[:, 0].copy(), 0.5
    forces = []
    for _ in range(8):
        arms.batch.step()
        forces.append(np.abs(arms.batch.bind("actuator_force")[:, 0] - rest) > 1.0)
    assert np.argmax(forces, axis=0).tolist() == [0, 3, 6]


def test_the_grips_velocity_is_the_derivative_of_its_pose():
    arms = Arms(PICK, 4)
    arms.play(flail(3), 5)
    timestep_s = arms.batch.model.opt.timestep
    pose, axes = grip_position(arms.batch).copy(), grip_axes(arms.batch).copy()
    speed = grip_velocity(arms.batch)
    arms.batch.step(nstep=1, stage=PICK.stage)
    mean = (speed + grip_velocity(arms.batch)) / 2
    turned = grip_axes(arms.batch) @ axes.transpose(0, 2, 1)
    spin = np.stack(
        [turned[:, 2, 1] - turned[:, 1, 2], turned[:, 0, 2] - turned[:, 2, 0], turned[:, 1, 0] - turned[:, 0, 1]]
    )
    assert np.abs(mean).max() > 0.05
    assert (grip_position(arms.batch) - pose) / timestep_s == pytest.approx(mean[:, :3], abs=0.02)
    assert spin.T / 2 / timestep_s == pytest.approx(mean[:, 3:], rel=0.05, abs=0.05)


@pytest.mark.parametrize("robot", ROBOTS, ids=lambda robot: robot.name)
def test_lanes_differ_in_their_dynamics_and_probes_see_it(robot):
    arms = Arms(robot, 8)
    privileged = arms.privileged()
    slow = {entry.key for entry in robot.privileged if entry.group == "slow_dynamics"}
    assert slow >= {"joint_damping", "motor_gain", "action_latency"}
    for key, values in privileged.items():
        assert values.shape[0] == 8
        assert np.isfinite(values).all()
        if key in slow:
            assert len(np.unique(values)) == 8, key
    gain = arms.batch.expand("actuator_gainprm")[:, 1, 0] / arms.batch.model.actuator_gainprm[1, 0]
    assert privileged["motor_gain"][:, 0] == pytest.approx(gain)


@pytest.mark.parametrize("name", [robot.name for robot in ROBOTS])
def test_every_stream_has_its_declared_rate_and_comes_no_earlier_than_its_latency(name):
    envs = gym.make_vec(f"embodied_envs:Embodied/{name}-v0", num_envs=2, cameras=False, num_threads=1)
    envs.reset(seed=0)
    ages = {sensor.key: [] for sensor in ARM_SENSORS if not isinstance(sensor.source, Camera)}
    for _ in range(40):
        observation = envs.step(np.zeros((2, 7), np.float32))[0]
        for key, seen in ages.items():
            seen.append(observation[f"{key}.age_s"].copy())
    envs.close()
    for sensor in ARM_SENSORS:
        if sensor.key in ages:
            _check_ages(sensor, np.array(ages[sensor.key])[10:])


def _check_ages(sensor, age_s):
    newest = age_s[..., -1] if sensor.is_fast(CONTROL_HZ) else age_s
    assert newest.min() >= sensor.latency_s - 1e-6
    period_s = 1.0 / sensor.rate_hz
    assert newest.max() <= sensor.latency_s + sensor.jitter_s + period_s + 1.0 / CONTROL_HZ + 1e-6
    if sensor.is_fast(CONTROL_HZ):
        assert -np.diff(age_s, axis=-1) == pytest.approx(period_s, abs=1e-6)
    captured = (np.arange(len(newest))[:, None] / CONTROL_HZ - newest).round(4)
    expected = min(sensor.rate_hz, CONTROL_HZ) * len(newest) / CONTROL_HZ
    assert abs(len(np.unique(captured[:, 0])) - expected) <= 1


@pytest.mark.parametrize("robot", ROBOTS, ids=lambda robot: robot.name)
def test_cameras_see_the_goal_and_the_object(robot):
    envs = gym.make_vec(
        f"embodied_envs:Embodied/{robot.name}-v0", num_envs=6, camera_backend="ray", num_threads=1, privileged=False
    )
    envs.reset(seed=0)
    envs.step(np.zeros((6, 7), np.float32))
    frames = envs.step(np.zeros((6, 7), np.float32))[0]["front_camera"]
    envs.close()
    red, green, blue = np.moveaxis(frames.astype(int), -1, 0)
    assert ((green > 100) & (green > 2 * red) & (green > 2 * blue)).sum(axis=(1, 2)).min() >= 3
    if robot is not REACH:
        assert ((red > 60) & (red > 3 * green)).sum(axis=(1, 2)).min() >= 6
