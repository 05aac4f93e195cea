"""What the arm's model modules share: collision bits, colours, and the position servo."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco

__all__ = ["ACTION_SAMPLES", "BLUE", "DARK", "OBJECT_BIT", "TABLE_BIT", "WHITE", "add_position_servo"]

ACTION_SAMPLES = 8  # commands kept per actuator: a lane's action latency is at most that many timesteps
TABLE_BIT, OBJECT_BIT = 1, 2  # what a geom is (contype), and what it can meet (conaffinity)
WHITE, BLUE, DARK = (0.85, 0.86, 0.88, 1.0), (0.20, 0.42, 0.80, 1.0), (0.38, 0.38, 0.44, 1.0)


def add_position_servo(
    spec: mujoco.MjSpec, joint: str, kp: float, kv: float, range_: tuple[float, float]
) -> mujoco.MjsActuator:
    """Add a position servo on a joint, N m / rad and N m s / rad (or N / m and N s / m), that can be late."""
    actuator = spec.add_actuator(
        name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrllimited=True, ctrlrange=list(range_)
    )
    actuator.set_to_position(kp=kp, kv=kv)
    actuator.nsample = ACTION_SAMPLES
    return actuator
