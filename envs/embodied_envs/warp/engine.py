"""Warp itself, imported in one place: quiet, and with one clear line where it is not installed."""

# pyright: reportMissingImports=false
# (an optional extra)
from __future__ import annotations

import logging
from typing import Any

__all__ = ["mjw", "resolve_device", "wp"]

try:
    import mujoco_warp as _mujoco_warp
    import warp as _warp
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"GPU simulation needs {error.name!r}; fix: pip install 'embodied-ssl[warp]'", name=error.name
    ) from error

# Neither package ships types.
wp: Any = _warp
mjw: Any = _mujoco_warp

_logger = logging.getLogger("embodied_envs")


def resolve_device(requested: str) -> str:
    """Return a Warp device name: for `auto` the first CUDA device, else the CPU.

    Warp's own messages are turned down to warnings, unless somebody has set their level: it has one for each of the
    fifty kernel modules that it loads.

    Raises:
        ValueError: no such device here.
    """
    if wp.config.log_level == wp.LOG_INFO:
        wp.config.log_level = wp.LOG_WARNING
    wp.init()
    available = ["cpu", *(f"cuda:{index}" for index in range(wp.get_cuda_device_count()))]
    first = available[1] if len(available) > 1 else None
    device = {"auto": first or "cpu", "cuda": first}.get(requested, requested)
    if device not in available:
        raise ValueError(f"got device={requested!r}, expected 'auto' or one of {available}")
    _logger.info("Warp device: %s (requested: %s)", device, requested)
    return device
