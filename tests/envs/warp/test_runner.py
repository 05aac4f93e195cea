"""The Runner's start on the device has the distribution of the NumPy one."""

from __future__ import annotations

import numpy as np
import torch

from embodied_envs.robots import runner


def starts(blind, batch, num_resets=60):
    """Columns of many starts of both: joint angles and pitch, speeds, friction, payload."""
    ours, theirs = [], []
    for seed in range(num_resets):
        _, info = blind.reset(seed=seed)
        qpos, qvel, dynamics = blind.physics.bind("qpos"), blind.physics.bind("qvel"), info["privileged"]
        ours.append(torch.cat([qpos, qvel, dynamics["friction"], dynamics["payload_kg"]], dim=1).numpy())
        _, info = batch.reset(seed=seed)
        state = [batch.batch.bind("qpos"), batch.batch.bind("qvel")]
        theirs.append(np.concatenate([*state, *(info["privileged"][key] for key in ("friction", "payload_kg"))], 1))
    return np.concatenate(ours), np.concatenate(theirs)


def test_starts_have_the_same_range_mean_and_spread(blind, batch):
    ours, theirs = starts(blind, batch)
    spread = theirs.std(axis=0)
    standard_error = spread / np.sqrt(len(ours)) + 1e-9
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 5 * np.sqrt(2) * standard_error).all()
    moving = spread > 0
    assert moving.sum() == 7 + 9 + 2  # x and z start at 0
    np.testing.assert_allclose(ours.std(0)[moving], spread[moving], rtol=0.25)
    assert (ours[:, ~moving] == 0).all()
    assert np.abs(ours[:, 2:9]).max() <= 0.06
    for column, (low, high) in {-2: runner.FRICTION_RANGE, -1: runner.PAYLOAD_RANGE_KG}.items():
        assert low <= ours[:, column].min() < ours[:, column].max() <= high


def test_starts_are_independent(blind, batch):
    ours, _ = starts(blind, batch)
    correlation = np.corrcoef(ours[:, 2:].T)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 0.3  # 240 starts: 4.6 standard errors


def test_inertia_is_scaled_with_the_payload(blind):
    blind.reset(seed=0)
    model = blind.physics.model
    payload = model.body("payload").id
    mass = blind.physics.expand("body_mass")[:, payload]
    expected = mass[:, None].numpy() * model.body_inertia[payload] / model.body_mass[payload]
    np.testing.assert_allclose(blind.physics.expand("body_inertia")[:, payload].numpy(), expected, rtol=1e-5)
