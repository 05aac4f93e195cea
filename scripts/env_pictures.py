"""The pictures of docs/envs.md: robots from outside, what their sensors give, looks, distractors.

Everything is played with one lane and a fixed seed.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")  # read by MuJoCo when it is imported

import mujoco
import numpy as np
from gymnasium.vector import VectorEnv

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots.arm_scripts import pick_action, push_action, reach_action
from embodied_envs.robots.hand_gait import scripted_action as hand_gait
from embodied_envs.robots.quadruped_gait import scripted_action as trot
from embodied_envs.robots.rover_script import scripted_action as rover_script
from embodied_ssl.config import EnvConfig
from embodied_ssl.report.contact_sheet import contact_sheet
from embodied_ssl.report.env_recording import Policy, Recording, record
from embodied_ssl.report.frames import as_colours, labelled
from embodied_ssl.report.raster import INK, blank, paste, put_text, write_picture
from embodied_ssl.report.timelines import Layout, timelines
from embodied_ssl.report.view_policies import view_policy
from embodied_ssl.sources.env_card import env_card
from embodied_ssl.sources.envs import make_env

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SECONDS, SEED = 5.0, 1
ALL_KINDS = ["rgb", "depth", "segmentation"]
DIFFICULTIES = ("easy", "medium", "hard")
LOOKS = {"fast": ("egl", "fast"), "quality": ("egl", "quality"), "ray": ("ray", "fast")}
SHIFT = {"what": "motor", "at_step": 50}
"""Options of the distractor `shift` in its picture: by itself it comes after the picture's end."""
OUTSIDE_S = (0.0, 1.5, 3.0)
OUTSIDE_PX = (240, 320)
CELL_PX = 96


def _from_batch(act: Callable[[Any], np.ndarray]) -> Policy:
    return lambda env, observation, info, time_s: act(_batch(env)).astype(np.float32)


SCRIPTS: dict[str, tuple[str, Policy]] = {
    "ArmPick": ("robots/arm_scripts.py:pick_action, from privileged state", _from_batch(pick_action)),
    "ArmPush": ("robots/arm_scripts.py:push_action, from privileged state", _from_batch(push_action)),
    "ArmReach": ("robots/arm_scripts.py:reach_action, from privileged state", _from_batch(reach_action)),
    "Hand": ("robots/hand_gait.py:scripted_action, open loop", lambda env, o, info, time_s: hand_gait(time_s)),
    "Quadruped": ("robots/quadruped_gait.py:scripted_action, open loop", lambda env, o, info, time_s: trot(time_s)),
    "Rover": ("robots/rover_script.py:scripted_action, from its sensors", lambda env, o, i, t: rover_script(o)),
}
"""How a robot acts in its pictures, by name; the others act at random."""


def _batch(env: VectorEnv) -> Any:
    assert isinstance(env, BatchVectorEnv)
    return env._simulation.batch


def bare_name(env_id: str) -> str:
    """Return an id's name without namespace and version."""
    return env_id.partition("/")[2].removesuffix("-v0")


def open_env(env_id: str, **kwargs: Any) -> VectorEnv:
    """Make one lane of an env of `embodied_envs`."""
    return make_env(EnvConfig(id=f"embodied_envs:{env_id}", kwargs=kwargs), num_lanes=1)


def policy_of(env_id: str) -> Policy:
    """Return the robot's script, random actions without one."""
    name = bare_name(env_id)
    return SCRIPTS[name][1] if name in SCRIPTS else view_policy("random", SEED)


def play(env_id: str, seconds: float, policy: Policy | None = None, **kwargs: Any) -> Recording:
    """Record some seconds of an env."""
    env = open_env(env_id, **kwargs)
    card = env_card(env, env_id)
    try:
        return record(env, card, policy or policy_of(env_id), round(seconds * card.control_hz), SEED)
    finally:
        env.close()


def save(name: str, image: np.ndarray) -> None:
    """Write one picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    write_picture(str(PICTURES / f"{name}.jpg"), image, quality=78)


def draw_robot(env_id: str) -> None:
    """Write a robot's three pictures: from outside, through its cameras, all sensors over time."""
    name, outside = bare_name(env_id), _Outside(policy_of(env_id))
    recording = play(env_id, SECONDS, outside, camera_kinds=ALL_KINDS)
    save(f"{name}_outside", np.concatenate(outside.views, axis=1))
    save(f"{name}_cameras", contact_sheet(recording, num_moments=7, cell_px=CELL_PX))
    save(f"{name}_timelines", timelines(play(env_id, SECONDS), Layout(1000, 60))[0])


class _Outside:
    """A policy that photographs the robot from outside at `OUTSIDE_S` while it acts."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self.views = policy, list[np.ndarray]()

    def __call__(self, env: VectorEnv, observation: Any, info: Mapping[str, Any], time_s: np.ndarray) -> np.ndarray:
        if len(self.views) < len(OUTSIDE_S) and time_s[0] >= OUTSIDE_S[len(self.views)] - 1e-6:
            self.views.append(_photograph(_batch(env)))
        return self._policy(env, observation, info, time_s)


def _photograph(batch: Any) -> np.ndarray:
    """Return lane 0 uint8 (h, w, 3) as a free camera sees it that holds the whole robot."""
    model, data = batch.get_model(0), batch.get_data(0)
    mujoco.mj_forward(model, data)
    root = model.body_rootid[model.jnt_bodyid[model.actuator_trnid[0, 0]]]  # the robot is what has motors
    geoms = [
        i for i in range(model.ngeom) if model.body_rootid[model.geom_bodyid[i]] == root and model.geom_group[i] < 3
    ]
    low = np.min([data.geom_xpos[i] - model.geom_rbound[i] for i in geoms], axis=0)
    high = np.max([data.geom_xpos[i] + model.geom_rbound[i] for i in geoms], axis=0)
    camera, option = mujoco.MjvCamera(), mujoco.MjvOption()
    camera.lookat[:], camera.distance = (low + high) / 2, 1.3 * np.linalg.norm(high - low)
    camera.azimuth, camera.elevation = 130, -22
    option.flags[mujoco.mjtVisFlag.mjVIS_RANGEFINDER] = 0
    with mujoco.Renderer(model, *OUTSIDE_PX) as renderer:
        renderer.update_scene(data, camera, option)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        return renderer.render()


def draw_looks(env_ids: tuple[str, ...]) -> None:
    """Write one picture: the first camera of each robot (columns) as each preset draws it (rows)."""
    rows = [[_one_frame(env_id, *look) for env_id in env_ids] for look in LOOKS.values()]
    save("looks", _table(list(LOOKS), [bare_name(env_id) for env_id in env_ids], rows))


def _one_frame(env_id: str, backend: str, preset: str) -> np.ndarray:
    recording = play(env_id, 1.0, camera_backend=backend, camera_preset=preset)
    return _frame(recording, len(recording.times_s) - 1)


def _frame(recording: Recording, tick: int) -> np.ndarray:
    track = recording.pictures[0]
    return as_colours(track.newest(tick), track.card)


def draw_suite(env_ids: tuple[str, ...]) -> None:
    """Write one picture: each control suite task (rows) at some moments (columns)."""
    rows = []
    for env_id in env_ids:
        recording = play(env_id, 2.0, cameras=True)
        ticks = np.linspace(0, len(recording.times_s) - 1, 6).round().astype(int).tolist()
        rows.append([_frame(recording, tick) for tick in ticks])
    save("suite", _table([bare_name(env_id) for env_id in env_ids], [f"{s:.1f} s" for s in np.linspace(0, 2, 6)], rows))


def draw_distractor(env_id: str, name: str) -> None:
    """Write what one distractor does at each difficulty: to the camera (rows of frames) and to the other sensors."""
    asked = {name: SHIFT if name == "shift" else {}}
    plain = play(env_id, 2.4)
    ticks = np.linspace(2, len(plain.times_s) - 1, 6).round().astype(int).tolist()
    recordings = [plain] + [play(env_id, 2.4, distractors=asked, difficulty=level) for level in DIFFICULTIES]
    rows = [[_frame(recording, tick) for tick in ticks] for recording in recordings]
    if all(np.array_equal(a, b) for row in rows[1:] for a, b in zip(row, rows[0], strict=True)):
        hard = play(env_id, SECONDS, distractors=asked, difficulty="hard")
        save(f"distractor_{name}", timelines(hard, Layout(800, 40))[0])
    else:
        times = [f"{plain.times_s[tick]:.1f} s" for tick in ticks]
        save(f"distractor_{name}", _table(["none", *DIFFICULTIES], times, rows))


def _table(heads: list[str], columns: list[str], rows: list[list[np.ndarray]]) -> np.ndarray:
    """Return frames in a table with a head for each row and column."""
    strips = []
    for head, row in zip(heads, rows, strict=True):
        cells = [labelled(image, CELL_PX, text) for image, text in zip(row, columns, strict=True)]
        gap = blank(len(cells[0]), 4)
        side = blank(len(cells[0]), 130)
        put_text(side, 4, len(side) // 2, head, INK)
        strips.append(np.concatenate([side, *(part for cell in cells for part in (cell, gap))], axis=1))
    canvas = blank(sum(map(len, strips)), max(strip.shape[1] for strip in strips))
    y = 0
    for strip in strips:
        paste(canvas, strip, 0, y)
        y += len(strip)
    return canvas
