"""Faults that come and go: on for a while, off for a while."""

from __future__ import annotations

import numpy as np

from embodied_envs.distractors.base import Generators
from embodied_envs.distractors.lane_draws import LaneDraws, uniforms

__all__ = ["Bursts"]


class Bursts:
    """A two-state chain per lane, on during the fraction `share` of time, for `mean_ticks` on average."""

    def __init__(self, num_lanes: int, share: float, mean_ticks: float) -> None:
        """Start off everywhere."""
        self.on = np.zeros(num_lanes, bool)
        self._end = 1.0 / mean_ticks
        self._start = self._end * share / (1.0 - share)
        self._draws = LaneDraws(num_lanes, 1, uniforms)

    def reset(self, lanes: np.ndarray) -> None:
        """Switch off in the masked lanes [lane]."""
        self.on[lanes] = False
        self._draws.forget(lanes)

    def advance(self, lanes: np.ndarray, generators: Generators) -> None:
        """Go on by one tick in the masked lanes [lane]."""
        chance = self._draws.next(lanes, generators)[:, 0]
        following = np.where(self.on, chance >= self._end, chance < self._start)
        self.on[lanes] = following[lanes]

    def get_state(self) -> dict[str, np.ndarray]:
        """Return which lanes are on, and the numbers drawn ahead."""
        return {"on": self.on.copy()} | self._draws.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned; other entries of `state` are left alone."""
        self.on[...] = state["on"]
        self._draws.set_state(state)
