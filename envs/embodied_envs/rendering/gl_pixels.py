"""What OpenGL's buffers mean: depth in metres, body numbers, and where nothing was drawn."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np

__all__ = ["body_numbers", "is_nothing", "metres"]


def is_nothing(depth: np.ndarray) -> np.ndarray:
    """Return where a depth buffer [...] still holds what it was cleared with."""
    return depth >= 1.0


def metres(depth: np.ndarray, model: mujoco.MjModel) -> np.ndarray:
    """Return a perspective depth buffer [...] in [0, 1] as metres along the optical axis, infinite where nothing is.

    With clipping planes n and f, the buffer holds d = (1/n - 1/z) / (1/n - 1/f), so 1/z = (1 - d) / n + d / f.
    """
    near, far = (plane * model.stat.extent for plane in (model.vis.map.znear, model.vis.map.zfar))
    inverse = (1.0 - depth.astype(np.float64)) / near + depth / far
    return np.where(is_nothing(depth), np.inf, 1.0 / inverse).astype(np.float32)


def body_numbers(pixels: np.ndarray, scene: mujoco.MjvScene, model: mujoco.MjModel) -> np.ndarray:
    """Return the body uint8 [height, width] behind each pixel of a picture in identity colours [height, width, 3].

    An identity colour is the scene geom's number plus 1, its lowest byte in red; 0 is nothing.
    """
    bodies = np.zeros(scene.ngeom + 1, np.uint8)
    for geom in scene.geoms[: scene.ngeom]:
        if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.segid >= 0:
            bodies[geom.segid + 1] = model.geom_bodyid[geom.objid]
    identity = pixels[:, :, 0].astype(np.intp) + (pixels[:, :, 1].astype(np.intp) << 8)
    return bodies[identity]
