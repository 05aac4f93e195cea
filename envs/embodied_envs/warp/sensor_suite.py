"""All vector sensors of all lanes on the device: noise-free readings, and the late, biased, noisy observation."""

from __future__ import annotations

import torch
from torch import Tensor

from embodied_envs.sensors import Camera, Sensor
from embodied_envs.warp.delivery import WarpDelivery
from embodied_envs.warp.physics import WarpPhysics

__all__ = ["Tensors", "WarpSensorSuite"]

Tensors = dict[str, Tensor]


class WarpSensorSuite:
    """Reads every vector sensor once per tick; each observation draws the same number of normals on the device."""

    def __init__(self, sensors: tuple[Sensor, ...], physics: WarpPhysics, control_hz: float) -> None:
        """Bind one delivery per sensor; cameras are not vector sensors and are left out."""
        vectors = [sensor for sensor in sensors if not isinstance(sensor.source, Camera)]
        self._deliveries = [WarpDelivery(sensor, physics, control_hz) for sensor in vectors]
        self._is_fast = {sensor.key: sensor.is_fast(control_hz) for sensor in vectors}
        # Chances come after all noise: a sensor with drop-outs does not move the noise of the others.
        self._sizes = [d.num_values for d in self._deliveries] + [d.num_chances for d in self._deliveries]

    def start(self, lanes: Tensor, generator: torch.Generator) -> None:
        """Start an episode in the masked lanes [lane]: forget what was delivered, draw new biases."""
        for delivery in self._deliveries:
            delivery.start(lanes, generator)

    def tick(self, lanes: Tensor) -> None:
        """Let one control period pass in the masked lanes [lane]."""
        for delivery in self._deliveries:
            delivery.tick(lanes)

    def observe(self, elapsed_s: Tensor, lanes: Tensor, generator: torch.Generator) -> tuple[Tensors, Tensors]:
        """Return the observation and the noise-free values of the same rows, by key, [lane, ...].

        Args:
            elapsed_s: seconds since each lane's reset [lane].
            lanes: mask [lane] of lanes that observe; the others keep what was delivered to them.
            generator: of the device; draws for all lanes, whatever the mask.
        """
        normals = torch.randn(len(lanes), sum(self._sizes), generator=generator, device=lanes.device)
        parts = normals.split(self._sizes, dim=1)
        observation: Tensors = {}
        clean: Tensors = {}
        for index, delivery in enumerate(self._deliveries):
            chances = parts[len(self._deliveries) + index]
            reading = delivery.read(elapsed_s, lanes, chances)
            observation |= delivery.deliver(reading, lanes, parts[index], chances)
            clean[delivery.key] = reading.values if self._is_fast[delivery.key] else reading.values[:, 0]
        return observation, clean
