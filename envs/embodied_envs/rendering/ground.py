"""Which geom of a model is the ground."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np

from embodied_envs.rendering.view import GROUND_GROUP, MAX_DRAWN_GROUP

__all__ = ["find_ground"]


def find_ground(model: mujoco.MjModel) -> int | None:
    """Return the number of the first level plane that is fixed and drawn, one in group 1 before others; None: none."""
    fixed = model.body_weldid[model.geom_bodyid] == 0
    level = np.abs(model.geom_quat[:, 1:3]).max(axis=1, initial=0.0) < 1e-9
    drawn = model.geom_group <= MAX_DRAWN_GROUP
    planes = np.flatnonzero((model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & fixed & level & drawn)
    if not planes.size:
        return None
    return int(planes[np.argmax(model.geom_group[planes] == GROUND_GROUP)])
