"""Finds out whether an OpenGL platform works, without any risk for this process.

A missing or broken driver may raise, print, or end the process, and a failed import leaves PyOpenGL bound to the wrong
platform. So a child process creates a context and draws one picture; its exit status is the answer.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import functools
import subprocess
import sys

__all__ = ["gl_platform_works"]

_TIMEOUT_S = 60.0

_PROBE = """
import mujoco, numpy
from mujoco.{platform} import GLContext
context = GLContext(8, 8)
context.make_current()
model = mujoco.MjModel.from_xml_string(
    '<mujoco><visual><quality offsamples="0" shadowsize="0"/></visual><worldbody><geom size="1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
mjr = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, mjr)
scene, camera, rect = mujoco.MjvScene(model, 10), mujoco.MjvCamera(), mujoco.MjrRect(0, 0, 8, 8)
mujoco.mjv_defaultFreeCamera(model, camera)
mujoco.mjv_updateScene(
    model, data, mujoco.MjvOption(), None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene)
mujoco.mjr_render(rect, scene, mjr)
pixels = numpy.zeros((8, 8, 3), numpy.uint8)
mujoco.mjr_readPixels(pixels, None, rect, mjr)
mjr.free()
context.free()
raise SystemExit(0 if pixels.any() else 1)
"""


@functools.cache
def gl_platform_works(platform: str) -> bool:
    """Return whether `platform` ("egl" or "osmesa") draws a picture here; asked once per process."""
    command = [sys.executable, "-c", _PROBE.format(platform=platform)]
    try:
        return subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
