"""Warp's physics is MuJoCo's: teacher-forced against `mujoco.batch`, with every lane's own dynamics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from embodied_envs.robots.robot_spec import Step
from embodied_envs.warp.task import WarpStep

# float32 against float64 over ten substeps with contacts (measured: 4e-7, 2e-5; a few times that is allowed).
POSITION_TOLERANCE = 2e-6
SPEED_TOLERANCE = 2e-4


def copy_lanes(physics, batch):
    """Give the lanes of a Batch the state and the dynamics of Warp's; history and warm start stay its own."""
    for name in ("qpos", "qvel"):
        batch.bind(name)[:] = physics.bind(name).numpy()
    for name in ("geom_friction", "body_mass", "body_inertia"):
        batch.expand(name)[:] = physics.expand(name).numpy()
    batch.set_const()


def test_constants_follow_each_lanes_mass(blind, batch):
    blind.reset(seed=2)
    copy_lanes(blind.physics, batch.batch)
    payload = batch.batch.model.body("payload").id
    assert len(set(blind.physics.expand("body_mass")[:, payload].tolist())) == blind.num_envs
    for lane in range(blind.num_envs):
        model = batch.batch.get_model(lane)
        for name in ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0"):
            ours = blind.physics.expand(name)[lane].numpy()
            np.testing.assert_allclose(ours, getattr(model, name), rtol=2e-4, atol=1e-6, err_msg=name)


def test_one_control_period_agrees_with_the_batch(blind, batch, actions):
    batch.reset(seed=0)
    blind.reset(seed=1)
    moved = []
    for action in actions[:10]:
        copy_lanes(blind.physics, batch.batch)
        batch.batch.bind("ctrl")[:] = action.numpy()
        before = blind.physics.bind("qpos").clone()
        _, reward, *_, info = blind.step(action)
        batch.batch.step(nstep=10)
        qpos, qvel = (blind.physics.bind(name).numpy() for name in ("qpos", "qvel"))
        np.testing.assert_allclose(qpos, batch.batch.bind("qpos"), atol=POSITION_TOLERANCE)
        np.testing.assert_allclose(qvel, batch.batch.bind("qvel"), atol=SPEED_TOLERANCE)
        step = Step(batch.batch, before.numpy(), action.numpy(), 0.05)
        np.testing.assert_allclose(reward.numpy(), batch.robot.reward(step), atol=1e-4)
        moved.append(float((blind.physics.bind("qpos") - before).abs().max()))
        assert info["privileged"]["contact_force"].max() > 1.0
    assert min(moved) > 0.01


def test_sensor_rows_agree_with_the_batch(blind, batch, actions):
    batch.reset(seed=0)
    blind.reset(seed=1)
    for action in actions[:5]:
        batch.reset(seed=0)  # a fresh history: after one control period all its rows are new
        copy_lanes(blind.physics, batch.batch)
        *_, info = blind.step(action)
        *_, expected = batch.step(action.numpy())
        for key, atol in {"joint_pos": 1e-5, "accelerometer": 0.05, "gyro": 2e-3, "touch": 0.5}.items():
            np.testing.assert_allclose(info["clean"][key].numpy(), expected["clean"][key], atol=atol, err_msg=key)


def test_readings_at_the_reset_agree_with_the_batch(blind, batch):
    _, info = blind.reset(seed=1)
    batch.reset(seed=0)
    copy_lanes(blind.physics, batch.batch)
    batch.batch.forward()
    addresses = [batch.batch.model.sensor(name).adr[0] for name in ("back_touch", "front_touch")]
    touch = batch.batch.bind("sensordata")[:, addresses]
    np.testing.assert_allclose(info["clean"]["touch"].numpy(), touch, rtol=1e-3, atol=0.05)


def test_privileged_readings_are_the_robots_own(blind, batch, actions):
    blind.reset(seed=1)
    *_, info = blind.step(actions[0])
    copy_lanes(blind.physics, batch.batch)
    clean = {key: value.numpy() for key, value in info["clean"].items()}
    for entry in batch.robot.privileged:
        expected = entry.read(batch.batch, clean).astype(np.float32)
        np.testing.assert_allclose(info["privileged"][entry.key].numpy(), expected, atol=1e-6, err_msg=entry.key)


def test_clocks_do_not_drift_in_long_episodes(blind, actions):
    blind.reset(seed=0)
    ages = []
    for tick in range(600):  # twice an episode, and 6000 substeps
        blind.physics.step(actions[tick % 20])
        ages.append(blind._suite._deliveries[1]._reader.read(torch.full((4,), 1e3), None).age_s.clone())
    assert torch.allclose(ages[0], ages[-1], atol=2e-6)
    assert torch.allclose(ages[-1][0], torch.tensor([0.04, 0.03, 0.015, 0.005]), atol=2e-6)


def test_only_lane_fields_have_a_copy_per_lane(blind):
    assert blind.physics.expand("body_mass").shape == (4, blind.physics.model.nbody)
    with pytest.raises(ValueError, match="'dof_damping' is shared by all lanes"):
        blind.physics.expand("dof_damping")


def test_views_are_no_copies(blind, actions):
    blind.reset(seed=0)
    qpos = blind.physics.bind("qpos")
    before = qpos.clone()
    blind.step(actions[0])
    assert not torch.equal(qpos, before)
    assert blind.physics.bind("qpos").data_ptr() == qpos.data_ptr() == blind.physics.warp_data.qpos.ptr


def test_the_torch_reward_is_the_numpy_reward(blind, batch, actions):
    batch.reset(seed=0)
    blind.reset(seed=1)
    copy_lanes(blind.physics, batch.batch)
    before = blind.physics.bind("qpos") - 0.1 * torch.rand(4, 9, generator=torch.Generator().manual_seed(0))
    ours = blind._task.reward(WarpStep(blind.physics, before, actions[0], 0.05))
    theirs = batch.robot.reward(Step(batch.batch, before.numpy(), actions[0].numpy(), 0.05))
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5)
