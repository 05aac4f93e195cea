# pyright: reportAttributeAccessIssue=false
from dataclasses import replace

import numpy as np
import pytest

from embodied_envs.distractors.parts import find_part
from embodied_envs.robots.runner import ROBOT, build_runner


def test_friction_changes_at_its_step_and_stays_over_resets(history):
    plain = history(4, 40, episode_ticks=8)
    told = history(4, 40, episode_ticks=8, distractors={"shift": {"what": "friction", "at_step": 21, "scale": 0.4}})
    ratio = told["privileged/friction"] / plain["privileged/friction"]
    steps = np.cumsum(np.arange(41) % 9 != 0)  # every ninth tick is a reset, not an action
    np.testing.assert_allclose(ratio[:, 0, 0], np.where(steps <= 21, 1.0, 0.4), rtol=1e-6)
    np.testing.assert_allclose(told["privileged/shift_factor"], ratio, rtol=1e-6)
    before = steps <= 21
    np.testing.assert_array_equal(told["reward"][before], plain["reward"][before])
    np.testing.assert_array_equal(told["privileged/root_vel"][before], plain["privileged/root_vel"][before])
    after = steps == 22
    assert (told["privileged/root_vel"][after] != plain["privileged/root_vel"][after]).any()


def test_less_friction_means_more_slip(make_envs):
    """Feet dragged along by a sideways push of the torso slow it down in proportion to friction."""
    speeds = {}
    for scale in (1.0, 0.2):
        envs = make_envs(8, distractors={"shift": {"what": "friction", "at_step": 3, "scale": scale}}, episode_ticks=50)
        envs.reset(seed=0)
        for _ in range(20):
            envs.step(np.zeros((8, 6)))
        envs._simulation.batch.bind("qvel")[:, 0] = 2.0
        start = envs._simulation.qpos[:, 0].copy()
        for _ in range(8):
            envs.step(np.zeros((8, 6)))
        speeds[scale] = (envs._simulation.qpos[:, 0] - start).mean()
    assert speeds[0.2] > 1.5 * speeds[1.0]


def test_payload_weighs_on_the_legs_from_its_step_on(history):
    plain = history(4, 40)
    told = history(4, 40, distractors={"shift": {"what": "payload", "at_step": 10, "scale": 6.0}})
    mass = told["privileged/payload_kg"] / plain["privileged/payload_kg"]
    np.testing.assert_allclose(mass[:11], 1.0)
    np.testing.assert_allclose(mass[11:], 6.0, rtol=1e-6)
    sunk = (told["privileged/root_pose"] - plain["privileged/root_pose"])[..., 0]
    assert not sunk[:11].any()
    assert sunk[20:].mean() < -0.005


def test_weak_motors_push_less(make_envs):
    moves = []
    for scale in (1.0, 0.5):
        envs = make_envs(4, distractors={"shift": {"what": "motor", "at_step": 0, "scale": scale}}, episode_ticks=50)
        _, info = envs.reset(seed=0)
        np.testing.assert_allclose(info["privileged"]["shift_factor"], scale)
        np.testing.assert_allclose(envs._simulation.batch.expanded("actuator_gainprm")[:, :, 0], scale)
        start = envs._simulation.qpos[:, 3:].copy()
        envs.step(np.ones((4, 6)))
        moves.append(np.abs(envs._simulation.qpos[:, 3:] - start).mean())
        for _ in range(3):
            envs.reset()
        np.testing.assert_allclose(envs._simulation.batch.expanded("actuator_gainprm")[:, :, 0], scale)
    assert moves[1] < 0.75 * moves[0]


def test_lanes_count_their_own_actions(make_envs):
    envs = make_envs(2, distractors={"shift": {"at_step": 4}}, episode_ticks=50)
    envs.reset(seed=0)
    factors = []
    for tick in range(8):
        if tick == 2:
            envs._pending_reset[1] = True  # lane 1 spends a tick on a reset
        factors.append(envs.step(np.zeros((2, 6)))[4]["privileged"]["shift_factor"][:, 0])
    assert np.argmax(np.array(factors) < 1.0, axis=0).tolist() == [4, 5]


def test_a_robot_without_the_part_is_one_line():
    spec = build_runner()
    spec.delete(spec.body("payload"))
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 0
    model = spec.compile()
    for what, message in (
        ("payload", "the robot has no body 'payload'; fix: part="),
        ("motor", "the robot has no actuator"),
        ("friction", "nothing of the robot collides"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            find_part(model, what, None)
        assert "\n" not in str(caught.value)


def test_a_spurious_channel_reads_what_the_robot_drew_whatever_shifts(history):
    asked = {"shift": {"at_step": 0, "scale": 0.3}, "spurious": {"factor": "friction"}}
    told, plain = history(8, 1, distractors=asked), history(8, 1, distractors={"spurious": {"factor": "friction"}})
    np.testing.assert_allclose(told["privileged/friction"], 0.3 * plain["privileged/friction"], rtol=1e-6)
    np.testing.assert_array_equal(told["observation/spurious"], plain["observation/spurious"])


def test_one_named_part_shifts_alone(make_envs):
    envs = make_envs(
        1, robot=replace(ROBOT), distractors={"shift": {"what": "motor", "at_step": 0, "part": "back_hip"}}
    )
    envs.reset(seed=0)
    gains = envs._simulation.batch.expanded("actuator_gainprm")[0, :, 0]
    assert gains.tolist() == [0.8, 1.0, 1.0, 1.0, 1.0, 1.0]
