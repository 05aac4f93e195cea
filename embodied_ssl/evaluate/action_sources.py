"""How the robots of the probe set act: one open-loop action sequence an episode, by kind of episode.

A kind is a function in `KINDS`. Sequences recorded from trained policies become one more entry here: a function that
returns the recorded actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

TIME_CONSTANTS_TICKS = (2.0, 4.0, 8.0, 16.0)
GAIT_HZ = (0.8, 3.0)

ActionSource = Callable[[int, int, float, np.random.Generator], np.ndarray]
"""(ticks T, action values A, control rate in Hz, generator) -> actions (T, A) in [-1, 1]."""


def coloured_noise(num_ticks: int, action_size: int, control_hz: float, generator: np.random.Generator) -> np.ndarray:
    """Return a stationary AR(1) process of one of several time constants, with a scale of its own per episode."""
    rho = math.exp(-1.0 / generator.choice(TIME_CONSTANTS_TICKS))
    scale = generator.uniform(0.4, 1.0)
    noise = generator.standard_normal((num_ticks, action_size))
    value, actions = generator.standard_normal(action_size), np.empty((num_ticks, action_size))
    for tick in range(num_ticks):
        actions[tick] = value
        value = rho * value + math.sqrt(1 - rho**2) * noise[tick]
    return np.clip(scale * actions, -1, 1)


def uniform_random(num_ticks: int, action_size: int, control_hz: float, generator: np.random.Generator) -> np.ndarray:
    """Return independent uniform actions."""
    return generator.uniform(-1, 1, (num_ticks, action_size))


def scripted_gait(num_ticks: int, action_size: int, control_hz: float, generator: np.random.Generator) -> np.ndarray:
    """Return one rhythm in all joints, each with its own phase and swing: repetitive, as trained policies are."""
    frequency_hz = generator.uniform(*GAIT_HZ)
    phase = generator.uniform(0, 2 * math.pi, action_size)
    swing = generator.uniform(0.3, 1.0, action_size)
    angle = 2 * math.pi * frequency_hz * np.arange(num_ticks)[:, None] / control_hz
    return np.clip(swing * np.sin(angle + phase) + generator.normal(0, 0.1, (num_ticks, action_size)), -1, 1)


KINDS: dict[str, ActionSource] = {
    "coloured": coloured_noise,
    "uniform": uniform_random,
    "gait": scripted_gait,
}

PATTERN = ("coloured", "uniform", "coloured", "gait")
"""Kinds of episodes 0, 1, 2, 3, and again: half coloured noise, a quarter uniform, a quarter gait, in every split."""


def action_sequences(
    kinds: tuple[str, ...], num_ticks: int, action_size: int, control_hz: float, seed: int
) -> np.ndarray:
    """Return the actions of all episodes.

    Args:
        kinds: kind of each episode, keys of `KINDS`.
        num_ticks: T.
        action_size: A.
        control_hz: control rate.
        seed: each episode draws from a generator of its own, seeded by this and its number.

    Returns:
        ``(T, num_episodes, A)`` float32 in [-1, 1].
    """
    sequences = [
        KINDS[kind](num_ticks, action_size, control_hz, np.random.default_rng([seed, episode]))
        for episode, kind in enumerate(kinds)
    ]
    return np.stack(sequences, axis=1).astype(np.float32)
