"""How one model camera is displaced: around what it looks at, or in its mount if a moving body carries it."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np

__all__ = ["CameraMount", "Pose", "quaternions"]

Pose = tuple[np.ndarray, np.ndarray]  # positions [lane, 3], orientations [lane, 3, 3]

_LOWEST_M = 0.2  # an orbiting camera stays that far above the plane z = 0, unless the model has it lower


class CameraMount:
    """Poses of one camera, in world axes at the model's reference configuration.

    Attributes:
        orbits: whether the camera moves around the point that it looks at; otherwise it turns in place.
    """

    def __init__(self, model: mujoco.MjModel, camera: int) -> None:
        """Measure the camera's original pose and what it looks at."""
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        self._body = data.xmat[model.cam_bodyid[camera]].reshape(3, 3)
        self._origin = data.xpos[model.cam_bodyid[camera]].copy()
        self._position, self._axes = model.cam_pos0[camera].copy(), model.cam_mat0[camera].reshape(3, 3).copy()
        carried = model.body_weldid[model.cam_bodyid[camera]] != 0
        self.orbits = not (carried and model.cam_mode[camera] == mujoco.mjtCamLight.mjCAMLIGHT_FIXED)
        self.distance_m = _distance_to_robot(model, data, self._origin + self._position)
        self._elevation = float(np.arcsin(np.clip(self._axes[2, 2], -1.0, 1.0)))

    def _target(self) -> np.ndarray:
        """Return the point looked at, relative to the camera's body."""
        return self._position - self.distance_m * self._axes[:, 2]

    def _lowest(self, zoom: np.ndarray) -> np.ndarray:
        """Return how far cameras [lane] may sink around their target, in rad above the horizon."""
        drop_m = _LOWEST_M - (self._origin + self._target())[2]
        return np.minimum(np.arcsin(np.clip(drop_m / (self.distance_m * zoom), -1.0, 1.0)), self._elevation)

    def displaced(self, angles: np.ndarray, zoom: np.ndarray) -> Pose:
        """Return the camera's poses in world axes, positions relative to its body.

        Args:
            angles: horizontal, vertical and roll angles [lane, 3] in rad.
            zoom: distance to the target relative to the original one [lane]; without effect in a mount.
        """
        if not self.orbits:
            local = _about(1, angles[:, 0]) @ _about(0, angles[:, 1]) @ _about(2, angles[:, 2])
            return np.tile(self._position, (len(angles), 1)), self._axes @ local
        elevation = np.clip(self._elevation + angles[:, 1], self._lowest(zoom), np.pi / 2.0 - 0.01)
        rise = elevation - self._elevation
        # Yaw about the world's vertical, then pitch about the camera's own horizontal axis: the target stays in view.
        axes = _about(2, angles[:, 0]) @ (self._axes @ _about(0, -rise) @ _about(2, angles[:, 2]))
        return self._target() + (self.distance_m * zoom)[:, None] * axes[:, :, 2], axes

    def local(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Return a pose in the frame of the camera's body: positions [lane, 3] and quaternions [lane, 4]."""
        position, axes = pose
        return position @ self._body, quaternions(self._body.T @ axes)


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """Return unit quaternions [lane, 4], w first, of rotation matrices [lane, 3, 3]."""
    xx, yy, zz = rotations[:, 0, 0], rotations[:, 1, 1], rotations[:, 2, 2]
    products = np.empty((len(rotations), 4, 4))  # four times q q^T, so that its largest row is never near zero
    products[:, range(4), range(4)] = 1.0 + np.stack([xx + yy + zz, xx - yy - zz, yy - xx - zz, zz - xx - yy], axis=1)
    for row, column, first, second, sign in _OFF_DIAGONAL:
        value = rotations[:, first, second] + sign * rotations[:, second, first]
        products[:, row, column] = products[:, column, row] = value
    largest = products[:, range(4), range(4)].argmax(axis=1)
    rows = products[np.arange(len(rotations)), largest]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# Row and column of q q^T, and which elements of the rotation add up (or differ) to four times that product.
_OFF_DIAGONAL = (
    (0, 1, 2, 1, -1),
    (0, 2, 0, 2, -1),
    (0, 3, 1, 0, -1),
    (1, 2, 0, 1, 1),
    (1, 3, 0, 2, 1),
    (2, 3, 1, 2, 1),
)


def _distance_to_robot(model: mujoco.MjModel, data: mujoco.MjData, position: np.ndarray) -> float:
    """Return how far the camera is from the centre of mass of what moves, or from the model's centre."""
    moving = np.flatnonzero(model.body_parentid[1:] == 0) + 1
    moving = moving[(model.body_weldid[moving] != 0)]
    centre = data.subtree_com[moving[0]] if moving.size else model.stat.center
    return max(float(np.linalg.norm(centre - position)), 1e-3)


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Return rotations [lane, 3, 3] about x (0), y (1) or z (2) by angles [lane] in rad."""
    rotation = np.zeros((len(angle), 3, 3))
    first, second = [other for other in range(3) if other != axis]
    sign = -1.0 if axis == 1 else 1.0
    rotation[:, axis, axis] = 1.0
    rotation[:, first, first] = rotation[:, second, second] = np.cos(angle)
    rotation[:, second, first] = sign * np.sin(angle)
    rotation[:, first, second] = -sign * np.sin(angle)
    return rotation
