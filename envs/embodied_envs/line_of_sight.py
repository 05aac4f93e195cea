"""Which straight lines boxes interrupt, for all lanes at once: as `Batch.ray`, without running kinematics again."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

__all__ = ["LineOfSight"]

_PARALLEL_M = 1e-9  # a line's extent along a box's axis is taken to be at least this


class LineOfSight:
    """Tests line segments against boxes that are mocap bodies, by the slab method (T. Kay and J. Kajiya, 1986).

    Poses come from the state itself, so they are never a step old.
    """

    def __init__(self, batch: Batch, obstacles: Sequence[str]) -> None:
        """Find the mocap bodies named `obstacles`.

        Raises:
            ValueError: one of them is not a mocap body with one box at its origin.
        """
        bodies = [batch.model.body(name) for name in obstacles]
        for body in bodies:
            _check_box(batch.model, body)
        self._mocaps = [int(body.mocapid[0]) for body in bodies]
        self._half_size = batch.model.geom_size[[int(body.geomadr[0]) for body in bodies]]
        self._position, self._quat = batch.bind("mocap_pos"), batch.bind("mocap_quat")
        self._seen: tuple[np.ndarray, np.ndarray] | None = None
        self._frames = (np.empty(0), np.empty(0))

    def is_clear(self, start: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Return whether no box touches the segments from `start` to `start + offset`.

        Args:
            start: one end of each line, world axes [lane, line, 3].
            offset: from there to the other end [lane, line, 3].

        Returns:
            Mask [lane, line].
        """
        lanes, lines = start.shape[:2]
        to_boxes, centre = self._box_frames()
        origin = (start @ to_boxes).reshape(lanes, lines, -1, 3) - centre[:, None]
        extent = (offset @ to_boxes).reshape(lanes, lines, -1, 3)
        return np.logical_not(_touches(origin, extent, self._half_size).any(axis=2))

    def _box_frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all boxes' axes side by side [lane, 3, box * 3], and their centres in their own axes [lane, box, 3].

        With them, one product per lane turns every line into every box's frame. They are computed when a box moved.
        """
        position, quat = self._position[:, self._mocaps], self._quat[:, self._mocaps]
        if self._seen is None or not (np.array_equal(position, self._seen[0]) and np.array_equal(quat, self._seen[1])):
            axes = _axes(quat)
            to_boxes = np.ascontiguousarray(axes.transpose(0, 2, 1, 3)).reshape(len(axes), 3, -1)
            self._frames = to_boxes, np.einsum("lbu,lbuv->lbv", position, axes)
            self._seen = position, quat
        return self._frames


def _check_box(model: mujoco.MjModel, body: Any) -> None:
    geom = int(body.geomadr[0])
    is_box = body.geomnum[0] == 1 and model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_BOX
    if body.mocapid[0] < 0 or not is_box or model.geom_pos[geom].any() or (model.geom_quat[geom] != [1, 0, 0, 0]).any():
        raise ValueError(f"got body {body.name!r}, expected a mocap body with one box at its origin")


def _axes(quat: np.ndarray) -> np.ndarray:
    """Return rotation matrices [..., world axis, body axis] of unit quaternions [..., 4]."""
    w, x, y, z = np.moveaxis(quat, -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _touches(origin: np.ndarray, extent: np.ndarray, half_size: np.ndarray) -> np.ndarray:
    """Return whether origin + u * extent, 0 <= u <= 1, [lane, line, box, 3], enters the box: [lane, line, box]."""
    per_extent = 1.0 / np.where(np.abs(extent) < _PARALLEL_M, _PARALLEL_M, extent)
    middle, half = -origin * per_extent, half_size * np.abs(per_extent)
    enters, leaves = middle - half, middle + half  # the span of u inside each pair of faces
    first = np.maximum(np.maximum(enters[..., 0], enters[..., 1]), enters[..., 2])
    last = np.minimum(np.minimum(leaves[..., 0], leaves[..., 1]), leaves[..., 2])
    return (first <= last) & (first <= 1.0) & (last >= 0.0)
