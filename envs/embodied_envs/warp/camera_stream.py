"""The frames of one camera sensor of all lanes, drawn by Warp's batch renderer and held on the device.

The renderer casts rays at all lanes in one launch; it knows no mask. So a camera is drawn when it fires in any lane,
and the lanes in which it does take the new frame. Its pixels are not those of the OpenGL or `ray` back ends: it is a
back end of its own, named `warp`.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from embodied_envs.sensors import Camera, Sensor
from embodied_envs.warp.engine import mjw, wp
from embodied_envs.warp.physics import WarpPhysics

__all__ = ["WarpCameraStream"]


class WarpCameraStream:
    """Frames captured on ticks 0, p, 2p, ... of a lane's episode, p = control rate / camera rate; held in between."""

    def __init__(self, sensor: Sensor, physics: WarpPhysics, control_hz: float) -> None:
        """Make the renderer of one camera.

        Raises:
            ValueError: a rate that does not divide the control rate, or frames that are late or lost.
        """
        ticks = control_hz / sensor.rate_hz
        if ticks < 1 or abs(ticks - round(ticks)) > 1e-9:
            raise ValueError(
                f"sensor {sensor.key!r}: got {sensor.rate_hz} Hz, expected {control_hz} Hz divided by a whole number"
            )
        if sensor.latency_s > 0 or sensor.jitter_s > 0 or sensor.dropout > 0:
            raise ValueError(
                f"sensor {sensor.key!r} is late or drops frames, which cameras on Warp cannot; "
                "fix: leave it out with sensors=[...], or use BatchVectorEnv"
            )
        assert isinstance(sensor.source, Camera)
        self.key, self._kind, self._high = sensor.key, sensor.source.kind, sensor.high
        self._ticks_per_frame, self._control_hz = round(ticks), control_hz
        self._shape = sensor.shape[:2]
        self._physics = physics
        self._context = self._make_context(sensor.source.camera)
        self._body_of_geom = torch.from_numpy(physics.model.geom_bodyid.astype(np.uint8)).to(self._device)
        dtype = torch.float32 if self._kind == "depth" else torch.uint8
        # Never written in place: an observation that was returned stays what it was, without a copy a tick.
        self._frames = torch.zeros((physics.num_lanes, *sensor.shape), dtype=dtype, device=self._device)
        self._captured = torch.zeros(physics.num_lanes, dtype=torch.int64, device=self._device)

    @property
    def _device(self) -> torch.device:
        return self._physics.bind("qpos").device

    def _make_context(self, camera: str) -> Any:
        height, width = self._shape
        with wp.ScopedDevice(self._physics.device):
            return mjw.create_render_context(
                self._physics.model,
                nworld=self._physics.num_lanes,
                cam_active=[camera],
                cam_res=(width, height),
                render_rgb=self._kind == "rgb",
                render_depth=self._kind == "depth",
                render_seg=self._kind == "segmentation",
            )

    def fires(self, lanes: np.ndarray, ticks: np.ndarray) -> np.ndarray:
        """Return the mask [lane] of those of the masked lanes whose episode tick [lane] is the camera's."""
        return lanes & (ticks % self._ticks_per_frame == 0)

    def take(self, lanes: Tensor, ticks: Tensor) -> None:
        """Draw all lanes, and keep the frames of the masked ones [lane], captured at their episode ticks [lane]."""
        self._frames = torch.where(lanes.view(-1, 1, 1, 1), self.draw(), self._frames)
        self._captured = torch.where(lanes, ticks, self._captured)

    def draw(self) -> Tensor:
        """Return frames [lane, height, width, channels] of the present; the caller has called `physics.place`."""
        self._physics.draw(self._context)
        shape = (self._physics.num_lanes, *self._shape)
        if self._kind == "rgb":
            packed = wp.to_torch(self._context.rgb_data).view(torch.uint8)  # bytes of a little-endian 0xAARRGGBB
            return packed.view(*shape, 4)[..., [2, 1, 0]]
        if self._kind == "depth":
            depth_m = wp.to_torch(self._context.depth_data).view(*shape, 1)
            return torch.where(depth_m > 0, depth_m, self._high).clamp(max=self._high)  # 0: the ray hit nothing
        geoms = wp.to_torch(self._context.seg_data).view(*shape, 2)[..., :1].long()
        return torch.where(geoms >= 0, self._body_of_geom[geoms.clamp(min=0)], 0)

    def observe(self, ticks: Tensor) -> dict[str, Tensor]:
        """Return the held frames and their ages in s [lane]; frames are shared between ticks, not copied."""
        age_s = (ticks - self._captured) / self._control_hz
        return {self.key: self._frames, f"{self.key}.age_s": age_s}
