"""Standard scores by each lane's own running mean and variance."""

from __future__ import annotations

import numpy as np

__all__ = ["RunningScore"]

_SLOWEST = 1.0 / 500.0  # after so many values the mean forgets exponentially
_LIMIT = 3.0


class RunningScore:
    """(value - mean) / standard deviation of what the lane has shown since it was forgotten, limited to 3."""

    def __init__(self, num_lanes: int) -> None:
        """Know nothing yet; a lane's first score is 0."""
        self._count, self._mean, self._variance = np.zeros(num_lanes), np.zeros(num_lanes), np.zeros(num_lanes)

    def forget(self, lanes: np.ndarray) -> None:
        """Know nothing of the masked lanes [lane] any more."""
        self._count[lanes] = self._mean[lanes] = self._variance[lanes] = 0.0

    def of(self, values: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        """Take in values [lane] of the masked lanes [lane], and return the scores [lane]."""
        self._count += lanes
        rate = np.where(lanes, np.maximum(1.0 / np.maximum(self._count, 1.0), _SLOWEST), 0.0)
        delta = values - self._mean
        self._mean += rate * delta
        self._variance = (1.0 - rate) * (self._variance + rate * delta**2)
        deviation = np.sqrt(self._variance)
        score = np.divide(values - self._mean, deviation, out=np.zeros(len(values)), where=deviation > 1e-12)
        return np.clip(score, -_LIMIT, _LIMIT)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return counts, means and variances."""
        return {"count": self._count.copy(), "mean": self._mean.copy(), "variance": self._variance.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned; other entries of `state` are left alone."""
        self._count[...], self._mean[...] = state["count"], state["mean"]
        self._variance = np.array(state["variance"])
