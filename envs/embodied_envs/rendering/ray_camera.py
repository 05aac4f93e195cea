"""Ray directions of the lanes' cameras."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.rendering.view import View

__all__ = ["RayCamera"]


class RayCamera:
    """One pinhole camera: rays [pixel, 3] in its frame (x right, y up, looking along -z), top row first."""

    def __init__(self, model: mujoco.MjModel, view: View) -> None:
        """Prepare the pixel grid.

        Raises:
            ValueError: an orthographic camera or one with lens intrinsics, which rays do not have.
        """
        self._camera = model.camera(view.camera).id
        if model.cam_projection[self._camera] != mujoco.mjtProjection.mjPROJ_PERSPECTIVE:
            raise ValueError(
                f"camera {view.camera!r} is orthographic, expected a perspective one; fix: an OpenGL back end"
            )
        if model.cam_sensorsize[self._camera].any():
            raise ValueError(f"camera {view.camera!r} has lens intrinsics, expected fovy; fix: an OpenGL back end")
        self._grid = _image_plane(view.height, view.width)
        self._rays = _unit_rays(self._grid, float(model.cam_fovy[self._camera]))

    def cast(self, batch: Batch, lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the lanes' rays: origins [lane, 1, 3], unit directions [lane, pixel, 3], cosines [lane or 1, pixel].

        A cosine is that of the angle between a ray and the optical axis.

        The camera poses must be current and bound, see `RayRenderer.render`.
        """
        origin = batch.bind("cam_xpos")[lanes, self._camera][:, None, :]
        pose = batch.bind("cam_xmat")[lanes, self._camera].reshape(-1, 3, 3)
        rays = self._rays_of(batch, lanes)
        return origin, rays @ pose.transpose(0, 2, 1), -rays[..., 2].reshape(-1, rays.shape[-2])

    def _rays_of(self, batch: Batch, lanes: np.ndarray) -> np.ndarray:
        fovy_deg = batch.expanded("cam_fovy")
        if fovy_deg is None:
            return self._rays
        return np.stack([_unit_rays(self._grid, float(angle)) for angle in fovy_deg[lanes, self._camera]])


def _image_plane(height: int, width: int) -> np.ndarray:
    """Return pixel centres [pixel, 2] as x and y, in units of half the picture's height."""
    rows = 1.0 - 2.0 * (np.arange(height) + 0.5) / height
    columns = (width / height) * (2.0 * (np.arange(width) + 0.5) / width - 1.0)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def _unit_rays(grid: np.ndarray, fovy_deg: float) -> np.ndarray:
    """Return unit directions [pixel, 3] of a camera with this vertical field of view."""
    half = np.tan(np.deg2rad(fovy_deg) / 2.0)
    rays = np.concatenate([half * grid, -np.ones_like(grid[:, :1])], axis=1)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)
