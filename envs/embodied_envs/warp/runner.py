"""The Runner's reset and reward over device tensors; model, sensors and constants are those of `robots/runner.py`."""

from __future__ import annotations

import torch
from torch import Tensor

from embodied_envs.robots.runner import (
    ACTION_COST,
    FRICTION_RANGE,
    PAYLOAD_RANGE_KG,
    ROOT_DOFS,
    START_HEIGHT_M,
)
from embodied_envs.warp.physics import WarpPhysics
from embodied_envs.warp.task import Readings, WarpStep, WarpTask

__all__ = ["TASK"]

JITTER_RAD = 0.06
SPEED_STD = 0.05


def reset_lanes(physics: WarpPhysics, lanes: Tensor, generator: torch.Generator) -> None:
    """Write the masked lanes' start: a jittered stance almost at rest, new ground friction, new payload."""
    qpos, qvel = physics.bind("qpos"), physics.bind("qvel")
    uniform = torch.rand(len(lanes), qpos.shape[1], generator=generator, device=lanes.device)
    normal = torch.randn(qvel.shape, generator=generator, device=lanes.device)
    # x and z are not drawn: their two numbers serve friction and payload.
    physics.write(qpos[:, 2:], lanes, JITTER_RAD * (2.0 * uniform[:, 2:] - 1.0))
    physics.write(qvel, lanes, SPEED_STD * normal)
    _write_dynamics(physics, lanes, _between(uniform[:, 0], FRICTION_RANGE), _between(uniform[:, 1], PAYLOAD_RANGE_KG))


def _between(uniform: Tensor, bounds: tuple[float, float]) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * uniform


def _write_dynamics(physics: WarpPhysics, lanes: Tensor, friction: Tensor, payload_kg: Tensor) -> None:
    model = physics.model
    ground, payload = model.geom("ground").id, model.body("payload").id
    unit_inertia = torch.tensor(model.body_inertia[payload] / model.body_mass[payload]).to(payload_kg)
    physics.write(physics.expand("geom_friction")[:, ground, 0], lanes, friction)
    physics.write(physics.expand("body_mass")[:, payload], lanes, payload_kg)
    physics.write(physics.expand("body_inertia")[:, payload], lanes, unit_inertia * payload_kg[:, None])


def forward_reward(step: WarpStep) -> Tensor:
    """Return mean forward speed in m/s minus the action's cost, [lane]."""
    speed = (step.physics.bind("qpos")[:, 0] - step.qpos_before[:, 0]) / step.period_s
    return speed - ACTION_COST * step.action.square().sum(dim=1)


def _root_pose(physics: WarpPhysics, clean: Readings) -> Tensor:
    """Height and pitch."""
    qpos = physics.bind("qpos")
    return torch.stack([qpos[:, 1] + START_HEIGHT_M, qpos[:, ROOT_DOFS - 1]], dim=1)


TASK = WarpTask(reset=reset_lanes, reward=forward_reward, privileged={"root_pose": _root_pose})
