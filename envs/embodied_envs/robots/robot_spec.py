"""What a robot module hands to the environments: a model, its manifests and three functions."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.sensors import Sensor

__all__ = ["Privileged", "RobotSpec"]

Readings = dict[str, np.ndarray]


@dataclass(frozen=True)
class Privileged:
    """One simulator quantity that probes may read and policies may not.

    Attributes:
        key: name in `info["privileged"]`.
        unit: unit of every element.
        group: probe group, one of velocities, contacts, poses, slow_dynamics.
        read: batch and clean readings -> array [lane, ...]; must not write to the batch.
    """

    key: str
    unit: str
    group: str
    read: Callable[[Batch, Readings], np.ndarray]


@dataclass(frozen=True)
class RobotSpec:
    """A robot and its task, for any number of lanes.

    Attributes:
        name: the robot's name.
        build: returns the model's specification; its timestep divides the control period.
        control_hz: actions per second.
        sensors: what the robot observes, in observation order.
        privileged: what probes may read.
        lane_fields: model fields that `reset_lane` writes per lane, expanded once at construction.
        reset_lane: (batch, lane, generator) writes one lane's start state and dynamics; draws only from the generator.
        reward: (qpos before [lane, nq], qpos after, action [lane, nu], control period in s) -> reward [lane].
    """

    name: str
    build: Callable[[], mujoco.MjSpec]
    control_hz: float
    sensors: tuple[Sensor, ...]
    privileged: tuple[Privileged, ...]
    lane_fields: tuple[str, ...]
    reset_lane: Callable[[Batch, int, np.random.Generator], None]
    reward: Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]
