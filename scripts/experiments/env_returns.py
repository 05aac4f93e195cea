"""What random actions, doing nothing, and a scripted or planning policy earn on every task: is each reward learnable?

    python scripts/experiments/env_returns.py [--tasks Runner ...] [--seeds 0 1 2 3 4]    # a JSON row a task and policy
    python scripts/experiments/env_returns.py --table                                     # docs/results/env_returns.md

Scripts are open-loop gaits, or see privileged state (Arm), or only the observation (Rover). The planner sees the whole
simulator. None of them learns: they bound what a learner could earn from below. Rows of the same task, policy, seeds
and code are not measured again.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from planner import Planner, Settings
from quickstart_seeds import code_hash

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots import ROBOTS
from embodied_envs.suite import ACTION_REPEAT, SUITE
from embodied_ssl.evaluate.intervals import mean_interval

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "docs" / "results" / "env_returns.jsonl"
PAGE = ROWS.with_suffix(".md")

Arrays = dict[str, np.ndarray]
Policy = Callable[[BatchVectorEnv, Arrays, int], np.ndarray]


def _gait(module: str) -> Policy:
    """Return an open-loop policy: a module's `scripted_action(time_s [lane])`."""

    def act(envs: BatchVectorEnv, observation: Arrays, tick: int) -> np.ndarray:
        from importlib import import_module

        times_s = np.full(envs.num_envs, tick / envs.robot.control_hz)
        return import_module(f"embodied_envs.robots.{module}").scripted_action(times_s)

    return act


def _arm(name: str) -> Policy:
    def act(envs: BatchVectorEnv, observation: Arrays, tick: int) -> np.ndarray:
        from embodied_envs.robots import arm_scripts

        return getattr(arm_scripts, name)(envs.batch)

    return act


def _rover(envs: BatchVectorEnv, observation: Arrays, tick: int) -> np.ndarray:
    from embodied_envs.robots.rover_script import scripted_action

    return scripted_action(observation)


SCRIPTS: dict[str, tuple[str, Policy]] = {
    "Quadruped": ("open-loop trot", _gait("quadruped_gait")),
    "Hand": ("open-loop finger gait", _gait("hand_gait")),
    "ArmReach": ("privileged inverse kinematics", _arm("reach_action")),
    "ArmPush": ("privileged inverse kinematics", _arm("push_action")),
    "ArmPick": ("privileged inverse kinematics", _arm("pick_action")),
    "Rover": ("hears and avoids, observation only", _rover),
}
PLANNED = {
    "Runner": Settings(),
    "cartpole-swingup": Settings(horizon=20),
    "reacher-easy": Settings(horizon=10),
    "cheetah-run": Settings(horizon=12),
    "walker-walk": Settings(horizon=24),
    "finger-spin": Settings(horizon=24),
    "ball-in-cup-catch": Settings(horizon=16),
}
"""Tasks whose better policy is the planner; horizons in actions."""


@dataclass
class Options:
    """What to play."""

    tasks: tuple[str, ...] = (*ROBOTS, *SUITE)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    table: bool = False


def make_envs(task: str, lanes: int) -> BatchVectorEnv:
    """Return the task without cameras; the suite's tasks repeat actions as published."""
    return BatchVectorEnv(task, lanes, cameras=False, action_repeat=ACTION_REPEAT.get(task, 1))


def play(task: str, seeds: tuple[int, ...], policy: Policy) -> list[float]:
    """Return the return of one episode per seed, all seeds side by side."""
    envs = make_envs(task, len(seeds))
    observation, _ = envs.reset(seed=list(seeds))
    returns, alive, tick = np.zeros(len(seeds)), np.ones(len(seeds), bool), 0
    while alive.any():
        observation, rewards, terminated, truncated, _ = envs.step(policy(envs, observation, tick))
        returns += rewards * alive
        alive &= ~(terminated | truncated)
        tick += 1
    envs.close()
    return returns.tolist()


def play_planned(task: str, seeds: tuple[int, ...], settings: Settings) -> list[float]:
    """Return the return of one planned episode per seed, one after the other."""
    returns = []
    for seed in seeds:
        envs = make_envs(task, 1)
        envs.reset(seed=[seed])
        planner, total, ended = Planner(envs, settings, seed), 0.0, False
        while not ended:
            _, reward, terminated, truncated, _ = envs.step(planner.act())
            total += float(reward[0])
            ended = bool(terminated[0] or truncated[0])
        planner.close()
        envs.close()
        returns.append(total)
    return returns


def policies(task: str) -> dict[str, Callable[[tuple[int, ...]], list[float]]]:
    """Return what is played on a task: name -> seeds -> returns."""
    generator = np.random.default_rng(0)

    def random(envs: BatchVectorEnv, observation: Arrays, tick: int) -> np.ndarray:
        return generator.uniform(-1, 1, envs.action_space.shape)

    def still(envs: BatchVectorEnv, observation: Arrays, tick: int) -> np.ndarray:
        return np.zeros(envs.action_space.shape or ())

    played: dict[str, Callable[[tuple[int, ...]], list[float]]] = {
        "random": lambda seeds: play(task, seeds, random),
        "zero": lambda seeds: play(task, seeds, still),
    }
    if task in SCRIPTS:
        name, script = SCRIPTS[task]
        played[name] = lambda seeds: play(task, seeds, script)
    if task in PLANNED:
        played["planner"] = lambda seeds: play_planned(task, seeds, PLANNED[task])
    return played


def read_rows() -> list[dict[str, Any]]:
    """Return the rows measured so far."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def measure(options: Options) -> None:
    """Play what has no row yet, and append rows."""
    code = code_hash("envs/embodied_envs")
    known = {(row["task"], row["policy"], tuple(row["seeds"]), row["code"]) for row in read_rows()}
    for task in options.tasks:
        for policy, run in policies(task).items():
            if (task, policy, tuple(options.seeds), code) in known:
                continue
            began = time.monotonic()
            returns = run(tuple(options.seeds))
            row = {
                "experiment": "env_returns",
                "task": task,
                "policy": policy,
                "seeds": list(options.seeds),
                "returns": [round(value, 2) for value in returns],
                "settings": dataclasses.asdict(PLANNED[task]) if policy == "planner" else {},
                "action_repeat": ACTION_REPEAT.get(task, 1),
                "code": code,
                "wall_s": round(time.monotonic() - began, 1),
            }
            with ROWS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{task:20} {policy:36} {np.mean(returns):10.1f}", flush=True)


def write_table() -> None:
    """Write the newest row of every task and policy as a table."""
    newest = {(row["task"], row["policy"]): row for row in read_rows()}
    lines = [
        "<!-- written by scripts/experiments/env_returns.py --table; do not edit -->",
        "# Returns of simple policies",
        "",
        "Mean over episodes and 95 % t-interval. A planner sees the whole simulator; scripts are described in the",
        "modules of their robots. No policy here learns.",
        "",
        "| task | policy | return | interval | episodes |",
        "|---|---|---|---|---|",
    ]
    for (task, policy), row in newest.items():
        mean, low, high = mean_interval(row["returns"])
        lines.append(f"| {task} | {policy} | {mean:.1f} | [{low:.1f}, {high:.1f}] | {len(row['returns'])} |")
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    chosen = tyro.cli(Options, description=__doc__)
    if not chosen.table:
        measure(chosen)
    write_table()
