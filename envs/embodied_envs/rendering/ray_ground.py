"""The ground of ray-cast frames: the plane z = 0, met in closed form, a checker of world coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["GroundHits", "checker", "ground_among", "meet_ground"]

CELL_M = 0.5
GROUND = np.array([90.0, 102.0, 84.0], np.float32)
GROUND_CONTRAST = np.array([50.0, 51.0, 44.0], np.float32)  # light cells are GROUND + contrast, dark ones minus
FAR_M = 12.0  # contrast fades to 0 there: farther cells are smaller than a pixel and would only flicker


@dataclass(frozen=True)
class GroundHits:
    """Rays that meet the ground first.

    Attributes:
        seen: bool [lane, ray].
        lane: lane row of each such ray [hit].
        distance_m: along the ray [hit].
        points: x and y in the world [hit, 2].
    """

    seen: np.ndarray
    lane: np.ndarray
    distance_m: np.ndarray
    points: np.ndarray


def meet_ground(origin: np.ndarray, directions: np.ndarray, occluder_m: np.ndarray) -> GroundHits:
    """Find where rays meet z = 0 before something else does.

    Args:
        origin: [lane, 1, 3].
        directions: unit vectors [lane, ray, 3].
        occluder_m: distance to the nearest other thing [lane, ray], infinite if there is none.
    """
    height, slope = origin[:, :, 2], directions[:, :, 2]
    seen = (slope < 0.0) & (height > 0.0) & (height < -slope * occluder_m)
    lane, _ = np.nonzero(seen)
    seen_directions = directions[seen]
    distance = -height[lane, 0] / seen_directions[:, 2]
    points = origin[lane, 0, :2] + distance[:, None] * seen_directions[:, :2]
    return GroundHits(seen, lane, distance, points)


def ground_among(
    origin: np.ndarray, directions: np.ndarray, distance_m: np.ndarray, is_ground: np.ndarray
) -> GroundHits:
    """Return the ground's share of rays that were cast: `distance_m` and `is_ground` are [lane, ray]."""
    lane, _ = np.nonzero(is_ground)
    distance = distance_m[is_ground]
    points = origin[lane, 0, :2] + distance[:, None] * directions[is_ground][:, :2]
    return GroundHits(is_ground, lane, distance, points)


def checker(hits: GroundHits) -> np.ndarray:
    """Return the colour [hit, 3] of each hit."""
    odd = np.floor(hits.points / CELL_M).sum(axis=1) % 2.0
    contrast = (1.0 - 2.0 * odd) * np.maximum(1.0 - hits.distance_m / FAR_M, 0.0)
    return GROUND + contrast.astype(np.float32)[:, None] * GROUND_CONTRAST
