"""Frames by ray casting, without any graphics library: works in every container, the same pixels everywhere.

All lanes that need a frame are cast in one threaded `Batch.ray` call. Geoms are shaded by colour and normal. The ground
is the plane z = 0 (geom group 1 by convention), met in closed form and painted as a checker of world coordinates, so
that a moving robot sees it pass.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

__all__ = ["RayRenderer"]

GROUND_GROUP = 1
CELL_M = 0.5
GROUND = np.array([90.0, 102.0, 84.0], np.float32)
GROUND_CONTRAST = np.array([50.0, 51.0, 44.0], np.float32)  # light cells are GROUND + contrast, dark ones minus
SKY = np.array([0.0, 0.0, 0.0], np.float32)
LIGHT = np.array([-0.25, -0.50, 0.83], np.float32)  # unit vector towards the light
AMBIENT = 0.45
FAR_M = 12.0  # contrast fades to 0 there: farther cells are smaller than a pixel and would only flicker
_LANES_PER_CHUNK = 8  # keeps the shading arrays inside the processor's cache


class RayRenderer:
    """Casts one camera's rays in many lanes at once."""

    def __init__(self, model: mujoco.MjModel, camera: str, height: int, width: int) -> None:
        """Prepare the camera's ray directions and the geoms' colours."""
        self._camera = model.camera(camera).id
        self._shape = (height, width, 3)
        self._rays = _camera_rays(float(model.cam_fovy[self._camera]), height, width)
        self._colours = np.vstack([_geom_colours(model), SKY])  # geom -1, a miss, is the last row
        self._groups = np.ones(mujoco.mjNGROUP, np.uint8)
        self._groups[GROUND_GROUP] = 0

    def render(self, batch: Batch, lanes: np.ndarray) -> np.ndarray:
        """Return frames uint8 [lane in lanes, height, width, 3] of the lanes' present positions."""
        frames = np.empty((len(lanes), *self._shape), np.uint8)
        for name in ("cam_xpos", "cam_xmat"):
            batch.bind(name)  # a field is filled only by calls made after it was bound
        # After a step the camera pose is one substep old; this stage computes it anew and leaves the state alone.
        batch.forward(lanes, stage=mujoco.mjtStage.mjSTAGE_POS)
        for start in range(0, len(lanes), _LANES_PER_CHUNK):
            chunk = slice(start, start + _LANES_PER_CHUNK)
            frames[chunk] = self._render_chunk(batch, lanes[chunk]).reshape(-1, *self._shape)
        return frames

    def _render_chunk(self, batch: Batch, lanes: np.ndarray) -> np.ndarray:
        origin = batch.bind("cam_xpos")[lanes, self._camera][:, None, :]
        pose = batch.bind("cam_xmat")[lanes, self._camera].reshape(-1, 3, 3)
        directions = self._rays @ pose.transpose(0, 2, 1)
        distance, geom, normal = batch.ray(origin, directions, geomgroup=self._groups, ids=lanes, normal=True)
        pixels = self._shade(geom, normal)
        _paint_ground(pixels, origin, directions, np.where(geom < 0, np.inf, distance))
        return pixels

    def _shade(self, geom: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Return Lambert-shaded colours [lane, pixel, 3] float32; misses show the sky."""
        facing = np.maximum(normal.astype(np.float32) @ LIGHT, 0.0)
        return self._colours[geom] * (AMBIENT + (1.0 - AMBIENT) * facing)[:, :, None]

    def close(self) -> None:
        """Do nothing: there are no graphics resources."""


def _camera_rays(fovy_deg: float, height: int, width: int) -> np.ndarray:
    """Return unit ray directions [pixel, 3] in the camera frame (x right, y up, looking along -z), top row first."""
    half = np.tan(np.deg2rad(fovy_deg) / 2.0)
    rows = half * (1.0 - 2.0 * (np.arange(height) + 0.5) / height)
    columns = half * (width / height) * (2.0 * (np.arange(width) + 0.5) / width - 1.0)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    rays = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _geom_colours(model: mujoco.MjModel) -> np.ndarray:
    return 255.0 * model.geom_rgba[:, :3].astype(np.float32)


def _paint_ground(pixels: np.ndarray, origin: np.ndarray, directions: np.ndarray, occluder_m: np.ndarray) -> None:
    """Paint the checker in place where a ray meets z = 0 before `occluder_m` [lane, pixel]."""
    height, slope = origin[:, :, 2], directions[:, :, 2]
    seen = (slope < 0.0) & (height > 0.0) & (height < -slope * occluder_m)
    seen_lane, _ = np.nonzero(seen)
    seen_directions = directions[seen]
    distance = -height[seen_lane, 0] / seen_directions[:, 2]
    points = origin[seen_lane, 0, :2] + distance[:, None] * seen_directions[:, :2]
    odd = np.floor(points / CELL_M).sum(axis=1) % 2.0
    contrast = (1.0 - 2.0 * odd) * np.maximum(1.0 - distance / FAR_M, 0.0)
    pixels[seen] = GROUND + contrast.astype(np.float32)[:, None] * GROUND_CONTRAST
