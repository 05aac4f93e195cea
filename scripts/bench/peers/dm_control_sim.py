"""Environment steps a second of the real control suite, printed as sim.py prints ours; needs dm_control, not us.

    python -m venv .venv-dmc && .venv-dmc/bin/pip install "dm_control==1.0.50" "mujoco==3.17.0"
    .venv-dmc/bin/python scripts/bench/peers/dm_control_sim.py [--json] [--lanes 1 64] [--tasks cheetah-run ...]

dm_control has no vector environment: 64 lanes are 64 environments stepped one after the other, as its users do. A step
is one `Environment.step` of one lane, with actions drawn ahead; episodes start over by themselves, as ours do.
"""

# pyright: reportMissingImports=false
# (dm_control lives in another environment)
from __future__ import annotations

import argparse
import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # measure.py needs nothing but Python
from measure import Line, in_turn, show, unavailable

BENCH, SYSTEM, RATE, CPU = "sim", "dm_control", "env_steps_per_s", "cpu_us_per_step"
NUM_ACTIONS_AHEAD = 64
TASKS = {
    "cartpole-swingup": ("cartpole", "swingup"),
    "reacher-easy": ("reacher", "easy"),
    "cheetah-run": ("cheetah", "run"),
    "walker-walk": ("walker", "walk"),
    "finger-spin": ("finger", "spin"),
    "ball-in-cup-catch": ("ball_in_cup", "catch"),
}


def stepper(task: str, lanes: int) -> Callable[[], object]:
    """Return a call that steps every lane once with the next of some random actions drawn ahead."""
    from dm_control import suite

    envs = [suite.load(*TASKS[task], task_kwargs={"random": lane}) for lane in range(lanes)]
    for env in envs:
        env.reset()
    shape = (NUM_ACTIONS_AHEAD, lanes, *envs[0].action_spec().shape)
    turns = itertools.cycle(np.random.default_rng(0).uniform(-1.0, 1.0, shape))

    def step() -> None:
        for env, action in zip(envs, next(turns), strict=True):
            env.step(action)

    return step


def lines_of(task: str, lanes: int, repeats: int, seconds: float) -> Iterator[Line]:
    """Measure one task at one number of lanes."""
    case = f"{task}/{lanes}"
    try:
        call = stepper(task, lanes)
    except (ImportError, AttributeError) as error:  # AttributeError: how dm_control fails under MuJoCo 4
        reason = f"dm_control does not import here: {error}"
        yield unavailable(BENCH, case, SYSTEM, RATE, "1/s", reason)
        yield unavailable(BENCH, case, SYSTEM, CPU, "us", reason)
        return
    yield from in_turn({SYSTEM: (call, lanes)}, repeats, seconds)[SYSTEM].lines(BENCH, case, SYSTEM, RATE, CPU)


def main() -> None:
    """Measure every task named at every number of lanes."""
    parser = argparse.ArgumentParser(description="Environment steps a second of the real control suite.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    for task, lanes in itertools.product(options.tasks, options.lanes):
        for line in lines_of(task, lanes, options.repeats, options.seconds):
            show(line, options.json)


if __name__ == "__main__":
    os.environ.setdefault("MUJOCO_GL", "disable")  # nothing is drawn; without it, dm_control looks for a display
    logging.getLogger("absl").setLevel(logging.ERROR)  # a deprecation in the cheetah's file, once a lane
    main()
