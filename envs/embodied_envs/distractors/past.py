"""The last readings of a sensor, for faults that show old ones."""

from __future__ import annotations

import numpy as np

__all__ = ["Past"]


class Past:
    """Rings of observation entries [slot, lane, ...], made when an entry is first seen."""

    def __init__(self, num_ticks: int) -> None:
        """Keep the present and `num_ticks` older readings."""
        self._num_slots = num_ticks + 1
        self._rings: dict[str, np.ndarray] = {}

    def keep(self, name: str, values: np.ndarray, lanes: np.ndarray, tick: np.ndarray) -> None:
        """Store what the masked lanes [lane] read at their ticks [lane]."""
        if name not in self._rings:
            self._rings[name] = np.zeros((self._num_slots, *values.shape), values.dtype)
        rows = np.flatnonzero(lanes)
        self._rings[name][tick[rows] % self._num_slots, rows] = values[rows]

    def at(self, name: str, lanes: np.ndarray, tick: np.ndarray) -> np.ndarray:
        """Return what the lanes numbered `lanes` [n] read at ticks [n]."""
        return self._rings[name][tick % self._num_slots, lanes]

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the rings."""
        return {f"past/{name}": ring.copy() for name, ring in self._rings.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned; other entries of `state` are left alone."""
        self._rings = {
            name.removeprefix("past/"): np.array(ring) for name, ring in state.items() if name.startswith("past/")
        }
