"""The arm's gripper: palm, two soft fingers driven as one, tactile skins, wrist sensor site, and a payload."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np

from embodied_envs.robots.arm_parts import DARK, OBJECT_BIT, TABLE_BIT, add_position_servo
from embodied_envs.tactile import SOFT_PAD, add_tactile_skin, flat_taxels

__all__ = ["FINGER_AT_M", "GRIP_AT_M", "OPEN_M", "SIDES", "SKIN_HALF_M", "TAXELS", "add_gripper", "add_payload"]

SIDES = ("left", "right")
OPEN_M = 0.045  # travel of one finger: the gripper opens to 9 cm
GRIP_FORCE_N = 20.0
TAXELS = (8, 8)
SKIN_HALF_M = (0.014, 0.011)  # along the finger and across it
GRIP_AT_M = 0.105  # from the hand's joint to the middle of the pads
FINGER_AT_M = 0.05  # from the hand's joint to the fingers' roots


def add_gripper(spec: mujoco.MjSpec, hand: mujoco.MjsBody, skin_hz: float, control_hz: float) -> None:
    """Add palm and fingers to the hand, whose z is the approach and whose y the fingers' travel."""
    _add_palm(hand)
    for side in SIDES:
        _add_finger(spec, hand, side, skin_hz, control_hz)
    _add_grip(spec)


def _add_palm(hand: mujoco.MjsBody) -> None:
    hand.add_geom(
        name="palm", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.028, 0.055, 0.022], pos=[0, 0, 0.028], mass=0.4,
        rgba=list(DARK), contype=0, conaffinity=TABLE_BIT | OBJECT_BIT,
    )  # fmt: skip
    hand.add_site(name="wrist_ft", size=[0.005, 0, 0], group=4)
    hand.add_site(name="grip", pos=[0, 0, GRIP_AT_M], size=[0.005, 0, 0], group=4)


def _add_finger(spec: mujoco.MjSpec, hand: mujoco.MjsBody, side: str, skin_hz: float, control_hz: float) -> None:
    """Add a finger that slides along the hand's y; its own frame has y outward, and its pad in the plane y = 0."""
    turned = [1.0, 0, 0, 0] if side == "left" else [0, 0, 0, 1.0]
    finger = hand.add_body(name=f"{side}_finger", pos=[0, 0, FINGER_AT_M], quat=turned, gravcomp=1.0)
    # Geared motors make fingers heavy. Lighter ones would chatter: a servo at its force limit is integrated explicitly.
    finger.add_joint(
        name=finger.name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 1, 0], range=[0.0, OPEN_M], limited=True,
        damping=5.0, armature=0.2,
    )  # fmt: skip
    finger.add_geom(
        name=f"{side}_pad", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.011, 0.007, 0.035], pos=[0, 0.007, 0.035],
        mass=0.05, rgba=[0.9, 0.55, 0.2, 1], contype=0, conaffinity=TABLE_BIT | OBJECT_BIT, condim=4, priority=1,
        solref=list(SOFT_PAD), friction=[1.0, 0.01, 0.0001],
    )  # fmt: skip
    # Rows go towards the tip, columns across; the normal points at the other finger.
    axes = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    taxels = flat_taxels(TAXELS, SKIN_HALF_M).moved((0, 0, GRIP_AT_M - FINGER_AT_M), axes)
    add_tactile_skin(spec, finger, f"{side}_tactile", taxels, skin_hz, control_hz)


def _add_grip(spec: mujoco.MjSpec) -> None:
    """Couple the fingers as a rack and pinion does, and drive them by one servo that its force limit makes gentle."""
    left, right = (f"{side}_finger" for side in SIDES)
    spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT, objtype=mujoco.mjtObj.mjOBJ_JOINT, name1=right, name2=left,
        data=[0, 1] + [0] * 10, solref=[0.01, 1.0], solimp=[0.99, 0.999, 0.001, 0.5, 2.0],
    )  # fmt: skip
    actuator = add_position_servo(spec, left, 3000.0, 80.0, (-0.02, OPEN_M))
    actuator.name = "gripper"
    # Both fingers press with half of what the motor gives.
    actuator.forcelimited, actuator.forcerange = True, [-2 * GRIP_FORCE_N, 2 * GRIP_FORCE_N]


def add_payload(hand: mujoco.MjsBody) -> None:
    """Add 1 kg that is scaled per lane, in a body of its own, so that it is one row; nothing compensates its weight."""
    payload = hand.add_body(name="payload", pos=[0, 0, 0.028])
    payload.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.04, 0.035, 0.012], mass=1.0, rgba=[0.6, 0.35, 0.8, 1], contype=0,
        conaffinity=0,
    )  # fmt: skip
