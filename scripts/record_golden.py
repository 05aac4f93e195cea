"""Record steps of the real control suite, which the tests of `embodied_envs.suite` reproduce.

Run once, by the Python of an environment of its own, as dm_control does not import under the MuJoCo of this project:

    python -m venv .venv-dmc && .venv-dmc/bin/pip install "dm_control==1.0.50" "mujoco==3.17.0"
    .venv-dmc/bin/python scripts/record_golden.py tests/envs/suite/golden

Each file holds segments of a few steps, so that every stored state but the last of a segment is also one to start from.
Half of the segments follow random actions from the task's own start states; the other half start where the reward is
not zero. Nothing here imports this project.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# (dm_control lives in another environment; MuJoCo ships no type stubs)
from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

SEGMENTS, STEPS, RESETS = 20, 10, 2000
QUANTILES = np.linspace(0.0, 1.0, 11)
Rng = np.random.Generator
Arrays = dict[str, np.ndarray]


def upright_cart(physics: Any, rng: Rng) -> None:
    """Put the pole near upright and the cart near the centre."""
    physics.data.qpos[:] = rng.uniform(-0.6, 0.6, 2)
    physics.data.qvel[:] = rng.uniform(-2.0, 2.0, 2)


def near_target(physics: Any, rng: Rng) -> None:
    """Put the target around the finger tip, about as far as where the reward ends."""
    physics.data.qpos[:] = rng.uniform(-2.5, 2.5, 2)
    physics.data.qvel[:] = rng.uniform(-3.0, 3.0, 2)
    physics.forward()
    angle, distance = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.0, 0.09)
    tip = physics.named.data.geom_xpos["finger", :2]
    physics.named.model.geom_pos["target", :2] = tip + distance * np.array([np.cos(angle), np.sin(angle)])


def running(physics: Any, rng: Rng) -> None:
    """Throw the settled cheetah forward, some of them faster than the target speed."""
    physics.data.qvel[0] = rng.uniform(2.0, 12.0)
    physics.data.qvel[3:] = rng.uniform(-3.0, 3.0, 6)


def walking(physics: Any, rng: Rng) -> None:
    """Put the walker on its feet, moving forward."""
    physics.data.qpos[:] = 0.0
    physics.data.qpos[0] = rng.uniform(-0.1, 0.1)
    physics.data.qpos[2:] = rng.uniform(-0.15, 0.15, 7)
    physics.data.qvel[:] = rng.uniform(-0.5, 0.5, 9)
    physics.data.qvel[1] = rng.uniform(0.0, 1.5)


def spinning(physics: Any, rng: Rng) -> None:
    """Spin the body at and above the speed where the reward starts; friction slows it quickly."""
    physics.data.qvel[2] = rng.uniform(-60.0, -14.0)


def caught(physics: Any, rng: Rng) -> None:
    """Put the ball into the cup or onto its rim."""
    physics.data.qpos[:2] = rng.uniform(-0.2, 0.2, 2)
    inside = np.array([0.0, 0.6 - 0.05 - 0.2]) + rng.uniform(-0.03, 0.03, 2)  # from the ball's own origin
    physics.data.qpos[2:] = physics.data.qpos[:2] + inside
    physics.data.qvel[:] = rng.uniform(-0.5, 0.5, 4)


TASKS: dict[str, tuple[str, str, Callable[[Any, Rng], None]]] = {
    "cartpole-swingup": ("cartpole", "swingup", upright_cart),
    "reacher-easy": ("reacher", "easy", near_target),
    "cheetah-run": ("cheetah", "run", running),
    "walker-walk": ("walker", "walk", walking),
    "finger-spin": ("finger", "spin", spinning),
    "ball-in-cup-catch": ("ball_in_cup", "catch", caught),
}


def snapshot(env: Any, rng: Rng) -> Arrays:
    """Return the state that the next step starts from, and an action for it."""
    data = env.physics.data
    action = rng.uniform(-1.0, 1.0, env.action_spec().shape).astype(np.float32)
    return {
        "qpos": data.qpos.copy(), "qvel": data.qvel.copy(), "warmstart": data.qacc_warmstart.copy(), "action": action,
    }  # fmt: skip


def wander(env: Any, rng: Rng) -> None:
    """Start an episode and act at random for up to two hundred steps, holding each action for a while.

    The finger goes on until a touch sensor reads something, as it seldom does. Starts over if too little is left.
    """
    env.reset()
    for _ in range(int(rng.integers(0, 20))):
        push(env, rng)
    while hasattr(env.physics, "touch") and not env.physics.touch().any():
        push(env, rng)
    if env._step_count + STEPS >= env._step_limit:
        wander(env, rng)


def push(env: Any, rng: Rng) -> None:
    """Hold one random action for ten steps, starting over where an episode ends."""
    action = rng.uniform(-1.0, 1.0, env.action_spec().shape)
    for _ in range(10):
        if env.step(action).last():
            env.reset()


def put(env: Any, place: Callable[[Any, Rng], None], rng: Rng) -> None:
    """Start an episode and move its state to where `place` says."""
    env.reset()
    place(env.physics, rng)
    env.physics.forward()


def segment(env: Any, rng: Rng) -> list[Arrays]:
    """Return one entry per step: the state before it, the action, and the observation and reward after it."""
    entries = []
    for _ in range(STEPS):
        entry = snapshot(env, rng)
        timestep = env.step(entry["action"].astype(np.float64))
        entry |= {f"observation/{key}": np.atleast_1d(value) for key, value in timestep.observation.items()}
        entries.append(entry | {"reward": np.float64(timestep.reward)})
    return entries


def steps(env: Any, place: Callable[[Any, Rng], None], rng: Rng) -> Arrays:
    """Return arrays [segment, step, ...]; `qpos` and `qvel` have one row more, the state after the last step."""
    segments, finals, targets = [], [], []
    for number in range(SEGMENTS):
        if number % 2:
            put(env, place, rng)
        else:
            wander(env, rng)
        targets.append(target_of(env.physics))
        segments.append(segment(env, rng))
        finals.append({key: getattr(env.physics.data, key).copy() for key in ("qpos", "qvel")})
    arrays = {key: np.array([[entry[key] for entry in entries] for entries in segments]) for key in segments[0][0]}
    for key in ("qpos", "qvel"):
        last = np.array([final[key] for final in finals])[:, None]
        arrays[key] = np.concatenate([arrays[key], last], axis=1)
    return arrays if targets[0] is None else arrays | {"target": np.array(targets)}


def target_of(physics: Any) -> np.ndarray | None:
    """Return where the reacher's target lies, [2]; it is part of the model, not of the state."""
    positions = physics.named.model.geom_pos
    return positions["target", :2].copy() if "target" in positions.axes.row.names else None


def start_quantiles(env: Any) -> Arrays:
    """Return deciles [11, ...] of the start states."""
    starts = []
    for _ in range(RESETS):
        env.reset()
        starts.append(np.concatenate([env.physics.data.qpos, env.physics.data.qvel]))
    return {"start_deciles": np.quantile(np.array(starts), QUANTILES, axis=0)}


def compact(arrays: Arrays) -> Arrays:
    """Return observations as float32, which is what they are compared with."""
    return {key: a.astype(np.float32) if key.startswith("observation/") else a for key, a in arrays.items()}


def record(name: str, folder: Path) -> None:
    """Write one task's file and print what it holds."""
    from dm_control import suite

    domain, task, place = TASKS[name]
    env = suite.load(domain, task, task_kwargs={"random": 0})
    rng = np.random.default_rng(0)
    arrays = compact(steps(env, place, rng) | start_quantiles(env))
    used = {package: version(package) for package in ("dm_control", "mujoco", "numpy")}
    timing = {"control_timestep_s": env.control_timestep(), "step_limit": float(env._step_limit)}
    path = folder / f"{name}.npz"
    arrays["recorded_with"] = np.array(json.dumps(used | timing))
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]  # numpy types every keyword as bool
    rewards = arrays["reward"]
    print(f"{path}: {rewards.size} steps, reward {rewards.mean():.3f} on average, {(rewards > 0).mean():.0%} above 0")


def record_tolerance(folder: Path) -> None:
    """Write a table of the original's tolerance function: one row per question."""
    from dm_control.utils import rewards

    rows = []
    for shape, floor in (("gaussian", 0.1), ("gaussian", 0.3), ("linear", 0.0), ("linear", 0.5), ("quadratic", 0.0)):
        for low, high, margin in ((0.0, 0.0, 2.0), (-1.0, 0.5, 1.5), (1.2, np.inf, 0.6), (-np.inf, 0.2, 0.1)):
            x = np.linspace(-3.0, 3.0, 13)
            value = rewards.tolerance(x, (low, high), margin, shape, floor)
            ends = [end if np.isfinite(end) else None for end in (low, high)]
            rows.append([shape, floor, *ends, margin, x.tolist(), value.tolist()])
    (folder / "tolerance.json").write_text(json.dumps(rows) + "\n")


def main() -> None:
    """Record every task named, or all six."""
    parser = argparse.ArgumentParser(description="Record golden steps of the real control suite.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", nargs="*", help="default: all six")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    record_tolerance(options.folder)
    for name in options.tasks or TASKS:
        record(name, options.folder)


if __name__ == "__main__":
    main()
