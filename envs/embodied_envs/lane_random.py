"""Random generators of the lanes: each lane owns its own, so no lane's draws depend on another lane."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["MOST_DRAWN", "LaneRandom"]

_BLOCK_TICKS = 16  # normals drawn ahead at once: one call per lane and block instead of one per lane and tick

MOST_DRAWN = 64
_TABLE_SIZE = 2**19
_TABLE_SEED = 20260211  # any constant: the table is the same in every process


@functools.cache
def _table() -> np.ndarray:
    """Return 2 MiB of standard normals, made once per process.

    A normal costs 5 to 11 ns to draw, which for a robot with touch images or sound would be a tenth of its physics.
    Salimans et al. 2017 (arXiv:1703.03864, section 2.1) read noise at random places of a shared table; here each lane
    and tick draws its own place, so noise is white, and repeats only when two places overlap.
    """
    return np.random.default_rng(_TABLE_SEED).standard_normal(_TABLE_SIZE, dtype=np.float32)


class LaneRandom:
    """Four generators per lane: `resets` (start state, dynamics), `noises` (sensors), `distractions` and `cameras`."""

    def __init__(self, num_lanes: int) -> None:
        """Seed all lanes from the operating system; call `seed` for reproducible lanes."""
        self._num_lanes = num_lanes
        self.resets: list[np.random.Generator] = [np.random.default_rng(0)] * num_lanes
        self.noises: list[np.random.Generator] = [np.random.default_rng(0)] * num_lanes
        self.distractions: list[np.random.Generator] = [np.random.default_rng(0)] * num_lanes
        self.cameras: list[np.random.Generator] = [np.random.default_rng(0)] * num_lanes
        self._ahead = np.zeros((num_lanes, _BLOCK_TICKS, 0), np.float32)
        self._used = np.full(num_lanes, _BLOCK_TICKS)
        self.seed(None, np.ones(num_lanes, bool))

    def seed(self, seed: int | Sequence[int] | None, lanes: np.ndarray) -> None:
        """Reseed the lanes where the mask `lanes` [lane] is true.

        Args:
            lanes: mask [lane]; it does not change which seed a lane gets.
            seed: one integer, whose i-th child sequence seeds lane i whatever the number of lanes; or one integer per
                lane, each giving the lane what a single-lane run with that seed has; None asks the operating system.

        Raises:
            ValueError: a sequence of another length than the number of lanes.
        """
        children = self._children(seed)
        self._used[lanes] = _BLOCK_TICKS
        for lane in np.flatnonzero(lanes):
            for kind, child in zip(self._kinds(), children[lane].spawn(4), strict=True):
                kind[lane] = np.random.default_rng(child)

    def _kinds(self) -> tuple[list[np.random.Generator], ...]:
        return self.resets, self.noises, self.distractions, self.cameras

    def _children(self, seed: int | Sequence[int] | None) -> list[np.random.SeedSequence]:
        if seed is None or isinstance(seed, int | np.integer):
            return np.random.SeedSequence(seed).spawn(self._num_lanes)
        if len(seed) != self._num_lanes:
            raise ValueError(f"got {len(seed)} seeds, expected one integer or {self._num_lanes} (one per lane)")
        return [np.random.SeedSequence(lane_seed).spawn(1)[0] for lane_seed in seed]

    def normals(self, lanes: np.ndarray, num_values: int) -> np.ndarray:
        """Return standard normals [lane, num_values] float32 of the `noises` generators.

        Args:
            lanes: mask [lane]; only these draw, the others get 0.
            num_values: the same at every call. Above `MOST_DRAWN` a lane draws a place in a table of normals instead.
        """
        self._draw_ahead(lanes, num_values)
        now = np.minimum(self._used, _BLOCK_TICKS - 1)
        draws = self._ahead[np.arange(self._num_lanes), now]
        self._used[lanes] += 1
        if num_values > MOST_DRAWN:
            draws = sliding_window_view(_table(), num_values)[draws[:, 0].astype(np.int64)]
        return draws if lanes.all() else draws * lanes[:, None]

    def _draw_ahead(self, lanes: np.ndarray, num_values: int) -> None:
        """Refill the blocks of the masked lanes that have used theirs up."""
        from_table = num_values > MOST_DRAWN
        shape = (self._num_lanes, _BLOCK_TICKS, 1 if from_table else num_values)
        if self._ahead.shape != shape:
            self._ahead = np.zeros(shape, np.int64 if from_table else np.float32)
            self._used[:] = _BLOCK_TICKS
        for lane in np.flatnonzero(lanes & (self._used == _BLOCK_TICKS)):
            if from_table:
                self._ahead[lane] = self.noises[lane].integers(_TABLE_SIZE - num_values, size=shape[1:])
            else:
                self.noises[lane].standard_normal(dtype=np.float32, out=self._ahead[lane])
            self._used[lane] = 0

    def get_state(self) -> dict[str, Any]:
        """Return the generators' states as JSON-able dictionaries, and the normals drawn ahead."""
        generators = [[one.bit_generator.state for one in lane] for lane in zip(*self._kinds(), strict=True)]
        return {"random": generators, "random.ahead": self._ahead.copy(), "random.used": self._used.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned; other entries of `state` are left alone."""
        for lane, states in enumerate(state["random"]):
            for kind, generator_state in zip(self._kinds(), states, strict=True):
                kind[lane].bit_generator.state = generator_state
        self._ahead, self._used = np.array(state["random.ahead"]), np.array(state["random.used"])
