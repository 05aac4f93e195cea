"""One OpenGL context with MuJoCo's resources on it: expensive, so all cameras of an environment share it."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import contextlib
import importlib
from typing import Any

import mujoco
import numpy as np

__all__ = ["SharedContext"]


class SharedContext:
    """Off-screen buffer of one platform, made at first use."""

    def __init__(self, platform: str, model: mujoco.MjModel, height: int, width: int, num_samples: int) -> None:
        """Keep the settings.

        Args:
            platform: "egl" (the device is the driver's choice, or `MUJOCO_EGL_DEVICE_ID`'s) or "osmesa".
            model: gives textures, meshes and drawing quality.
            height: largest height in pixels that will be drawn.
            width: largest width in pixels that will be drawn.
            num_samples: samples per pixel, 0: no multisampling.
        """
        self._platform, self._model, self._size = platform, model, (width, height)
        self._num_samples = num_samples
        model.vis.global_.offwidth, model.vis.global_.offheight = self._size
        self._context: Any = None
        self._mjr: Any = None

    def _make_current(self) -> None:
        """Make this the thread's context; the first time, create it."""
        if self._context is not None:
            self._context.make_current()
            return
        module = importlib.import_module(f"mujoco.{self._platform}")
        self._context = module.GLContext(*self._size)
        self._context.make_current()
        self._model.vis.quality.offsamples = self._num_samples
        self._mjr = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._mjr)

    def draw(
        self, scene: mujoco.MjvScene, rect: mujoco.MjrRect, pixels: np.ndarray | None, depth: np.ndarray | None
    ) -> None:
        """Draw a scene and read it into `pixels` uint8 [height, width, 3] and `depth` float32 [height, width]."""
        self._make_current()
        mujoco.mjr_render(rect, scene, self._mjr)
        mujoco.mjr_readPixels(pixels, depth, rect, self._mjr)

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
