"""The arm's body: six hinges, a gripper with two soft fingers, a table, and one object or none.

Two links and a spherical wrist in the proportions of small laboratory arms: 0.62 m of reach to the wrist, 0.79 m to the
fingertips. The table is the plane z = 0 with the arm's foot at the origin; x points over the table, y to the arm's
left. Only what can meet collides: object with table, fingers and hand with both, forearm with the table.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied_envs.robots.arm_gripper import add_gripper, add_payload
from embodied_envs.robots.arm_parts import BLUE, DARK, OBJECT_BIT, TABLE_BIT, WHITE, add_position_servo
from embodied_envs.robots.parts import add_ground, add_light, new_spec

__all__ = ["HOME_RAD", "JOINTS", "TIMESTEP_S", "ArmScene", "add_arm_bodies"]

TIMESTEP_S = 0.005


@dataclass(frozen=True)
class _Link:
    """A hinge and the link that it moves.

    Attributes:
        name: name of body, joint and actuator.
        at_m: the joint in the parent's frame, along its z.
        axis: y pitches, z turns about the link.
        home_rad: where an episode starts, give or take.
        range_rad: limits.
        kp: stiffness of the position servo, N m / rad.
        kv: its damping, N m s / rad.
        torque_nm: its limit.
        armature: reflected rotor inertia, kg m^2.
        length_m: the link's capsule, from its joint along z.
        radius_m: of the capsule.
        mass_kg: of the link.
        rgba: colour.
    """

    name: str
    at_m: float
    axis: str
    home_rad: float
    range_rad: tuple[float, float]
    kp: float
    kv: float
    torque_nm: float
    armature: float
    length_m: float
    radius_m: float
    mass_kg: float
    rgba: tuple[float, float, float, float]


_LINKS = (
    _Link("yaw", 0.16, "z", 0.0, (-2.6, 2.6), 500.0, 50.0, 80.0, 0.20, 0.12, 0.055, 3.0, WHITE),
    _Link("shoulder", 0.12, "y", 0.625, (-1.2, 1.9), 800.0, 80.0, 80.0, 0.20, 0.32, 0.045, 2.5, BLUE),
    _Link("elbow", 0.32, "y", 1.449, (0.1, 2.6), 500.0, 45.0, 60.0, 0.15, 0.15, 0.038, 1.4, WHITE),
    _Link("forearm", 0.15, "z", 0.0, (-2.6, 2.6), 120.0, 8.0, 25.0, 0.05, 0.15, 0.034, 1.0, BLUE),
    _Link("wrist", 0.15, "y", 1.068, (-1.9, 1.9), 120.0, 8.0, 25.0, 0.05, 0.05, 0.032, 0.6, WHITE),
    _Link("hand", 0.07, "z", 0.0, (-2.8, 2.8), 60.0, 3.0, 12.0, 0.02, 0.0, 0.0, 0.0, DARK),
)
JOINTS = tuple(link.name for link in _LINKS)
HOME_RAD = np.array([link.home_rad for link in _LINKS])


@dataclass(frozen=True)
class ArmScene:
    """What differs between the tasks.

    Attributes:
        object_type: "box" or "cylinder", standing on the table; None: no object, and the hand carries a payload that
            its controller does not know of.
        object_half_m: the largest half sizes (x, y, z), or radius twice and half the height.
        goal_flat: the goal is a disc on the table instead of a ball in the air.
    """

    object_type: str | None
    object_half_m: tuple[float, float, float] = (0.03, 0.03, 0.03)
    goal_flat: bool = False


def add_arm_bodies(scene: ArmScene, skin_hz: float, control_hz: float) -> mujoco.MjSpec:
    """Return a specification with table, arm, gripper, cameras, goal and object; sensors but the skins come later."""
    spec = new_spec(TIMESTEP_S)
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 20.0  # a held object otherwise creeps out of soft fingers
    add_ground(spec, half_size_m=(1.2, 1.2), friction=0.6)
    add_light(spec, (-0.4, 0.3, -1.0))
    hand = _add_arm(spec)
    add_gripper(spec, hand, skin_hz, control_hz)
    _add_cameras(spec, hand)
    _add_goal(spec, scene)
    if scene.object_type is None:
        add_payload(hand)
    else:
        _add_object(spec, scene)
    return spec


def _add_arm(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Add foot and links; return the last link, the hand."""
    body = spec.worldbody
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[0.08, 0.06, 0], pos=[0, 0, 0.06], rgba=list(DARK), contype=0,
        conaffinity=0,
    )  # fmt: skip
    for link in _LINKS:
        body = body.add_body(name=link.name, pos=[0, 0, link.at_m], gravcomp=1.0)
        _add_servo(spec, body, link)
        if link.length_m:
            _add_capsule(body, link)
    return body


def _add_servo(spec: mujoco.MjSpec, body: mujoco.MjsBody, link: _Link) -> None:
    """Add a hinge with a position servo whose controller compensates the arm's own weight, within its torque limit."""
    body.add_joint(
        name=link.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, float(link.axis == "y"), float(link.axis == "z")],
        range=list(link.range_rad), limited=True, armature=link.armature, damping=link.kv / 20.0, actgravcomp=True,
        actfrclimited=True, actfrcrange=[-link.torque_nm, link.torque_nm],
    )  # fmt: skip
    add_position_servo(spec, link.name, link.kp, link.kv, link.range_rad)


def _add_capsule(body: mujoco.MjsBody, link: _Link) -> None:
    low = link.name in ("forearm", "wrist")
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0, 0, 0, 0, 0, link.length_m], size=[link.radius_m, 0, 0],
        mass=link.mass_kg, rgba=list(link.rgba), contype=0, conaffinity=TABLE_BIT if low else 0,
    )  # fmt: skip


def _add_cameras(spec: mujoco.MjSpec, hand: mujoco.MjsBody) -> None:
    hand.add_camera(name="wrist", fovy=75, **_looking((0.085, 0.0, 0.02), (0.0, 0.0, 0.16), (1.0, 0.0, 0.0)))
    spec.worldbody.add_camera(name="front", fovy=42, **_looking((1.20, -0.50, 0.65), (0.34, 0.0, 0.19), (0, 0, 1)))


def _looking(from_m: tuple, at_m: tuple, up: tuple) -> dict[str, list[float]]:
    """Return position and axes of a camera that looks from one point at another."""
    forward = np.subtract(at_m, from_m)
    right = np.cross(forward, up)
    above = np.cross(right, forward)
    axes = np.concatenate([right / np.linalg.norm(right), above / np.linalg.norm(above)])
    return {"pos": list(from_m), "xyaxes": axes.tolist()}


def _add_goal(spec: mujoco.MjSpec, scene: ArmScene) -> None:
    goal = spec.worldbody.add_body(name="goal", mocap=True, pos=[0.45, 0, 0.2])
    kind = mujoco.mjtGeom.mjGEOM_CYLINDER if scene.goal_flat else mujoco.mjtGeom.mjGEOM_SPHERE
    size = [0.05, 0.001, 0] if scene.goal_flat else [0.028, 0, 0]
    goal.add_geom(type=kind, size=size, rgba=[0.15, 0.9, 0.3, 1], contype=0, conaffinity=0)


def _add_object(spec: mujoco.MjSpec, scene: ArmScene) -> None:
    """Add the object at its largest size: what is computed from the size at compile time stays an upper bound."""
    x, y, z = scene.object_half_m
    box = scene.object_type == "box"
    body = spec.worldbody.add_body(name="object", pos=[0.45, 0, z])
    body.add_freejoint()
    body.add_geom(
        name="object", type=mujoco.mjtGeom.mjGEOM_BOX if box else mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[x, y, z] if box else [x, z, 0], mass=1.0, rgba=[0.85, 0.2, 0.25, 1], contype=OBJECT_BIT,
        conaffinity=TABLE_BIT,
    )  # fmt: skip
