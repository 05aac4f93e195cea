"""Statistics of features as LeRobot keeps them: min, max, mean, standard deviation and count, of finite values only."""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_PICTURES = 64
"""Pictures of an episode that are looked at."""


class Stats:
    """Running statistics of one feature over its first axis."""

    def __init__(self, is_camera: bool) -> None:
        """Start empty."""
        self._is_camera, self.count = is_camera, 0
        self._sums: np.ndarray | None = None
        self._limits = np.zeros(0)

    def add(self, rows: np.ndarray) -> None:
        """Take in rows ``(n, size)``, or pictures ``(n, H, W, 3)`` uint8, which count as 0 to 1 by channel."""
        values = rows.reshape(-1, 3) / 255.0 if self._is_camera else rows.astype(np.float64)
        finite = np.isfinite(values)
        kept = np.where(finite, values, 0.0)
        sums = np.stack([finite.sum(0), kept.sum(0), (kept**2).sum(0)])
        limits = np.stack([np.where(finite, values, np.inf).min(0), np.where(finite, values, -np.inf).max(0)])
        self._take(sums, limits, len(rows))

    def merge(self, other: Stats) -> None:
        """Take in the statistics of more rows."""
        if other._sums is not None:
            self._take(other._sums, other._limits, other.count)

    def _take(self, sums: np.ndarray, limits: np.ndarray, count: int) -> None:
        if self._sums is not None:
            sums = sums + self._sums
            limits = np.stack([np.minimum(limits[0], self._limits[0]), np.maximum(limits[1], self._limits[1])])
        self._sums, self._limits, self.count = sums, limits, self.count + count

    def to_json(self) -> dict[str, list[Any]]:
        """Return the five statistics as lists, by channel ``(3, 1, 1)`` for pictures; 0 where nothing was finite."""
        sums = np.zeros((3, 1)) if self._sums is None else self._sums
        limits = np.where(sums[0] > 0, self._limits, 0.0) if self._sums is not None else np.zeros((2, 1))
        points = np.maximum(sums[0], 1)
        mean = sums[1] / points
        std = np.sqrt(np.maximum(sums[2] / points - mean**2, 0.0))
        table = {"min": limits[0], "max": limits[1], "mean": mean, "std": std}
        shape = (3, 1, 1) if self._is_camera and self._sums is not None else (-1,)
        return {**{key: value.reshape(shape).tolist() for key, value in table.items()}, "count": [self.count]}
