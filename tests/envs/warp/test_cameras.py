"""Warp's batch renderer behind the camera sensors: when they fire, what is held, and what is in the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots import load_robot
from embodied_envs.warp import WarpVectorEnv

PERIOD = 8  # ticks between frames: 20 Hz control, 2.5 Hz camera


def test_frames_have_the_declared_form(seeing):
    observation, _ = seeing.reset(seed=0)
    for key in ("camera", "camera_depth", "camera_segmentation"):
        assert seeing.observation_space[key].contains(observation[key].numpy())
        assert observation[key].device == seeing.device
    assert seeing.metadata["camera_backend"] == "warp"


def test_a_frame_is_held_without_a_copy_until_the_next(seeing):
    frames, ages = [], []
    observation, _ = seeing.reset(seed=0)
    for tick in range(PERIOD + 1):
        frames.append(observation["camera"])
        ages.append(observation["camera.age_s"].tolist())
        observation, *_ = seeing.step(torch.full((2, 6), 0.8 * (-1) ** tick))
    np.testing.assert_allclose(ages, [[0.05 * (tick % PERIOD)] * 2 for tick in range(PERIOD + 1)], atol=1e-6)
    assert all(frame.data_ptr() == frames[0].data_ptr() for frame in frames[:PERIOD])
    assert not torch.equal(frames[PERIOD], frames[0])


def test_only_the_lanes_that_fire_get_a_new_frame(seeing):
    first, _ = held, _ = seeing.reset(seed=0)
    for _ in range(3):
        held, *_ = seeing.step(torch.full((2, 6), 0.8))
    mask = np.array([False, True])
    observation, _ = seeing.reset(options={"reset_mask": mask})
    assert torch.equal(observation["camera"][0], held["camera"][0])
    assert not torch.equal(observation["camera"][1], held["camera"][1])
    assert observation["camera.age_s"].tolist() == pytest.approx([0.15, 0.0])
    assert torch.equal(first["camera"], held["camera"])


def test_the_picture_is_that_of_the_batch_environment(seeing):
    kinds = ("rgb", "depth", "segmentation")
    batch = BatchVectorEnv("Runner", 2, camera_kinds=kinds, camera_px=24, camera_backend="ray", num_threads=1)
    theirs, _ = batch.reset(seed=0)
    ours, _ = seeing.reset(seed=0)
    # Stances differ by some hundredths of a radian, so a few edge pixels do.
    for lane in range(2):
        near, expected = ours["camera_depth"][lane].numpy(), theirs["camera_depth"][lane]
        assert np.mean(np.abs(near - expected) < 0.05) > 0.8
        bodies, seen = ours["camera_segmentation"][lane].numpy(), theirs["camera_segmentation"][lane]
        assert np.mean(bodies == seen) > 0.9
        assert set(np.unique(bodies)) >= {0, 1, 2}
        assert ours["camera"][lane].float().std() > 20
    batch.close()


def test_a_moved_body_is_where_its_pixels_are(seeing):
    """Depth of the torso: the camera stands 1.7 m from it, and follows it."""
    observation, _ = seeing.reset(seed=0)
    torso = observation["camera_segmentation"][0, ..., 0] == 1
    depth_m = observation["camera_depth"][0, ..., 0][torso]
    assert torso.sum() > 15
    assert 1.5 < float(depth_m.median()) < 1.7
    assert (observation["camera_depth"] <= 10.0).all()


def test_cameras_that_warp_cannot_have_are_refused():
    runner = load_robot("Runner")
    camera = next(sensor for sensor in runner.sensors if sensor.key == "camera")
    for change, message in {"latency_s": "'camera' is late or drops frames", "rate_hz": "divided by a whole"}.items():
        spec = replace(runner, sensors=(replace(camera, **{change: 3.0}),), privileged=())
        with pytest.raises(ValueError, match=message):
            WarpVectorEnv(spec, device="cpu")
