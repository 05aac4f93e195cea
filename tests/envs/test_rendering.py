import logging
import subprocess
import sys

import numpy as np
import pytest

from embodied_envs import rendering
from embodied_envs.rendering import make_renderer, probe, resolve_backend
from embodied_envs.robots.runner import ROBOT
from embodied_envs.simulation import Simulation

BACKENDS = ["egl", "osmesa", "ray"]


def _need(backend: str) -> None:
    if backend != "ray" and not probe.gl_platform_works(backend):
        pytest.skip(f"no working {backend} library on this machine")


@pytest.mark.parametrize("backend", BACKENDS)
def test_camera_sees_the_robot_move(make_envs, actions, backend):
    _need(backend)
    envs = make_envs(2, cameras=True, camera_backend=backend, episode_ticks=40)
    assert envs.camera_backend == envs.metadata["camera_backend"] == backend
    frames = [envs.reset(seed=0)[0]["camera"]]
    frames += [envs.step(action)[0]["camera"] for action in actions[:16, :2]]
    assert frames[0].dtype == np.uint8
    assert _has_orange_and_blue(frames[0][0])
    changed = np.abs(frames[8].astype(int) - frames[0].astype(int)).max(axis=-1) > 20
    assert changed[0].mean() > 0.02
    assert (frames[8][0] != frames[8][1]).any()


def _has_orange_and_blue(frame: np.ndarray) -> bool:
    """The rear leg is orange, the front leg blue, and the front is to the right."""
    red, blue = frame[:, :, 0].astype(int), frame[:, :, 2].astype(int)
    orange = np.nonzero(red - blue > 80)[1]
    bluish = np.nonzero(blue - red > 80)[1]
    return orange.size > 10 and bluish.size > 10 and bluish.mean() > np.median(orange)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ground_passes_by(backend):
    """The same pose half a cell further on shows another ground; two cells further on the same ground."""
    _need(backend)
    simulation = Simulation(ROBOT, 3, 1)
    simulation.reset(np.ones(3, bool), [np.random.default_rng(0) for _ in range(3)])
    simulation.qpos[:, 0] = [0.1, 0.35, 1.1]
    renderer = make_renderer(backend, simulation.model, "side", 64, 64)
    here, half, two = renderer.render(simulation.batch, np.arange(3)).astype(int)
    renderer.close()
    assert np.abs(half - here).mean() > 3 * np.abs(two - here).mean() + 1


def test_back_ends_agree_on_where_things_are():
    _need("egl")
    simulation = Simulation(ROBOT, 1, 1)
    simulation.reset(np.ones(1, bool), [np.random.default_rng(0)])
    frames = []
    for backend in ("egl", "ray"):
        renderer = make_renderer(backend, simulation.model, "side", 64, 64)
        frames.append(renderer.render(simulation.batch, np.arange(1))[0].astype(float).ravel())
        renderer.close()
    assert np.corrcoef(*frames)[0, 1] > 0.8


def test_frames_are_held_and_age_until_the_camera_fires(make_envs, actions):
    envs = make_envs(3, cameras=True, episode_ticks=20)
    envs.reset(seed=0)
    observation, _ = envs.reset(options={"reset_mask": np.array([False, False, True])})
    for tick, action in enumerate(actions[:20, :3], start=1):
        previous, (observation, *_) = observation, envs.step(action)
        np.testing.assert_allclose(observation["camera.age_s"], (tick % 8) / 20.0, atol=1e-6)
        if tick % 8:
            np.testing.assert_array_equal(observation["camera"], previous["camera"])
        else:
            assert (observation["camera"] != previous["camera"]).any(axis=(1, 2, 3)).all()


def test_only_firing_lanes_are_drawn(make_envs, actions, monkeypatch):
    envs = make_envs(3, cameras=True, episode_ticks=40)
    envs.reset(seed=0)
    drawn, stream = [], envs._observed_streams[0]
    draw = stream.draw
    monkeypatch.setattr(stream, "draw", lambda batch, lanes: (drawn.append(lanes.tolist()), draw(batch, lanes))[1])
    for action in actions[:3, :3]:
        envs.step(action)
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    for action in actions[:8, :3]:
        envs.step(action)
    assert drawn == [[1], [0, 2], [1]]


def test_returned_frames_are_the_callers(make_envs, actions):
    envs = make_envs(1, cameras=True)
    frame = envs.reset(seed=0)[0]["camera"]
    kept = frame.copy()
    frame[:] = 0
    np.testing.assert_array_equal(envs.step(actions[0, :1])[0]["camera"], kept)


def test_auto_takes_ray_when_no_graphics_library_works(monkeypatch, caplog):
    monkeypatch.setattr(rendering, "gl_platform_works", lambda platform: False)
    with caplog.at_level(logging.INFO, logger="embodied_envs"):
        assert resolve_backend("auto") == "ray"
    assert "ray" in caplog.text


def test_a_named_back_end_that_does_not_work_is_an_error_with_alternatives(monkeypatch):
    monkeypatch.setattr(rendering, "gl_platform_works", lambda platform: False)
    with pytest.raises(ValueError, match=r"'egl' does not work.*use one of \['ray'\]") as caught:
        resolve_backend("egl")
    assert "\n" not in str(caught.value)


def test_a_probe_that_dies_means_no(monkeypatch):
    probe.gl_platform_works.cache_clear()
    monkeypatch.setattr(probe, "_PROBE", "import os; os.abort()  # {platform}")
    assert not probe.gl_platform_works("egl")
    probe.gl_platform_works.cache_clear()


def test_the_ray_path_loads_no_graphics_library():
    path = next(p for p in sys.path if p.endswith("envs"))
    code = """
import sys, gymnasium as gym
envs = gym.make_vec("embodied_envs:Embodied/Runner-v0", num_envs=1, camera_backend="ray", num_threads=1)
envs.reset(seed=0)
print([m for m in ("OpenGL", "mujoco.egl", "mujoco.osmesa") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
