"""Camera frames a second: presets and sizes on the Runner beside MuJoCo's own renderer, and every other robot.

    python scripts/bench/render.py [--json] [--pixels 64 84 128] [--robots ...] [--repeats 5] [--seconds 1.0]

`cpu_us_per_frame` counts all threads of the process (a software OpenGL driver has its own): 1e6 divided by it is the
number of frames a second and core.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

os.environ.setdefault("MUJOCO_GL", "egl")  # mujoco.Renderer reads it at import; without it, it wants a screen

import mujoco
import tyro
from measure import Line, in_turn, show, unavailable
from sim import stepper

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.rendering.probe import gl_platform_works
from embodied_envs.robot_options import first_camera
from embodied_envs.robots import ROBOTS
from embodied_envs.sensors import Camera

BENCH, RATE, CPU = "render", "frames_per_s", "cpu_us_per_frame"
LANES = 16
SETTLING_STEPS = 20
PRESETS = {"fast": ("auto", "fast"), "quality": ("auto", "quality"), "ray": ("ray", "fast")}


@dataclass
class Options:
    """What to measure, and how long."""

    json: bool = False
    pixels: tuple[int, ...] = (64, 84, 128)
    robots: tuple[str, ...] = tuple(ROBOTS)
    repeats: int = 5
    seconds: float = 1.0


def make_envs(robot: str, preset: str, pixels: int) -> BatchVectorEnv:
    """Return lanes in motion, with their cameras."""
    backend, quality = PRESETS[preset]
    envs = BatchVectorEnv(
        robot, LANES, camera_px=pixels, camera_backend=backend, camera_preset=quality, render_mode="rgb_array"
    )
    step = stepper(envs)
    for _ in range(SETTLING_STEPS):
        step()
    return envs


def default_renderer(envs: BatchVectorEnv, pixels: int) -> Callable[[], object]:
    """Return a call that draws all lanes with `mujoco.Renderer` and MuJoCo's default quality."""
    model = envs.robot.build().compile()
    renderer, data = mujoco.Renderer(model, pixels, pixels), mujoco.MjData(model)
    sensor = first_camera(envs.robot)
    assert sensor is not None
    assert isinstance(sensor.source, Camera)
    camera = sensor.source.camera

    def draw() -> None:
        for qpos in envs.batch.bind("qpos"):
            data.qpos[:] = qpos
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera)
            if not renderer.render().any():
                raise RuntimeError("mujoco.Renderer drew a black picture; its figure would be worth nothing")

    return draw


def lines_of(robot: str, pixels: int, options: Options, with_default: bool) -> Iterator[Line]:
    """Measure every preset of one robot at one size."""
    suffix = "" if robot == "Runner" else f"/{robot}"
    presets = list(PRESETS) if with_default else ["fast"]
    made = {preset: make_envs(robot, preset, pixels) for preset in presets}
    systems: dict[str, tuple[Callable[[], object], int]] = {name: (envs.render, LANES) for name, envs in made.items()}
    if with_default:
        if gl_platform_works("egl"):
            systems["mujoco_default"] = (default_renderer(made["fast"], pixels), LANES)
        else:
            yield unavailable(BENCH, f"fast/{pixels}", "mujoco_default", RATE, "1/s", "no EGL library on this machine")
    for name, timing in in_turn(systems, options.repeats, options.seconds).items():
        preset, system = ("fast", name) if name == "mujoco_default" else (name, "ours")
        yield from timing.lines(BENCH, f"{preset}/{pixels}{suffix}", system, RATE, CPU)
    for envs in made.values():
        envs.close()


def measure(options: Options) -> Iterator[Line]:
    """Yield every line."""
    for robot in options.robots:
        for pixels in options.pixels if robot == "Runner" else options.pixels[:1]:
            yield from lines_of(robot, pixels, options, with_default=robot == "Runner")


if __name__ == "__main__":
    chosen = tyro.cli(Options, description=__doc__)
    for result in measure(chosen):
        show(result, chosen.json)
