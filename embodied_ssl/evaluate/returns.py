"""Return of a policy and of random actions, in fresh envs with a stream of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.errors import SpecError
from embodied_ssl.learner.snapshots import Snapshot
from embodied_ssl.learner.stream import Stream
from embodied_ssl.sources.simulation import TickMaker

RETURN_SEED = 20_011
MAX_TICKS = 2_000
"""Episodes are cut here, so that an env without an end cannot hold up the evaluation."""

Policy = Callable[[Tensor], Tensor]
"""Embeddings (N, D) -> actions (N, A) in [-1, 1], deterministic."""


@dataclass(frozen=True)
class _Published:
    """A publisher that has one version for ever."""

    snapshot: Snapshot


def policy_returns(env: VectorEnv, encoder: StreamEncoder, policy: Policy, seed: int) -> np.ndarray:
    """Return the undiscounted return of the first episode of every lane, ``(N,)``.

    Args:
        env: a fresh vector env.
        encoder: what the policy sees through.
        policy: acts on the embedding.
        seed: of the env.
    """
    shape = WindowShape(encoder.context_ticks, 0)
    history = StreamBuffer(encoder.spec, env.num_envs, encoder.context_ticks + 1, (shape,))
    stream = Stream(env, encoder, _Published(Snapshot.of(encoder, version=0, updates=0)), history)
    stream.reset(*env.reset(seed=seed))

    def act() -> np.ndarray:
        with torch.inference_mode():
            return stream.ticks.to_env(policy(stream.embed()).numpy())

    return _first_returns(env, act, stream.observe)


def random_returns(env: VectorEnv, seed: int) -> np.ndarray:
    """Return the undiscounted return of the first episode of every lane under uniform actions, ``(N,)``."""
    generator, ticks = np.random.default_rng([RETURN_SEED, seed]), TickMaker(env)
    size = (env.num_envs, ticks.spec.action_size)
    env.reset(seed=seed)
    return _first_returns(env, lambda: ticks.to_env(generator.uniform(-1, 1, size)), lambda *step: None)


def _first_returns(env: VectorEnv, act: Callable[[], np.ndarray], observe: Callable[..., None]) -> np.ndarray:
    if env.metadata.get("autoreset_mode") == AutoresetMode.DISABLED:
        raise SpecError("returns need an env that resets by itself; fix: autoreset_mode NEXT_STEP")
    total, running = np.zeros(env.num_envs), np.ones(env.num_envs, dtype=bool)
    for _ in range(MAX_TICKS):
        action = act()
        step = env.step(action)
        observe(action, *step)
        total += step[1] * running
        running &= ~(step[2] | step[3])
        if not running.any():
            break
    return total
