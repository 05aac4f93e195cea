"""Recorded steps of the real control suite, reproduced teacher-forced: each from its own stored state and action.

Measured against MuJoCo 3.17.0 with 4.0.0, largest difference over the 200 steps of a task: qpos 2.5e-15, qvel 3.0e-13
(both walker), reward 1.1e-15, observations equal in float32. The tolerances leave room for other 4.x versions.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
import json

import numpy as np
import pytest
from mujoco import mjtStage

from embodied_envs.robots import load_robot
from embodied_envs.robots.robot_spec import Step
from embodied_envs.sensors import Computed
from embodied_envs.suite import SUITE

QPOS, QVEL, REWARD, OBSERVATION = 1e-10, 1e-8, 1e-9, 1e-6
EXACT = 1e-12

pytestmark = pytest.mark.parametrize("task", SUITE)


def flat(array):
    return array.reshape(-1, *array.shape[2:])


def load_starts(simulation, recorded):
    """Writes the state before every recorded step, one a lane."""
    batch = simulation.batch
    batch.bind("qpos")[:] = flat(recorded["qpos"][:, :-1])
    batch.bind("qvel")[:] = flat(recorded["qvel"][:, :-1])
    batch.bind("qacc_warmstart")[:] = flat(recorded["warmstart"])
    if "target" in recorded:
        targets = np.repeat(recorded["target"], recorded["reward"].shape[1], axis=0)
        batch.expand("geom_pos")[:, batch.model.geom("target").id, :2] = targets


def step_of(batch, recorded, robot):
    action = flat(recorded["action"]).astype(np.float64)
    return Step(batch, flat(recorded["qpos"][:, :-1]), action, 1.0 / robot.control_hz)


def bound_readers(robot, batch):
    return {s.key: s.source.make(batch, s) for s in robot.sensors if isinstance(s.source, Computed)}


@pytest.fixture
def replayed(task, golden, simulate):
    """The recording, and the robot, batch and readers after one step from every recorded state."""
    robot, recorded = load_robot(task), golden(task)
    simulation = simulate(task, recorded["reward"].size)
    load_starts(simulation, recorded)
    step = step_of(simulation.batch, recorded, robot)
    readers = bound_readers(robot, simulation.batch)
    robot.reward(step)  # binds what it reads
    assert not simulation.step(np.ones(recorded["reward"].size, bool), step.action).any()
    return robot, recorded, step, readers


def test_next_states_are_those_of_the_real_suite(replayed):
    _, recorded, step, _ = replayed
    np.testing.assert_allclose(step.batch.bind("qpos"), flat(recorded["qpos"][:, 1:]), rtol=0, atol=QPOS)
    np.testing.assert_allclose(step.batch.bind("qvel"), flat(recorded["qvel"][:, 1:]), rtol=0, atol=QVEL)


def test_observations_are_those_of_the_real_suite(replayed):
    _, recorded, _, readers = replayed
    keys = {key.removeprefix("observation/") for key in recorded if key.startswith("observation/")}
    assert keys == set(readers)
    for key, reader in readers.items():
        values = reader.read(np.zeros(recorded["reward"].size, bool), None).values
        expected = flat(recorded[f"observation/{key}"])
        np.testing.assert_allclose(values, expected, rtol=OBSERVATION, atol=OBSERVATION, err_msg=key)


def test_rewards_are_those_of_the_real_suite(replayed):
    robot, recorded, step, _ = replayed
    np.testing.assert_allclose(robot.reward(step), recorded["reward"].ravel(), rtol=0, atol=REWARD)


def test_the_reward_function_is_exact_on_the_recorded_next_states(replayed):
    robot, recorded, step, _ = replayed
    step.batch.bind("qpos")[:] = flat(recorded["qpos"][:, 1:])
    step.batch.bind("qvel")[:] = flat(recorded["qvel"][:, 1:])
    step.batch.forward(stage=mjtStage.mjSTAGE_VEL)
    np.testing.assert_allclose(robot.reward(step), recorded["reward"].ravel(), rtol=0, atol=EXACT)


def test_the_recording_is_worth_comparing_with(task, golden):
    recorded = golden(task)
    reward = recorded["reward"]
    assert reward.size == 200
    assert (reward > 0.01).mean() > 0.2
    assert reward.std() > 0.05
    touch = recorded.get("observation/touch")
    assert touch is None or (touch > 0).any(axis=2).mean() > 0.1
    assert {"dm_control", "mujoco", "numpy"} < set(json.loads(str(recorded["recorded_with"])))


def test_timing_is_that_of_the_real_suite(task, golden, simulate):
    robot, timing = load_robot(task), json.loads(str(golden(task)["recorded_with"]))
    assert robot.control_hz == pytest.approx(1.0 / timing["control_timestep_s"])
    assert robot.episode_ticks == timing["step_limit"] == 1000
    simulation = simulate(task, 1)
    assert simulation.num_substeps * simulation.model.opt.timestep == pytest.approx(timing["control_timestep_s"])
