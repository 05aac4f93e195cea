"""OpenGL frames with a preset made for small images: about a hundred times faster than MuJoCo's defaults in software.

At 64 to 128 pixels the cost is vertices and shadow maps, not pixels. So: no shadow map, no multisampling, coarse
tessellation, no shadow, reflection, skybox or haze pass, and a small scene. These settings change pixels: frames of
different back ends are different data.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import contextlib
import importlib
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

__all__ = ["GlRenderer", "apply_fast_preset"]

_MAX_GEOMS = 300
_SLOW_PASSES = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
    mujoco.mjtRndFlag.mjRND_HAZE,
)


def apply_fast_preset(model: mujoco.MjModel) -> None:
    """Set the model's drawing quality to the fast preset; physics is not affected."""
    quality = model.vis.quality
    quality.shadowsize, quality.offsamples = 0, 0
    quality.numslices, quality.numstacks, quality.numquads = 10, 6, 2


class GlRenderer:
    """Draws one camera on an off-screen context of the platform, one lane after the other.

    The context is made at the first frame, not before: a process forked earlier stays free of graphics state.
    """

    def __init__(self, platform: str, model: mujoco.MjModel, camera: str, height: int, width: int) -> None:
        """Keep the settings; `platform` is "egl" or "osmesa"."""
        apply_fast_preset(model)
        self._platform, self._model = platform, model
        self._data = mujoco.MjData(model)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(camera).id
        self._scene = mujoco.MjvScene(model, _MAX_GEOMS)
        for render_pass in _SLOW_PASSES:
            self._scene.flags[render_pass] = 0
        self._context: Any = None
        self._mjr: Any = None

    def render(self, batch: Batch, lanes: np.ndarray) -> np.ndarray:
        """Return frames uint8 [lane in lanes, height, width, 3] of the lanes' present positions."""
        self._make_current()
        frames = np.empty((len(lanes), self._rect.height, self._rect.width, 3), np.uint8)
        positions = batch.bind("qpos")
        for frame, lane in zip(frames, lanes, strict=True):
            self._draw(positions[lane], frame)
        return frames[:, ::-1]  # OpenGL's first row is the bottom one

    def _make_current(self) -> None:
        if self._context is None:
            module = importlib.import_module(f"mujoco.{self._platform}")
            self._context = module.GLContext(self._rect.width, self._rect.height)
            self._context.make_current()
            self._mjr = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_50)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._mjr)
        self._context.make_current()

    def _draw(self, qpos: np.ndarray, frame: np.ndarray) -> None:
        model, data = self._model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        mujoco.mjv_updateScene(model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        mujoco.mjr_render(self._rect, self._scene, self._mjr)
        mujoco.mjr_readPixels(frame, None, self._rect, self._mjr)

    def close(self) -> None:
        """Free the context; may be called twice."""
        if self._context is None:
            return
        context, self._context = self._context, None
        context.make_current()
        self._mjr.free()
        context.free()

    def __del__(self) -> None:
        """Free the context of an environment that nobody closed."""
        # At interpreter exit the graphics modules may be gone already; the system then frees the context.
        with contextlib.suppress(Exception):
            self.close()
