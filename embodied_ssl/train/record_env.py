"""Recording an env to a log, without learning: what `embodied-ssl record` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.config import EnvConfig
from embodied_ssl.errors import ConfigError
from embodied_ssl.logs.tick_recorder import TickRecorder, create_recording
from embodied_ssl.report.view_policies import view_policy
from embodied_ssl.sources.envs import backend_of, make_env
from embodied_ssl.sources.rows import to_host
from embodied_ssl.sources.simulation import TickMaker


@dataclass(frozen=True)
class RecordPlan:
    """What to record.

    Attributes:
        env: the env, with its number of lanes.
        num_steps: env steps, of all lanes together.
        seed: of the env and of random actions.
        policy: see `report.view_policies.view_policy`.
        flush_s: seconds between commits.
        fsync: whether commits survive a power cut.
    """

    env: EnvConfig
    num_steps: int
    seed: int = 0
    policy: str = "random"
    flush_s: float = 1.0
    fsync: bool = True

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.num_steps < self.env.num_lanes:
            raise ConfigError(f"steps is {self.num_steps}, expected at least one a lane ({self.env.num_lanes})")


def record_env(plan: RecordPlan, out: Path, shown: Callable[[int, int | None], None]) -> int:
    """Play an env and write every row that its sensors deliver, with actions, rewards and episodes.

    Args:
        plan: what to record.
        out: the log to make.
        shown: called with steps done and steps in all.

    Returns:
        Lane-ticks recorded. Ctrl-C ends the recording; what was recorded stays.

    Raises:
        LogError: the log cannot be written; what was committed is intact.
        ConfigError: the env, its arguments or the policy do not exist.
    """
    act = view_policy(plan.policy, plan.seed)
    env = make_env(plan.env, plan.env.num_lanes)
    try:
        maker = TickMaker(env)
        said = {"id": plan.env.id, "kwargs": plan.env.kwargs, "seed": plan.seed, "policy": plan.policy}
        said["camera_backend"] = backend_of(env)
        options = {"flush_s": plan.flush_s, "fsync": plan.fsync}
        with create_recording(out, maker.spec, env.num_envs, said, **options) as writer:
            return _play(env, maker, act, TickRecorder(writer, maker.spec, env.num_envs), plan, shown)
    finally:
        env.close()


def _play(
    env: Any, maker: TickMaker, act: Any, recorder: TickRecorder, plan: RecordPlan, shown: Callable[..., None]
) -> int:
    observation, info = env.reset(seed=plan.seed)
    recorder.write([maker.reset(observation, info)])
    begun, steps, done = np.zeros(env.num_envs, np.int64), 0, env.num_envs
    try:
        while done < plan.num_steps:
            steps += 1
            action = act(env, observation, info, (steps - 1 - begun) * maker.spec.tick_s)
            observation, reward, terminated, truncated, info = env.step(action)
            recorder.write(maker.step(action, observation, reward, terminated, truncated, info))
            begun[to_host(terminated) | to_host(truncated)] = steps
            done += env.num_envs
            shown(done, plan.num_steps)
    except KeyboardInterrupt:
        pass  # the recording ends here, whole
    return done
