"""Back ends that turn lanes into camera frames: `egl` and `osmesa` (OpenGL), `ray` (no graphics library at all)."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import logging
from typing import Protocol

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.rendering.probe import gl_platform_works

__all__ = ["BACKENDS", "Renderer", "make_renderer", "resolve_backend"]

BACKENDS = ("auto", "egl", "osmesa", "ray")
GL_PLATFORMS = ("egl", "osmesa")

_logger = logging.getLogger("embodied_envs")


class Renderer(Protocol):
    """Draws one camera of chosen lanes."""

    def render(self, batch: Batch, lanes: np.ndarray) -> np.ndarray:
        """Return frames uint8 [lane in lanes, height, width, 3] of the lanes' present positions."""
        ...

    def close(self) -> None:
        """Free graphics resources; may be called twice."""
        ...


def resolve_backend(requested: str) -> str:
    """Return the back end to use, for `auto` the first of egl, osmesa, ray that works here, and log it.

    Raises:
        ValueError: an unknown name, or a named OpenGL platform that does not work on this machine.
    """
    if requested not in BACKENDS:
        raise ValueError(f"got camera_backend={requested!r}, expected one of {list(BACKENDS)}")
    chosen = _first_working() if requested == "auto" else requested
    if chosen in GL_PLATFORMS and not gl_platform_works(chosen):
        working = [name for name in GL_PLATFORMS if gl_platform_works(name)] + ["ray"]
        raise ValueError(
            f"camera_backend={chosen!r} does not work on this machine; fix: use one of {working} or 'auto'"
        )
    _logger.info("camera back end: %s (requested: %s)", chosen, requested)
    return chosen


def _first_working() -> str:
    return next((name for name in GL_PLATFORMS if gl_platform_works(name)), "ray")


def make_renderer(backend: str, model: mujoco.MjModel, camera: str, height: int, width: int) -> Renderer:
    """Return a renderer for one camera of the model; `backend` comes from `resolve_backend`."""
    # Imported here: the ray path must not load OpenGL, and the OpenGL path binds to one platform per process.
    if backend == "ray":
        from embodied_envs.rendering.ray import RayRenderer

        return RayRenderer(model, camera, height, width)
    from embodied_envs.rendering.gl import GlRenderer

    return GlRenderer(backend, model, camera, height, width)
