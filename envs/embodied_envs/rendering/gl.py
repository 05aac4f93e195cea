"""OpenGL frames, with a preset made for small images: about a hundred times faster than MuJoCo's defaults in software.

At 64 to 128 pixels the cost is vertices and shadow maps, not pixels. So preset `fast` has no shadow map, no
multisampling, coarse tessellation, no shadow, reflection, skybox or haze pass. Preset `quality` is the model's own
settings, by default MuJoCo's. Presets change pixels: frames of different presets and back ends are different data.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.rendering.gl_context import SharedContext
from embodied_envs.rendering.gl_pixels import body_numbers, is_nothing, metres
from embodied_envs.rendering.ground import find_ground
from embodied_envs.rendering.lane_appearance import LaneAppearance
from embodied_envs.rendering.view import MAX_DRAWN_GROUP, Frames, View
from embodied_envs.sensors import CAMERA_KINDS

__all__ = ["GlRenderer", "apply_fast_preset"]

_SHADOW_REACH = 1.3
_SPARE_GEOMS = 64  # for lights, tendons and the like
_SLOW_PASSES = [
    int(mujoco.mjtRndFlag.mjRND_SHADOW),
    int(mujoco.mjtRndFlag.mjRND_REFLECTION),
    int(mujoco.mjtRndFlag.mjRND_SKYBOX),
    int(mujoco.mjtRndFlag.mjRND_HAZE),
]
_SEGMENTATION_PASSES = [int(mujoco.mjtRndFlag.mjRND_SEGMENT), int(mujoco.mjtRndFlag.mjRND_IDCOLOR)]


def apply_fast_preset(model: mujoco.MjModel) -> None:
    """Set the model's drawing quality to the fast preset; physics is not affected."""
    quality = model.vis.quality
    quality.shadowsize, quality.offsamples = 0, 0
    quality.numslices, quality.numstacks, quality.numquads = 10, 6, 2


def apply_quality_preset(model: mujoco.MjModel) -> None:
    """Keep the model's own settings, but let its shadow maps reach from the lights to the ground.

    By default they reach one model extent from the light; ground that lies just beyond is speckled with false shadows.
    """
    if model.nlight:
        farthest_m = float(np.linalg.norm(model.light_pos, axis=1).max())
        model.vis.map.shadowclip = max(model.vis.map.shadowclip, _SHADOW_REACH * farthest_m / model.stat.extent)


class GlRenderer:
    """Draws all views on one off-screen context, one lane after the other.

    The context is made at the first frame, not before: a process forked earlier stays free of graphics state.
    """

    def __init__(
        self, platform: str, model: mujoco.MjModel, views: Sequence[View], preset: str, hide_ground: bool
    ) -> None:
        """Keep the settings; `platform` is "egl" or "osmesa"."""
        self._lane = LaneAppearance(model)
        model = self._lane.model
        (apply_fast_preset if preset == "fast" else apply_quality_preset)(model)
        self._cameras = {view.camera: _fixed_camera(model, view.camera) for view in views}
        self._scene = mujoco.MjvScene(model, model.ngeom + model.nsite + _SPARE_GEOMS)
        self._flags = {kind: _flags(self._scene.flags, kind, preset) for kind in CAMERA_KINDS}
        self._options = {kind: _option(kind) for kind in CAMERA_KINDS}
        self._hidden = find_ground(model) if hide_ground else None
        height, width = (max(getattr(view, side) for view in views) for side in ("height", "width"))
        plain = SharedContext(platform, model, height, width, num_samples=0)
        # Multisampling would mix the depths and the body numbers of neighbours: they are drawn without it.
        samples = int(model.vis.quality.offsamples)
        smooth = SharedContext(platform, model, height, width, samples) if samples else plain
        self._contexts = {kind: smooth if kind == "rgb" else plain for kind in CAMERA_KINDS}

    def render(
        self, batch: Batch, lanes: np.ndarray, views: Sequence[View], with_background: bool = False
    ) -> list[Frames]:
        """Return one `Frames` per view, see `view.Renderer`."""
        self._lane.attach(batch)
        targets = [_Target(view, len(lanes), with_background) for view in views]
        for row, lane in enumerate(lanes.tolist()):
            self._lane.show(lane)
            for target in targets:
                self._draw(target, row)
        return [target.finish(self._lane.model) for target in targets]

    def _draw(self, target: _Target, row: int) -> None:
        model, scene, view = self._lane.model, self._scene, target.view
        with self._without_ground(view.kind == "rgb"):
            # Updating a scene places endless ground and headlight by the camera that the scene holds. Without this, the
            # one of the frame before: a lane's pixels would depend on the lane drawn before it.
            camera = self._cameras[view.camera]
            mujoco.mjv_updateCamera(model, self._lane.data, camera, scene)
            mujoco.mjv_updateScene(
                model, self._lane.data, self._options[view.kind], None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene
            )
        scene.flags[:] = self._flags[view.kind]
        if target.depth is not None:
            scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = 0  # the sky would have a depth
        self._contexts[view.kind].draw(scene, target.rect, _row(target.pixels, row), _row(target.depth, row))
        if view.kind == "segmentation" and target.pixels is not None:
            target.pixels[row, :, :, 0] = body_numbers(target.pixels[row], scene, model)

    @contextlib.contextmanager
    def _without_ground(self, is_rgb: bool) -> Iterator[None]:
        """Hide the ground while the scene of an RGB view is made, if it is to be hidden."""
        if self._hidden is None or not is_rgb:
            yield
            return
        groups = self._lane.model.geom_group
        own, groups[self._hidden] = int(groups[self._hidden]), MAX_DRAWN_GROUP + 1
        try:
            yield
        finally:
            groups[self._hidden] = own

    def close(self) -> None:
        """Free the context; may be called twice."""
        for context in self._contexts.values():
            context.close()


class _Target:
    """Arrays that one view of all lanes is read into, bottom row first as OpenGL has it."""

    def __init__(self, view: View, num_lanes: int, with_background: bool) -> None:
        self.view = view
        self.rect = mujoco.MjrRect(0, 0, view.width, view.height)
        shape = (num_lanes, view.height, view.width)
        needs_depth = view.kind == "depth" or (view.kind == "rgb" and with_background)
        self.depth = np.empty(shape, np.float32) if needs_depth else None
        self.pixels = np.empty((*shape, 3), np.uint8) if view.kind != "depth" else None

    def finish(self, model: mujoco.MjModel) -> Frames:
        """Return the frames with the top row first."""
        depth = None if self.depth is None else self.depth[:, ::-1]
        if self.pixels is None:
            assert depth is not None, "a view is read from pixels, or from depth, or from both"
            return Frames(metres(depth, model)[..., None])
        pixels = self.pixels[:, ::-1]
        if self.view.kind == "segmentation":
            return Frames(pixels[..., :1])
        return Frames(pixels, None if depth is None else is_nothing(depth))


def _row(array: np.ndarray | None, row: int) -> np.ndarray | None:
    return None if array is None else array[row]


def _fixed_camera(model: mujoco.MjModel, name: str) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(name).id
    return camera


def _option(kind: str) -> mujoco.MjvOption:
    """Return what is drawn: no decoration that no camera would see; depth and segmentation show solid things only."""
    option = mujoco.MjvOption()
    option.flags[mujoco.mjtVisFlag.mjVIS_RANGEFINDER] = 0
    option.geomgroup[MAX_DRAWN_GROUP + 1 :] = 0
    if kind != "rgb":
        option.sitegroup[:] = 0
        option.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = 0
    return option


def _flags(default: np.ndarray, kind: str, preset: str) -> np.ndarray:
    """Return the scene's rendering flags for one kind of picture."""
    flags = default.copy()
    if preset == "fast" or kind != "rgb":
        flags[_SLOW_PASSES] = 0
    if kind == "segmentation":
        flags[_SEGMENTATION_PASSES] = 1
    return flags
