"""Rough ground of the quadruped: low slabs to climb, and crates along a free corridor for lidar and camera to see.

The layout is drawn once from a fixed seed and shared by all lanes; each episode starts somewhere else on it. That is
the cheap way to give every lane other ground: moving geoms per lane would need per-lane positions, sizes and bounding
volumes in the engine, and each lane's own broad phase; a start position costs nothing.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np

from embodied_envs.robots.parts import add_ground, add_light

__all__ = ["START_X_M", "START_Y_M", "add_terrain", "ground_height", "terrain_geoms"]

GROUND_HALF_SIZE_M = (32.0, 14.0)  # finite: an endless plane costs ten times the drawing time, and rays see its edge
START_X_M = (-12.0, 0.0)
START_Y_M = (-0.8, 0.8)
FRICTION = 0.9

_LAYOUT_SEED = 4
_NUM_SLABS = 40
_NUM_CRATES = 20
_SLAB_X_M = (-11.5, 17.0)
_SLAB_Y_M = (-1.6, 1.6)
_SLAB_HALF_M = ((0.2, 0.5), (0.7, 1.4))  # along x, along y
_SLAB_HEIGHT_M = (0.01, 0.045)
_CRATE_X_M = (-15.0, 19.0)
_CRATE_Y_M = (1.6, 3.8)  # either side: the corridor itself stays free
_CRATE_HALF_M = (0.15, 0.45)
_CRATE_HEIGHT_M = (0.45, 1.1)


@dataclass(frozen=True)
class _Boxes:
    """Boxes that stand on the plane z = 0: centres [box, 2], half sizes [box, 2] and heights [box], in m."""

    centre_m: np.ndarray
    half_m: np.ndarray
    height_m: np.ndarray


@lru_cache(maxsize=1)
def _layout() -> tuple[_Boxes, _Boxes]:
    """Return slabs and crates."""
    generator = np.random.default_rng(_LAYOUT_SEED)
    slabs = _Boxes(
        np.stack([_spread(_SLAB_X_M, _NUM_SLABS, generator), generator.uniform(*_SLAB_Y_M, _NUM_SLABS)], axis=1),
        np.stack([generator.uniform(*limits, _NUM_SLABS) for limits in _SLAB_HALF_M], axis=1),
        generator.uniform(*_SLAB_HEIGHT_M, _NUM_SLABS),
    )
    side = np.where(np.arange(_NUM_CRATES) % 2, 1.0, -1.0)
    crates = _Boxes(
        np.stack(
            [_spread(_CRATE_X_M, _NUM_CRATES, generator), side * generator.uniform(*_CRATE_Y_M, _NUM_CRATES)], axis=1
        ),
        generator.uniform(*_CRATE_HALF_M, (_NUM_CRATES, 2)),
        generator.uniform(*_CRATE_HEIGHT_M, _NUM_CRATES),
    )
    return slabs, crates


def _spread(limits_m: tuple[float, float], number: int, generator: np.random.Generator) -> np.ndarray:
    """Return places [number] about evenly spaced between two limits, each moved by up to half a gap."""
    gap_m = (limits_m[1] - limits_m[0]) / (number - 1)
    return np.linspace(*limits_m, number) + gap_m * generator.uniform(-0.5, 0.5, number)


def add_terrain(spec: mujoco.MjSpec) -> None:
    """Add ground, light, slabs named `slab<i>` and crates named `crate<i>`."""
    add_ground(spec, GROUND_HALF_SIZE_M, FRICTION)
    add_light(spec)
    slabs, crates = _layout()
    _add_boxes(spec, "slab", slabs, dark=(0.42, 0.36, 0.28), light=(0.72, 0.62, 0.45))
    _add_boxes(spec, "crate", crates, dark=(0.60, 0.16, 0.12), light=(0.15, 0.35, 0.75))


def _add_boxes(spec: mujoco.MjSpec, name: str, boxes: _Boxes, dark: tuple, light: tuple) -> None:
    shades = np.linspace(dark, light, len(boxes.height_m))
    for index, (centre, half, height, rgb) in enumerate(
        zip(boxes.centre_m, boxes.half_m, boxes.height_m, shades, strict=True)
    ):
        # priority: like the plane's, the box's friction alone decides.
        spec.worldbody.add_geom(
            name=f"{name}{index}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=[*centre, height / 2],
            size=[*half, height / 2], friction=[FRICTION, 0.005, 0.0001], priority=1, rgba=[*rgb, 1.0],
        )  # fmt: skip


def terrain_geoms(model: mujoco.MjModel) -> np.ndarray:
    """Return the numbers of all geoms that a foot may stand on or bump into."""
    return np.flatnonzero(model.geom_bodyid == 0)


def ground_height(points_m: np.ndarray) -> np.ndarray:
    """Return the height of the slabs under points [..., 2], 0 beside them, [...]."""
    slabs, _ = _layout()
    # Axis by axis: a reduction over a last axis of two is slow.
    near = [np.abs(points_m[..., axis, None] - slabs.centre_m[:, axis]) <= slabs.half_m[:, axis] for axis in (0, 1)]
    return (slabs.height_m * (near[0] & near[1])).max(axis=-1)
