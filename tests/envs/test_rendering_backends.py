import logging
import subprocess
import sys

import pytest

from embodied_envs import rendering
from embodied_envs.rendering import View, make_renderer, probe, resolve_backend
from embodied_envs.robots.runner import build_runner


def test_auto_takes_ray_when_no_graphics_library_works(monkeypatch, caplog):
    monkeypatch.setattr(rendering, "gl_platform_works", lambda platform: False)
    with caplog.at_level(logging.INFO, logger="embodied_envs"):
        assert resolve_backend("auto") == "ray"
    assert "ray" in caplog.text
    assert resolve_backend("auto", "ray") == "ray"


@pytest.mark.parametrize(
    ("backend", "preset", "message"),
    [
        ("egel", "fast", "did you mean 'egl'"),
        ("auto", "qualty", "did you mean 'quality'"),
        ("ray", "quality", "expected fast or quality with egl"),
        ("egl", "ray", "fast or ray with ray"),
    ],
)
def test_unknown_names_and_combinations_are_one_line(monkeypatch, backend, preset, message):
    monkeypatch.setattr(rendering, "gl_platform_works", lambda platform: True)
    with pytest.raises(ValueError, match=message) as caught:
        resolve_backend(backend, preset)
    assert "\n" not in str(caught.value)


def test_an_unknown_camera_is_one_line():
    with pytest.raises(ValueError, match="got camera 'sid'; did you mean 'side'"):
        make_renderer("ray", build_runner().compile(), [View("sid", "rgb", 8, 8)])


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
