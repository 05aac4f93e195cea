"""What a robot adds to its RobotSpec to run on Warp: its reset, reward and end, in torch over all lanes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from embodied_envs.warp.physics import WarpPhysics

__all__ = ["WarpStep", "WarpTask"]

Readings = dict[str, Tensor]


@dataclass(frozen=True)
class WarpStep:
    """One control period as rewards see it: `robot_spec.Step` with tensors.

    Attributes:
        physics: the simulation after the step.
        qpos_before: positions [lane, nq] before the step.
        action: the action in [-1, 1], [lane, num_actions].
        period_s: length of the control period.
    """

    physics: WarpPhysics
    qpos_before: Tensor
    action: Tensor
    period_s: float


def identity_control(physics: WarpPhysics, action: Tensor) -> Tensor:
    """Return the action itself: actuators with a control range of [-1, 1]."""
    return action


@dataclass(frozen=True)
class WarpTask:
    """The torch side of a robot. Each function equals the RobotSpec's own, up to the source of random numbers.

    Attributes:
        reset: (physics, lanes, generator) writes start state and dynamics of the masked lanes [lane], on the device.
            It draws for every lane whatever the mask, so that no lane has to be counted on the host.
        reward: what happened in a control period -> reward [lane].
        terminated: physics -> mask [lane] of failures, after a step; None: episodes are only ever truncated.
        control: (physics, action in [-1, 1] [lane, num_actions]) -> controls [lane, nu].
        privileged: readers in torch, by key, for entries of `RobotSpec.privileged` whose own `read` needs NumPy. The
            others are read by the robot's own function: `WarpPhysics` answers `bind`, `expand` and `model` as a Batch
            does.
    """

    reset: Callable[[WarpPhysics, Tensor, torch.Generator], None]
    reward: Callable[[WarpStep], Tensor]
    terminated: Callable[[WarpPhysics], Tensor] | None = None
    control: Callable[[WarpPhysics, Tensor], Tensor] = identity_control
    privileged: Mapping[str, Callable[[WarpPhysics, Readings], Tensor]] = field(default_factory=dict)
