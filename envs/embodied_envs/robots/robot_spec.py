"""What a robot module hands to the environments: a model, its manifests and a few functions over all lanes."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.sensors import Sensor

__all__ = ["GROUPS", "Privileged", "RobotSpec", "Step"]

Readings = dict[str, np.ndarray]

GROUPS = ("velocities", "contacts", "forces", "poses", "task", "slow_dynamics", "nuisance")
"""Probe groups. A good representation gives the first six; nuisance targets are what it should be blind to."""


@dataclass(frozen=True)
class Privileged:
    """One simulator quantity that probes may read and policies may not.

    Attributes:
        key: name in `info["privileged"]`.
        unit: unit of every element.
        group: one of `GROUPS`.
        read: batch and clean readings -> array [lane, ...]; must not write to the batch.
    """

    key: str
    unit: str
    group: str
    read: Callable[[Batch, Readings], np.ndarray]


@dataclass(frozen=True)
class Step:
    """One control period as rewards see it.

    Attributes:
        batch: the simulation after the step.
        qpos_before: positions [lane, nq] before the step.
        action: the action in [-1, 1], [lane, num_actions].
        period_s: length of the control period.
    """

    batch: Batch
    qpos_before: np.ndarray
    action: np.ndarray
    period_s: float


def identity_control(batch: Batch, action: np.ndarray) -> np.ndarray:
    """Return the action itself: actuators with a control range of [-1, 1]."""
    return action


@dataclass(frozen=True)
class RobotSpec:
    """A robot and its task, for any number of lanes.

    Attributes:
        name: the robot's name.
        summary: robot, task and reward in one line, for lists and docs.
        build: returns the model's specification; its timestep divides the control period.
        control_hz: actions per second.
        episode_ticks: actions until an episode is truncated, unless the environment is told otherwise.
        sensors: what the robot observes, in observation order.
        privileged: what probes may read.
        lane_fields: model fields that `reset_lane` writes per lane, expanded once at construction.
        reset_lane: (batch, lane, generator) writes one lane's start state and dynamics; draws only from the generator.
        reward: what happened in a control period -> reward [lane].
        terminated: batch -> mask [lane] of failures, after a step; None: episodes are only ever truncated.
        num_actions: size of the action; None: one per actuator.
        control: (batch, action in [-1, 1] [lane, num_actions]) -> controls [lane, nu].
        perturb: (batch, lanes) called before each control period with the indices of the lanes about to be stepped;
            may write state fields (forces, mocap poses). It draws nothing: `reset_lane` plans an episode's events, for
            example in `userdata`.
        action_repeat: control periods that one action lasts; rewards are summed. `control_hz` counts actions.
        stage: forward stages computed at the new state after each step. mjSTAGE_NONE: derived fields (xpos, sensordata)
            are one substep old; mjSTAGE_VEL: positions and velocities are current, at the cost of half a substep.
    """

    name: str
    summary: str
    build: Callable[[], mujoco.MjSpec]
    control_hz: float
    episode_ticks: int
    sensors: tuple[Sensor, ...]
    privileged: tuple[Privileged, ...]
    lane_fields: tuple[str, ...]
    reset_lane: Callable[[Batch, int, np.random.Generator], None]
    reward: Callable[[Step], np.ndarray]
    terminated: Callable[[Batch], np.ndarray] | None = None
    num_actions: int | None = None
    control: Callable[[Batch, np.ndarray], np.ndarray] = identity_control
    perturb: Callable[[Batch, np.ndarray], None] | None = None
    action_repeat: int = 1
    stage: mujoco.mjtStage = mujoco.mjtStage.mjSTAGE_NONE
