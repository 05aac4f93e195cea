"""Brings one lane's positions and its own model values into a model and data that are used for drawing only."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import copy

import mujoco
import numpy as np
from mujoco.batch import Batch

__all__ = ["LaneAppearance"]

# Everything that forward kinematics or the picture depends on and that lanes may have of their own; the names in 0 are
# what the engine derives from the others (`set_const`) and tracking cameras and lights use.
_FIELDS = (
    "qpos0", "body_pos", "body_quat", "jnt_pos", "jnt_axis", "geom_pos", "geom_quat", "geom_size", "geom_rgba",
    "geom_matid", "site_pos", "site_quat", "site_size", "site_rgba", "mat_rgba", "mat_emission", "mat_specular",
    "mat_shininess", "mat_reflectance", "mat_texid", "mat_texrepeat", "cam_pos", "cam_quat", "cam_pos0", "cam_poscom0",
    "cam_mat0", "cam_fovy", "light_pos", "light_dir", "light_pos0", "light_poscom0", "light_dir0", "light_active",
    "light_ambient", "light_diffuse", "light_specular", "light_castshadow", "light_intensity",
)  # fmt: skip


class LaneAppearance:
    """One model and one data that show one lane after the other."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Copy the model, so that drawing settings and lanes' values never reach the simulation."""
        self.model = copy.copy(model)
        self.data = mujoco.MjData(self.model)
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def attach(self, batch: Batch) -> None:
        """Look up which fields the batch's lanes have of their own now; comes before `show`."""
        state = ("qpos", "mocap_pos", "mocap_quat") if self.model.nmocap else ("qpos",)
        self._pairs = [(batch.bind(name), getattr(self.data, name)) for name in state]
        for name in _FIELDS:
            values = batch.expanded(name)
            if values is not None and values.size:
                self._pairs.append((values, getattr(self.model, name).reshape(values.shape[1:], copy=False)))

    def show(self, lane: int) -> None:
        """Take over the lane's values and compute where everything is."""
        for source, target in self._pairs:
            target[...] = source[lane]
        if self.model.ntendon:  # paths of tendons, and their colour where a limit is active
            mujoco.mj_fwdPosition(self.model, self.data)
            return
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
