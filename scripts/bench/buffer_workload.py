"""The two workloads of the buffer benchmark, as plain arrays: what flows in, and what a window must hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CASES", "Case", "Flow", "num_legal"]


@dataclass(frozen=True)
class Case:
    """One workload.

    Attributes:
        lanes: N; one add is one tick of all of them.
        capacity_ticks: T.
        keys: shape and type of each key of a lane-step, reward and done apart.
        marks: the key whose features 0 and 1 hold the episode's number and the tick within it.
        offsets: ticks of a window, counted from its end.
        batch: windows of a sample.
    """

    name: str
    lanes: int
    capacity_ticks: int
    keys: dict[str, tuple[tuple[int, ...], str]]
    marks: str
    offsets: tuple[int, ...]
    batch: int

    @property
    def span(self) -> int:
        """Ticks from the first to the last of a window, both counted."""
        return 1 - self.offsets[0]

    @property
    def step_bytes(self) -> int:
        """Raw bytes of a lane-step."""
        return 5 + sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in self.keys.values())


CASES = {
    "pixels": Case(
        "pixels",
        8,
        6250,
        {
            "rgb": ((84, 84, 3), "uint8"),
            "proprio": ((24,), "float32"),
            "imu": ((6,), "float32"),
            "action": ((6,), "float32"),
        },
        "proprio",
        (-8, -7, -6, -5, 0),
        256,
    ),
    "vectors": Case(
        "vectors",
        64,
        15_625,
        {"obs": ((64,), "float32"), "action": ((12,), "float32")},
        "obs",
        tuple(range(-15, 1)),
        1024,
    ),
}


class Flow:
    """Ticks without end: frames made ahead and used again, episodes of 200 to 1,000 ticks, every tick marked."""

    def __init__(self, case: Case, seed: int, pool: int = 64) -> None:
        """Make the frames."""
        self.case, self.rng, lanes = case, np.random.default_rng(seed), case.lanes
        self.pool = [
            {name: self._frames(shape, kind, turn) for name, (shape, kind) in case.keys.items()} for turn in range(pool)
        ]
        self.reward = np.zeros(lanes, np.float32)
        self.episode = np.arange(lanes, dtype=np.float32)
        self.tick = np.zeros(lanes, np.float32)
        self.left = self.rng.integers(200, 1001, lanes)
        self.first, self.turn = np.ones(lanes, bool), 0

    def _frames(self, shape: tuple[int, ...], kind: str, turn: int) -> np.ndarray:
        size = (self.case.lanes, *shape)
        if kind != "uint8":
            return self.rng.standard_normal(size).astype(np.float32)
        waves = 127 + 80 * np.sin(np.arange(int(np.prod(size))).reshape(size) / 97 + turn / 3)
        return np.clip(waves + self.rng.normal(0, 3, size), 0, 255).astype(np.uint8)

    def next(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
        """Return keys, reward, which lanes begin an episode and which end one with this tick."""
        keys, first = self.pool[self.turn % len(self.pool)], self.first
        keys[self.case.marks][:, 0], keys[self.case.marks][:, 1] = self.episode, self.tick
        self.left = self.left - 1
        self.first = done = self.left == 0
        self.tick, self.turn = self.tick + 1, self.turn + 1
        if done.any():
            fresh = (self.episode.max() + 1 + np.arange(self.case.lanes)).astype(np.float32)
            self.episode, self.tick = np.where(done, fresh, self.episode), np.where(done, np.float32(0), self.tick)
            self.left = np.where(done, self.rng.integers(200, 1001, self.case.lanes), self.left)
        return keys, self.reward, first, done


def num_legal(case: Case, marks: np.ndarray) -> int:
    """Return how many of the windows whose marks ``(B, L, 2)`` were delivered are of one episode and in order."""
    offsets = np.asarray(case.offsets) - case.offsets[-1]
    same = (marks[:, :, 0] == marks[:, -1:, 0]).all(1)
    return int((same & (marks[:, :, 1] - marks[:, -1:, 1] == offsets).all(1)).sum())
