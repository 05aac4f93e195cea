"""Frames by ray casting, without any graphics library: works in every container, the same pixels everywhere.

All lanes that need a frame are cast in one threaded `Batch.ray` call. Geoms are shaded by colour and normal; textures,
shadows, transparency, sites and tendons are not drawn. The ground is painted as a checker, so that a moving robot sees
it pass. In geom group 1, by convention, it is the plane z = 0, which is met in closed form and has no edge.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.rendering.ray_camera import RayCamera
from embodied_envs.rendering.ray_ground import GroundHits, checker, ground_among, meet_ground
from embodied_envs.rendering.ray_paint import RayPaint
from embodied_envs.rendering.view import GROUND_GROUP, MAX_DRAWN_GROUP, Frames, View
from embodied_envs.sensors import CAMERA_CHANNELS

__all__ = ["RayRenderer"]

_LANES_PER_CHUNK = 8  # keeps the shading arrays inside the processor's cache
_DTYPES = {"rgb": np.uint8, "depth": np.float32, "segmentation": np.uint8}


class RayRenderer:
    """Casts the rays of its cameras in many lanes at once."""

    def __init__(self, model: mujoco.MjModel, views: Sequence[View], hide_ground: bool = False) -> None:
        """Prepare the cameras' rays and the geoms' colours."""
        self._model, self._hide_ground = model, hide_ground
        self._cameras = {view: RayCamera(model, view) for view in views}
        self._paint = RayPaint(model)
        self._groups = np.zeros(mujoco.mjNGROUP, np.uint8)
        self._groups[: MAX_DRAWN_GROUP + 1] = 1
        ground = self._paint.ground_geom
        self._is_by_convention = ground is not None and model.geom_group[ground] == GROUND_GROUP
        if self._is_by_convention:
            self._groups[GROUND_GROUP] = 0

    def render(
        self, batch: Batch, lanes: np.ndarray, views: Sequence[View], with_background: bool = False
    ) -> list[Frames]:
        """Return one `Frames` per view, see `view.Renderer`."""
        for name in ("cam_xpos", "cam_xmat"):
            batch.bind(name)  # a field is filled only by calls made after it was bound
        # After a step the camera pose is one substep old; this stage computes it anew and leaves the state alone.
        batch.forward(lanes, stage=mujoco.mjtStage.mjSTAGE_POS)
        self._paint.attach(batch)
        return [self._render_view(batch, lanes, view, with_background) for view in views]

    def _render_view(self, batch: Batch, lanes: np.ndarray, view: View, with_background: bool) -> Frames:
        shape = (len(lanes), view.height * view.width)
        values = np.empty((*shape, CAMERA_CHANNELS[view.kind]), _DTYPES[view.kind])
        background = np.empty(shape, bool) if with_background and view.kind == "rgb" else None
        for start in range(0, len(lanes), _LANES_PER_CHUNK):
            chunk = slice(start, start + _LANES_PER_CHUNK)
            self._render_chunk(
                batch, lanes[chunk], view, values[chunk], None if background is None else background[chunk]
            )
        size = (len(lanes), view.height, view.width)
        return Frames(values.reshape(*size, -1), None if background is None else background.reshape(size))

    def _render_chunk(
        self, batch: Batch, lanes: np.ndarray, view: View, values: np.ndarray, background: np.ndarray | None
    ) -> None:
        """Fill values [lane, pixel, channel] and background [lane, pixel]."""
        origin, directions, cosine = self._cameras[view].cast(batch, lanes)
        is_rgb = view.kind == "rgb"
        distance, geom, *normal = batch.ray(origin, directions, geomgroup=self._groups, ids=lanes, normal=is_rgb)
        ground = self._ground(origin, directions, distance, geom)
        if ground is not None and is_rgb and self._hide_ground:
            geom, ground = np.where(ground.seen, -1, geom), None
        if is_rgb:
            values[...] = self._colours(lanes, geom, normal[0], ground)
        elif view.kind == "depth":
            values[:, :, 0] = _depth(distance, geom, ground, cosine)
        else:
            values[:, :, 0] = _bodies(self._model, geom, ground)
        if background is not None:
            background[...] = (geom < 0) if ground is None else (geom < 0) & ~ground.seen

    def _ground(
        self, origin: np.ndarray, directions: np.ndarray, distance: np.ndarray, geom: np.ndarray
    ) -> GroundHits | None:
        if self._paint.ground_geom is None:
            return None
        if self._is_by_convention:
            return meet_ground(origin, directions, np.where(geom < 0, np.inf, distance))
        return ground_among(origin, directions, distance, geom == self._paint.ground_geom)

    def _colours(
        self, lanes: np.ndarray, geom: np.ndarray, normal: np.ndarray, ground: GroundHits | None
    ) -> np.ndarray:
        """Return colours [lane, pixel, 3] float32 in 0..255."""
        pixels = self._paint.shade(lanes, geom, normal)
        if ground is not None:
            tint, colours = self._paint.ground_tint(lanes), checker(ground)
            pixels[ground.seen] = colours if tint is None else colours * tint[ground.lane]
        return np.minimum(pixels, 255.0) if self._paint.may_glare else pixels

    def close(self) -> None:
        """Do nothing: there are no graphics resources."""


def _depth(distance: np.ndarray, geom: np.ndarray, ground: GroundHits | None, cosine: np.ndarray) -> np.ndarray:
    """Return metres along the optical axis [lane, pixel], infinite where nothing is."""
    along_ray = np.where(geom < 0, np.inf, distance)
    if ground is not None:
        along_ray[ground.seen] = ground.distance_m
    return along_ray * cosine


def _bodies(model: mujoco.MjModel, geom: np.ndarray, ground: GroundHits | None) -> np.ndarray:
    """Return body numbers [lane, pixel]; 0 for the world and nothing."""
    bodies = np.append(model.geom_bodyid, 0)[geom]
    if ground is not None:
        bodies[ground.seen] = 0
    return bodies
