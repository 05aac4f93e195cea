"""Environment steps a second, and CPU time per step: every robot beside bare physics, and Gymnasium's own HalfCheetah.

    python scripts/bench/sim.py [--json] [--lanes 1 8 64 256] [--robots Runner ...] [--repeats 5] [--seconds 1.0]

`ours` observes every sensor; `ours_with_probe_targets` also gives privileged and noise-free readings in `info`, as by
default. `raw_batch` is `Batch.step` of the same model, per-lane fields and sensors included, controls already in place.
Cameras are off (see render.py). CPU time counts all threads and worker processes. dm_control, beside which the control
suite's tasks are measured, needs an environment of its own, whose Python `--dm-control-python` names; see
peers/dm_control_sim.py.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np
import tyro
from gymnasium.vector import VectorEnv
from half_cheetah import HALF_CHEETAH
from measure import Line, in_turn, show, unavailable

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots import ROBOTS
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.suite import SUITE

BENCH, RATE, CPU = "sim", "env_steps_per_s", "cpu_us_per_step"
NUM_ACTIONS_AHEAD = 64
PEER = Path(__file__).parent / "peers" / "dm_control_sim.py"
MOST_RECORDED = 300


@dataclass
class Options:
    """What to measure, and how long."""

    json: bool = False
    lanes: tuple[int, ...] = (1, 8, 64, 256)
    robots: tuple[str, ...] = tuple(ROBOTS)
    half_cheetah: bool = True
    tasks: tuple[str, ...] = tuple(SUITE)
    task_lanes: tuple[int, ...] = (1, 64)
    dm_control_python: str | None = None
    repeats: int = 5
    seconds: float = 1.0


def stepper(envs: VectorEnv) -> Callable[[], object]:
    """Return a call that steps `envs` once with the next of some random actions drawn ahead."""
    envs.reset(seed=0)
    space, generator = envs.single_action_space, np.random.default_rng(0)
    assert isinstance(space, gym.spaces.Box)
    shape = (NUM_ACTIONS_AHEAD, envs.num_envs, *space.shape)
    actions = generator.uniform(space.low, space.high, shape).astype(np.float32)
    turns = itertools.cycle(actions)
    return lambda: envs.step(next(turns))


def raw_stepper(robot: str | RobotSpec, lanes: int) -> Callable[[], object]:
    """Return a call that steps bare physics by one control period, under the controls of an episode of `stepper`.

    They are recorded, not drawn: robots whose action moves a target would do something else under other controls, and
    what a robot does decides what its physics costs. After an episode the recorded start is restored.
    """
    envs = BatchVectorEnv(robot, lanes, cameras=False)
    batch, simulation, spec = envs.batch, envs._simulation, envs.robot
    step_ours, start, ctrl = stepper(envs), batch.state.copy(), batch.bind("ctrl")
    controls = []
    for _ in range(min(spec.episode_ticks, MOST_RECORDED)):
        step_ours()
        controls.append(ctrl.copy())
    substeps, turns = simulation.num_substeps * spec.action_repeat, itertools.cycle(range(len(controls)))

    def step() -> None:
        turn = next(turns)
        if turn == 0:
            batch.state[...] = start
        ctrl[...] = controls[turn]
        batch.step(nstep=substeps, stage=spec.stage)

    return step


def robot_lines(name: str, lanes: int, options: Options) -> Iterator[Line]:
    """Measure one robot at one number of lanes."""
    systems = {
        "ours": (stepper(BatchVectorEnv(name, lanes, cameras=False, privileged=False)), lanes),
        "ours_with_probe_targets": (stepper(BatchVectorEnv(name, lanes, cameras=False)), lanes),
        "raw_batch": (raw_stepper(name, lanes), lanes),
    }
    timings = in_turn(systems, options.repeats, options.seconds)
    for system, timing in timings.items():
        yield from timing.lines(BENCH, f"{name}/{lanes}", system, RATE, CPU)


def half_cheetah_lines(lanes: int, options: Options) -> Iterator[Line]:
    """Race Gymnasium's vector environments on their own model."""
    case = f"HalfCheetah-v5/{lanes}"
    systems = {
        "ours": (stepper(BatchVectorEnv(HALF_CHEETAH, lanes, cameras=False, privileged=False)), lanes),
        "raw_batch": (raw_stepper(HALF_CHEETAH, lanes), lanes),
    }
    peers: dict[str, VectorEnv] = {}
    for mode in ("sync", "async"):
        try:
            peers[mode] = gym.make_vec("HalfCheetah-v5", num_envs=lanes, vectorization_mode=mode)
        except (ImportError, gym.error.Error) as error:
            yield unavailable(BENCH, case, f"gymnasium_{mode}", RATE, "1/s", str(error))
            continue
        systems[f"gymnasium_{mode}"] = (stepper(peers[mode]), lanes)
    for system, timing in in_turn(systems, options.repeats, options.seconds).items():
        yield from timing.lines(BENCH, case, system, RATE, CPU)
    for envs in peers.values():
        envs.close()


def dm_control_lines(task: str, lanes: int, options: Options) -> Iterator[Line]:
    """Let the real suite measure the same case in its own environment."""
    case = f"{task}/{lanes}"
    if options.dm_control_python is None:
        yield unavailable(BENCH, case, "dm_control", RATE, "1/s", "no --dm-control-python was given")
        return
    command = [options.dm_control_python, str(PEER), "--json", "--tasks", task, "--lanes", str(lanes)]
    command += ["--repeats", str(options.repeats), "--seconds", str(options.seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for text in done.stdout.splitlines():
        record = json.loads(text)
        record.pop("machine")
        yield Line(**record | {"spread": tuple(record["spread"])} if "spread" in record else record)


def measure(options: Options) -> Iterator[Line]:
    """Yield every line."""
    for name in options.robots:
        for lanes in options.lanes:
            yield from robot_lines(name, lanes, options)
    if options.half_cheetah:
        for lanes in options.lanes:
            yield from half_cheetah_lines(lanes, options)
    for task in options.tasks:
        for lanes in options.task_lanes:
            yield from robot_lines(task, lanes, options)
            yield from dm_control_lines(task, lanes, options)


if __name__ == "__main__":
    chosen = tyro.cli(Options, description=__doc__)
    for result in measure(chosen):
        show(result, chosen.json)
