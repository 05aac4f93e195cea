"""All observed cameras of all lanes: which of them fire, one placing of the scene for all that do, and their frames."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from embodied_envs.sensors import Camera, Sensor
from embodied_envs.warp.camera_stream import WarpCameraStream
from embodied_envs.warp.physics import WarpPhysics

__all__ = ["WarpCameraRig"]


class WarpCameraRig:
    """The camera streams of an environment."""

    def __init__(self, sensors: tuple[Sensor, ...], physics: WarpPhysics, control_hz: float) -> None:
        """Make one stream per camera among the sensors."""
        self._physics = physics
        cameras = [sensor for sensor in sensors if isinstance(sensor.source, Camera)]
        self._streams = [WarpCameraStream(sensor, physics, control_hz) for sensor in cameras]

    @property
    def has_cameras(self) -> bool:
        """Whether anything is drawn at all."""
        return bool(self._streams)

    def capture(self, updated: np.ndarray, ticks: np.ndarray, healthy: Tensor, ticks_on_device: Tensor) -> None:
        """Draw the cameras that fire in any lane, and keep their frames.

        Args:
            updated: mask [lane] of lanes that may fire, on the host, which decides what is drawn.
            ticks: episode ticks [lane], on the host.
            healthy: mask [lane] of lanes whose new frames mean something, on the device.
            ticks_on_device: `ticks` again.
        """
        firing = [(stream, stream.fires(updated, ticks)) for stream in self._streams]
        firing = [(stream, mask) for stream, mask in firing if mask.any()]
        if firing:
            self._physics.place()
        for stream, mask in firing:
            stream.take(self._physics.upload(mask) & healthy, ticks_on_device)

    def observe(self, ticks: Tensor) -> dict[str, Tensor]:
        """Return the held frames of all cameras and their ages."""
        entries: dict[str, Tensor] = {}
        for stream in self._streams:
            entries |= stream.observe(ticks)
        return entries
