"""The floor: an array a key, rejection on run lengths, one gather a key; the better of two gather kernels counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from buffer_workload import Case

__all__ = ["System"]


class System:
    """``[T, N, ...]`` per key and an int32 ``[T, N]`` of ticks since the episode began; nothing else."""

    def __init__(self, case: Case) -> None:
        """Allocate and touch."""
        self.case, self.count, self.rng = case, 0, np.random.default_rng(0)
        kinds = case.keys | {"reward": ((), "float32"), "done": ((), "bool")}
        size = (case.capacity_ticks, case.lanes)
        self.arrays = {name: np.empty((*size, *shape), dtype) for name, (shape, dtype) in kinds.items()}
        for array in self.arrays.values():
            array.fill(0)
        self.flat = {name: torch.from_numpy(a).flatten(0, 1) for name, a in self.arrays.items()}
        self.run, self.age = np.zeros(size, np.int32), np.zeros(case.lanes, np.int32)
        self.offsets = np.asarray(case.offsets)

    def add(self, keys: dict[str, np.ndarray], reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        """Write one tick."""
        slot = self.count % self.case.capacity_ticks
        for name, rows in keys.items():
            self.arrays[name][slot] = rows
        self.arrays["reward"][slot], self.arrays["done"][slot] = reward, done
        self.age = np.where(first, 0, self.age + 1).astype(np.int32)
        self.run[slot] = self.age
        self.count += 1

    def sync(self) -> None:
        """Nothing is under way."""

    def _draw(self) -> np.ndarray:
        case = self.case
        stored = min(self.count, case.capacity_ticks)
        found: list[np.ndarray] = []
        missing = case.batch
        while missing > 0:
            back = self.rng.integers(stored - case.span + 1, size=missing)
            lane = self.rng.integers(case.lanes, size=missing)
            end = self.count - 1 - back
            good = self.run[end % case.capacity_ticks, lane] >= case.span - 1
            ticks = (end[good, None] + self.offsets) % case.capacity_ticks
            found.append(ticks * case.lanes + lane[good, None])
            missing -= int(good.sum())
        return np.concatenate(found).ravel()

    def sample(self) -> dict[str, torch.Tensor]:
        """Gather with torch's index_select."""
        at = torch.from_numpy(self._draw())
        return {name: flat.index_select(0, at) for name, flat in self.flat.items()}

    def _take(self) -> dict[str, np.ndarray]:
        at = self._draw()
        return {name: np.take(flat.numpy(), at, axis=0, mode="clip") for name, flat in self.flat.items()}

    def kernels(self) -> list[Callable[[], Any]]:
        """Return both ways to gather."""
        return [self.sample, self._take]

    def marks(self, batch: dict[str, torch.Tensor]) -> np.ndarray:
        """Return the marks."""
        return batch[self.case.marks].view(-1, len(self.offsets), batch[self.case.marks].shape[-1]).numpy()[:, :, :2]

    def versions(self) -> dict[str, str]:
        """Return versions."""
        return {"torch": torch.__version__, "numpy": np.__version__}
