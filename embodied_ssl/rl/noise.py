"""Exploration noise that stays similar from tick to tick, so that a robot moves instead of trembling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

# tanh(0.851 x) is close to 2 Phi(x) - 1: the actions of a standard normal x spread almost evenly over [-1, 1].
UNIFORM_GAIN = 0.851


class ColouredNoise:
    """A stationary AR(1) process per lane and action value, ``x' = rho x + sqrt(1 - rho^2) e``, ``rho = exp(-1/tau)``.

    `sample` gives actions to collect with; `sample_normal` is the process itself, unit normal at every tick. Correlated
    noise explores better than white: Eberhard et al. 2023, "Pink noise is all you need" (ICLR); AR(1) instead of 1/f,
    since its state is one value and so resumes exactly.
    """

    def __init__(
        self, num_lanes: int, action_size: int, rng: np.random.Generator, time_constant_ticks: float = 4.0
    ) -> None:
        """Draw a start from the stationary distribution.

        Args:
            num_lanes: number of robots ``N``.
            action_size: number of action values ``A``.
            rng: source of all draws; owned by this object from now on.
            time_constant_ticks: ``tau``, ticks after which the correlation has fallen to 1/e; 0 is white noise.
        """
        self._rng = rng
        self._rho = math.exp(-1.0 / time_constant_ticks) if time_constant_ticks > 0 else 0.0
        self._value = rng.standard_normal((num_lanes, action_size), dtype=np.float32)

    def sample_normal(self) -> np.ndarray:
        """Advance one tick and return ``(N, A)`` float32, each value standard normal."""
        fresh = self._rng.standard_normal(self._value.shape, dtype=np.float32)
        gain = np.float32(math.sqrt(1.0 - self._rho**2))
        self._value = np.float32(self._rho) * self._value + gain * fresh
        return self._value.copy()

    def sample(self) -> np.ndarray:
        """Advance one tick and return actions ``(N, A)`` float32 in [-1, 1], almost uniform at every tick."""
        return np.tanh(np.float32(UNIFORM_GAIN) * self.sample_normal())

    def state(self) -> dict[str, Any]:
        """Return what an exact resume needs, JSON-able for NumPy's default bit generator."""
        return {"value": self._value.tolist(), "rng": self._rng.bit_generator.state}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._value = np.asarray(state["value"], np.float32).reshape(self._value.shape)
        self._rng.bit_generator.state = state["rng"]
