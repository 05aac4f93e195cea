"""Which segments a full memory keeps: a uniform sample of all that were ever offered (Vitter 1985, Algorithm R)."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Keeper(Protocol):
    """Decides which slot an offered segment takes."""

    wants_features: bool
    """Whether `place` is given features."""

    def place(self, num_offered: int, features: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
        """Return a slot ``(n,)`` for each offered segment in turn, -1: not kept. A later one may displace an earlier.

        Args:
            num_offered: n.
            features: ``(n, D)`` of the segments, when ``wants_features``.
            rng: source of chance.
        """
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of an exact restore."""
        ...

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore `state`."""
        ...


class KeepRandom:
    """After n offers every one of them is in memory with chance ``slots / n``."""

    wants_features = False

    def __init__(self, num_slots: int) -> None:
        """Start with nothing offered."""
        self.num_slots, self.num_offered = num_slots, 0

    def place(self, num_offered: int, features: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
        """Return slots ``(n,)``, -1: not kept."""
        number = self.num_offered + np.arange(num_offered)
        self.num_offered += num_offered
        slot = np.where(number < self.num_slots, number, rng.integers(number + 1))
        return np.where(slot < self.num_slots, slot, -1)

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of an exact restore."""
        return {"num_offered": np.array(self.num_offered)}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore `state`."""
        self.num_offered = int(state["num_offered"])
