"""Back ends that turn lanes into camera frames: `egl` and `osmesa` (OpenGL), `ray` (no graphics library at all)."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import logging
from collections.abc import Sequence

import mujoco

from embodied_envs.nearest import nearest
from embodied_envs.rendering.probe import gl_platform_works
from embodied_envs.rendering.view import Frames, Renderer, View

__all__ = ["BACKENDS", "PRESETS", "Frames", "Renderer", "View", "make_renderer", "resolve_backend"]

BACKENDS = ("auto", "egl", "osmesa", "ray")
GL_PLATFORMS = ("egl", "osmesa")
PRESETS = ("fast", "quality", "ray")
"""fast and quality are OpenGL's; ray is the back end `ray`, which has one look only."""

_logger = logging.getLogger("embodied_envs")


def resolve_backend(requested: str, preset: str = "fast") -> str:
    """Return the back end to use, for `auto` the first of egl, osmesa, ray that works here, and log it.

    Args:
        requested: one of `BACKENDS`.
        preset: one of `PRESETS`; `ray` asks for the back end `ray`.

    Raises:
        ValueError: an unknown name, a named OpenGL platform that does not work on this machine, or a preset that the
            back end does not have.
    """
    _check_names(requested, preset)
    chosen = _first_working(preset) if requested == "auto" else requested
    if chosen in GL_PLATFORMS and not gl_platform_works(chosen):
        working = [name for name in GL_PLATFORMS if gl_platform_works(name)] + ["ray"]
        raise ValueError(
            f"camera_backend={chosen!r} does not work on this machine; fix: use one of {working} or 'auto'"
        )
    if (chosen == "ray" and preset == "quality") or (chosen != "ray" and preset == "ray"):
        raise ValueError(
            f"got preset {preset!r} with camera back end {chosen!r} (requested: {requested!r}), expected fast or "
            "quality with egl or osmesa, fast or ray with ray"
        )
    _logger.info("camera back end: %s (requested: %s), preset: %s", chosen, requested, preset)
    return chosen


def _check_names(requested: str, preset: str) -> None:
    if requested not in BACKENDS:
        raise ValueError(f"got camera_backend={requested!r}; {nearest(requested, BACKENDS)}")
    if preset not in PRESETS:
        raise ValueError(f"got rendering preset {preset!r}; {nearest(preset, PRESETS)}")


def _first_working(preset: str) -> str:
    if preset == "ray":
        return "ray"
    return next((name for name in GL_PLATFORMS if gl_platform_works(name)), "ray")


def make_renderer(
    backend: str, model: mujoco.MjModel, views: Sequence[View], preset: str = "fast", hide_ground: bool = False
) -> Renderer:
    """Return one renderer for all views of the model.

    Args:
        backend: from `resolve_backend`.
        model: the model; it is not changed.
        views: everything that will be asked for.
        preset: fast or quality; without effect on `ray`.
        hide_ground: leave the ground out of RGB views, so that what lies behind it can be painted.

    Raises:
        ValueError: a view of a camera that the model does not have.
    """
    for view in views:
        _check_camera(model, view.camera)
    # Imported here: the ray path must not load OpenGL, and the OpenGL path binds to one platform per process.
    if backend == "ray":
        from embodied_envs.rendering.ray import RayRenderer

        return RayRenderer(model, views, hide_ground)
    from embodied_envs.rendering.gl import GlRenderer

    return GlRenderer(backend, model, views, preset, hide_ground)


def _check_camera(model: mujoco.MjModel, camera: str) -> None:
    names = [model.camera(i).name for i in range(model.ncam)]
    if camera not in names:
        raise ValueError(f"got camera {camera!r}; {nearest(camera, names)}")
