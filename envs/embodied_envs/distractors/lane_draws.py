"""Random numbers of all lanes at once, each lane's from its own generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embodied_envs.distractors.base import Generators

__all__ = ["LaneDraws", "normals", "uniforms"]

_BLOCK_TICKS = 32  # drawn ahead at once: one call per lane and block instead of one per lane and tick

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def normals(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return standard normals."""
    return generator.standard_normal(shape)


def uniforms(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return uniform numbers in [0, 1)."""
    return generator.random(shape)


class LaneDraws:
    """A few numbers per lane and tick; what other lanes do changes none of a lane's."""

    def __init__(self, num_lanes: int, num_values: int, draw: Draw) -> None:
        """Draw nothing yet.

        Args:
            num_lanes: number of lanes.
            num_values: numbers per lane and tick.
            draw: `normals` or `uniforms`.
        """
        self._draw = draw
        self._block = np.zeros((num_lanes, _BLOCK_TICKS, num_values))
        self._used = np.full(num_lanes, _BLOCK_TICKS)
        self._lanes = np.arange(num_lanes)

    def forget(self, lanes: np.ndarray) -> None:
        """Discard what was drawn ahead for the masked lanes [lane]: their generators may have been seeded anew."""
        self._used[lanes] = _BLOCK_TICKS

    def next(self, lanes: np.ndarray, generators: Generators) -> np.ndarray:
        """Return the next numbers [lane, value]; lanes outside the mask [lane] draw nothing and get 0."""
        for lane in np.flatnonzero(lanes & (self._used == _BLOCK_TICKS)).tolist():
            self._block[lane] = self._draw(generators[lane], self._block.shape[1:])
            self._used[lane] = 0
        values = self._block[self._lanes, np.minimum(self._used, _BLOCK_TICKS - 1)] * lanes[:, None]
        self._used += lanes
        return values

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the numbers drawn ahead."""
        return {"ahead": self._block.copy(), "used": self._used.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned; other entries of `state` are left alone."""
        self._block[...] = state["ahead"]
        self._used[...] = state["used"]
