"""Streams at sub-step rate: what the engine's sensors and state do inside control periods."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from embodied_envs.nearest import nearest

__all__ = ["Substeps", "record_fields", "split_substeps"]

_STATE = ("qpos", "qvel", "ctrl")
_TIME = mujoco.mjtState.mjSTATE_TIME


@dataclass(frozen=True)
class Substeps:
    """Noise-free records of S substeps of every lane.

    Attributes:
        values: name -> [lane, S, ...]: time in s, qpos, qvel, ctrl at the end of a substep; every engine sensor [lane,
            S, dim] as computed during it, that is for the state at its start.
        valid: mask [lane, S]; false in the control period in which a lane's physics broke, and after it or a failure.
    """

    values: dict[str, np.ndarray]
    valid: np.ndarray


def record_fields() -> tuple[Any, ...]:
    """Return what `Batch.rollout` records: the time, which is a state component, and MjData fields."""
    return (_TIME, *_STATE, "sensordata")


def split_substeps(
    model: mujoco.MjModel,
    records: Sequence[dict[Any, np.ndarray]],
    invalid: Sequence[np.ndarray],
    names: Sequence[str] | None,
) -> Substeps:
    """Join the records of several control periods and name the sensors.

    Args:
        model: the model.
        records: per period, field -> [lane, substep, ...].
        invalid: per period, mask [lane] of lanes whose record means nothing.
        names: state fields and engine sensors to return; None: all.

    Raises:
        ValueError: an unknown name.
    """
    joined = {field: np.concatenate([record[field] for record in records], axis=1) for field in record_fields()}
    values = {"time": joined[_TIME][:, :, 0]} | {field: joined[field] for field in _STATE}
    values |= _by_sensor(model, joined["sensordata"])
    for name in names or ():
        if name not in values:
            raise ValueError(f"got record name {name!r}; {nearest(name, values)}")
    valid = np.repeat(~np.stack(invalid, axis=1), records[0][_TIME].shape[1], axis=1)
    return Substeps({name: values[name] for name in names or values}, valid)


def _by_sensor(model: mujoco.MjModel, sensordata: np.ndarray) -> dict[str, np.ndarray]:
    sensors = [model.sensor(index) for index in range(model.nsensor)]
    return {sensor.name: sensordata[:, :, sensor.adr[0] : sensor.adr[0] + sensor.dim[0]] for sensor in sensors}
