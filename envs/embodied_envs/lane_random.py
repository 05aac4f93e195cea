"""Random generators of the lanes: each lane owns its own, so no lane's draws depend on another lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["LaneRandom"]


class LaneRandom:
    """Two generators per lane: one for resets (start state, dynamics), one for sensor noise."""

    def __init__(self, num_lanes: int) -> None:
        """Seed all lanes from the operating system; call `seed` for reproducible lanes."""
        self._num_lanes = num_lanes
        self.resets: list[np.random.Generator] = [np.random.default_rng(0)] * num_lanes
        self.noises: list[np.random.Generator] = [np.random.default_rng(0)] * num_lanes
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
        for lane in np.flatnonzero(lanes):
            reset, noise = children[lane].spawn(2)
            self.resets[lane], self.noises[lane] = np.random.default_rng(reset), np.random.default_rng(noise)

    def _children(self, seed: int | Sequence[int] | None) -> list[np.random.SeedSequence]:
        if seed is None or isinstance(seed, int | np.integer):
            return np.random.SeedSequence(seed).spawn(self._num_lanes)
        if len(seed) != self._num_lanes:
            raise ValueError(f"got {len(seed)} seeds, expected one integer or {self._num_lanes} (one per lane)")
        return [np.random.SeedSequence(lane_seed).spawn(1)[0] for lane_seed in seed]

    def normals(self, lanes: np.ndarray, num_values: int) -> np.ndarray:
        """Return standard normals [lane, num_values] float32; only lanes where `lanes` is true draw, others get 0."""
        draws = np.zeros((self._num_lanes, num_values), np.float32)
        for draw, generator, row in zip(lanes.tolist(), self.noises, draws, strict=True):
            if draw:
                generator.standard_normal(dtype=np.float32, out=row)
        return draws

    def get_state(self) -> list[dict[str, Any]]:
        """Return every lane's generator states as JSON-able dictionaries."""
        pairs = zip(self.resets, self.noises, strict=True)
        return [{"reset": r.bit_generator.state, "noise": n.bit_generator.state} for r, n in pairs]

    def set_state(self, state: list[dict[str, Any]]) -> None:
        """Restore what `get_state` returned."""
        for lane, entry in enumerate(state):
            self.resets[lane].bit_generator.state = entry["reset"]
            self.noises[lane].bit_generator.state = entry["noise"]
