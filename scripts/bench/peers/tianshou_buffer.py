"""tianshou's vector buffer with frame stacking, and rejection as its users write it, from its own prev and next."""

# pyright: reportMissingImports=false
# (tianshou lives in another environment)
from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from buffer_workload import Case
from tianshou.data import Batch, VectorReplayBuffer

__all__ = ["System"]


class System:
    """`VectorReplayBuffer(ignore_obs_next=True)`: a stack that ends at the anchor, and one tick so many after it."""

    def __init__(self, case: Case) -> None:
        """Allocate; the storage does so at the first add."""
        self.case, self.rng = case, np.random.default_rng(0)
        gaps = np.flatnonzero(np.diff(case.offsets) > 1)
        self.stack = int(gaps[0]) + 1 if len(gaps) else len(case.offsets)
        self.ahead = case.span - self.stack
        size = case.capacity_ticks * case.lanes
        self.buffer = VectorReplayBuffer(size, case.lanes, stack_num=self.stack, ignore_obs_next=True)
        self.no, self.lanes = np.zeros(case.lanes, bool), np.arange(case.lanes)

    def add(self, keys: dict[str, np.ndarray], reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        """Add one tick of all lanes."""
        obs = Batch({name: value for name, value in keys.items() if name != "action"})
        step = Batch(obs=obs, act=keys["action"], rew=reward, terminated=done, truncated=self.no)
        step.obs_next = obs
        self.buffer.add(step, buffer_ids=self.lanes)

    def sync(self) -> None:
        """Nothing is under way."""

    def _draw(self) -> tuple[np.ndarray, np.ndarray]:
        found, missing = [], self.case.batch
        while missing > 0:
            anchor = self.buffer.sample_indices(missing)
            first, good = anchor, np.ones(len(anchor), bool)
            for _ in range(self.stack - 1):
                before = self.buffer.prev(first)
                good, first = good & (before != first), before
            last = anchor
            for _ in range(self.ahead):
                after = self.buffer.next(last)
                good, last = good & (after != last), after
            found.append(np.stack([anchor[good], last[good]]))
            missing -= int(good.sum())
        anchor, last = np.concatenate(found, 1)
        return anchor, last

    def sample(self) -> list[Any]:
        """Draw, reject and read."""
        anchor, last = self._draw()
        parts = [self.buffer.get(anchor, key) for key in ("obs", "act", "rew", "done")]
        return [*parts, self.buffer.get(last, "obs", stack_num=1)] if self.ahead else parts

    def kernels(self) -> list[Callable[[], Any]]:
        """Return the one way there is."""
        return [self.sample]

    def marks(self, batch: list[Any]) -> np.ndarray:
        """Return the marks."""
        marks = batch[0][self.case.marks][:, :, :2]
        return np.concatenate([marks, batch[-1][self.case.marks][:, None, :2]], 1) if self.ahead else marks

    def versions(self) -> dict[str, str]:
        """Return versions."""
        return {"tianshou": metadata.version("tianshou")}
