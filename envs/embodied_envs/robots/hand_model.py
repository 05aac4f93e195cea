"""The hand's model: a palm facing up, three fingers and an opposed thumb of four joints each, and a cube in the palm.

Finger and thumb are one chain, the thumb turned half round the vertical: the same joint motion pushes opposite sides of
the cube opposite ways. Joint angles are 0 in the cradle pose, in which the fingers stand around the cube and hardly
touch it. Links collide with the cube only: 15 pairs of geoms.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied_envs.native_timing import set_rate
from embodied_envs.robots.hand_fingertip import domed_taxels
from embodied_envs.robots.parts import add_ground, add_light, new_spec
from embodied_envs.tactile import add_tactile_skin

__all__ = ["CUBE_HALF_M", "FINGERS", "JOINTS", "PALM_TOP_M", "TAXELS", "build_hand"]

CONTROL_HZ = 20.0
TIMESTEP_S = 0.005
JOINT_HZ = 100.0
TOUCH_HZ = 100.0
TACTILE_HZ = 20.0
JOINT_DELAY_S = 0.015  # largest latency plus jitter with which joints and touch are read
TAXELS = (8, 6)  # towards the tip and around it

FINGERS = ("thumb", "index", "middle", "ring")
JOINTS = tuple(f"{finger}_{joint}" for finger in FINGERS for joint in ("flex", "spread", "curl", "tip"))
PALM_TOP_M = 0.16  # height of the palm's surface
PALM_HALF_M = (0.052, 0.066, 0.015)
RIM_Y_M, RIM_RADIUS_M = 0.066, 0.014  # soft rolls along both free edges, as the balls of a human hand
KNUCKLE_X_M, KNUCKLE_DROP_M = 0.055, 0.025  # from the palm's centre, below its surface
FINGER_GAP_M = 0.038
CUBE_HALF_M = 0.0325
CUBE_MASS_KG = 0.1
RUBBER = (-12000.0, -200.0)  # solref of a fingertip: indents about 0.3 mm under 1 N, as the moving masses are small
TIP_FRICTION, PALM_FRICTION = 1.2, 0.5  # rubber tips, smooth plastic elsewhere

MOTOR_KP, MOTOR_KV, MOTOR_MAX_NM = 1.0, 0.10, 0.4  # N m/rad, N m s/rad, N m: small geared servos of hand size
MAX_ACTUATOR_DELAY_S = 0.03

SKIN, BONE = (0.86, 0.68, 0.55, 1.0), (0.35, 0.38, 0.45, 1.0)
FACES = {
    "+x": (0.90, 0.15, 0.15, 1.0),
    "-x": (0.95, 0.60, 0.10, 1.0),
    "+y": (0.15, 0.70, 0.25, 1.0),
    "-y": (0.15, 0.35, 0.90, 1.0),
    "+z": (0.95, 0.95, 0.95, 1.0),
    "-z": (0.95, 0.90, 0.15, 1.0),
}
HIDDEN_GROUP = 3  # collides, is not drawn
_CUBE_BIT, _HAND_BIT = 1, 2


@dataclass(frozen=True)
class _Link:
    """One link along its own x axis; `bend_rad` is its angle to the link before, `range_rad` how far it turns."""

    name: str
    length_m: float
    radius_m: float
    mass_kg: float
    bend_rad: float
    range_rad: float


LINKS = (
    _Link("flex", 0.040, 0.0100, 0.040, math.radians(60), 0.7),
    _Link("curl", 0.030, 0.0095, 0.025, math.radians(35), 0.8),
    _Link("tip", 0.028, 0.0090, 0.020, math.radians(25), 0.8),
)
SPREAD_RANGE_RAD = 0.5


def build_hand() -> mujoco.MjSpec:
    """Return the model's specification: hand, cube, camera, actuators, sensors."""
    spec = new_spec(TIMESTEP_S)
    add_ground(spec, half_size_m=(1.0, 1.0))
    add_light(spec)
    palm = _add_palm(spec)
    for finger in FINGERS:
        _add_finger(spec, palm, finger)
    _add_cube(spec)
    _add_joint_sensors(spec)
    _add_fingertip_sensors(spec)
    return spec


def _add_palm(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    palm = spec.worldbody.add_body(name="palm", pos=[0, 0, PALM_TOP_M])
    palm.add_geom(
        name="palm", type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0, 0, -PALM_HALF_M[2]], size=list(PALM_HALF_M),
        rgba=list(BONE), contype=_HAND_BIT, conaffinity=0,
    )  # fmt: skip
    for side, y_m in (("left", RIM_Y_M), ("right", -RIM_Y_M)):
        palm.add_geom(
            name=f"{side}_rim", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[-0.04, y_m, 0, 0.04, y_m, 0],
            size=[RIM_RADIUS_M, 0, 0], rgba=list(SKIN), contype=_HAND_BIT, conaffinity=0,
        )  # fmt: skip
    palm.add_geom(
        name="forearm", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0, 0, -PALM_TOP_M, 0, 0, -0.06],
        size=[0.04, 0, 0], rgba=list(BONE), contype=0, conaffinity=0,
    )  # fmt: skip
    # Beside the palm, looking down at it: sees two sides and the top of the cube, and every finger.
    palm.add_camera(name="palm", pos=[0.05, -0.20, 0.17], xyaxes=_look(np.array([-0.045, 0.20, -0.15])), fovy=46)
    return palm


def _look(along: np.ndarray) -> list[float]:
    """Return a camera's x and y axes for a view direction, its picture upright."""
    x = np.cross(along, [0, 0, 1])
    return [*x, *np.cross(x, along)]


def _add_finger(spec: mujoco.MjSpec, palm: mujoco.MjsBody, finger: str) -> None:
    """Add a chain that points outwards (local x), then up around the cube; its inner side is local z."""
    number = FINGERS.index(finger)
    side = -1.0 if number == 0 else 1.0
    y_m = 0.0 if number == 0 else (2 - number) * FINGER_GAP_M
    body = palm.add_body(
        name=f"{finger}_knuckle",
        pos=[side * KNUCKLE_X_M, y_m, -KNUCKLE_DROP_M],
        quat=_turn([0, 0, 1], (side < 0) * math.pi),
    )
    at_m = 0.0
    for link in LINKS:
        body = body.add_body(name=f"{finger}_{link.name}", pos=[at_m, 0, 0], quat=_turn([0, -1, 0], link.bend_rad))
        _add_servo(spec, body, f"{finger}_{link.name}", (0, -1, 0), link.range_rad)
        if link is LINKS[0]:
            # After the flexion, so that a finger that stands up sweeps sideways instead of twisting.
            _add_servo(spec, body, f"{finger}_spread", (0, 0, 1), SPREAD_RANGE_RAD)
        _add_link_geom(body, finger, link)
        at_m = link.length_m
    _add_skin(spec, body, finger)


def _turn(axis: list[float], angle_rad: float) -> list[float]:
    return [math.cos(angle_rad / 2), *(math.sin(angle_rad / 2) * np.array(axis))]


def _add_servo(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, axis: tuple[int, int, int], range_rad: float
) -> None:
    """Add a hinge and its position servo: control in [-1, 1] is the target angle as a fraction of the range."""
    body.add_joint(
        name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=list(axis), limited=True, range=[-range_rad, range_rad],
        damping=0.01, armature=0.001, frictionloss=0.005,
    )  # fmt: skip
    actuator = spec.add_actuator(
        name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrllimited=True, ctrlrange=[-1, 1],
        gaintype=mujoco.mjtGain.mjGAIN_FIXED, biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        forcelimited=True, forcerange=[-MOTOR_MAX_NM, MOTOR_MAX_NM],
        nsample=1 + math.ceil(MAX_ACTUATOR_DELAY_S / TIMESTEP_S), delay=MAX_ACTUATOR_DELAY_S / 2,
    )  # fmt: skip
    actuator.gainprm[0] = MOTOR_KP * range_rad
    actuator.biasprm[:3] = [0.0, -MOTOR_KP, -MOTOR_KV]


def _add_link_geom(body: mujoco.MjsBody, finger: str, link: _Link) -> None:
    """Add a link's capsule; the last one is soft rubber, which alone decides its contacts with the cube."""
    is_tip = link is LINKS[-1]
    geom = body.add_geom(
        name=f"{finger}_{link.name}", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0, 0, 0, link.length_m, 0, 0],
        size=[link.radius_m, 0, 0], mass=link.mass_kg, rgba=list(SKIN if is_tip else BONE), contype=_HAND_BIT,
        conaffinity=0,
    )  # fmt: skip
    if is_tip:
        geom.solref, geom.priority, geom.condim = list(RUBBER), 2, 4
        geom.friction = [TIP_FRICTION, 0.005, 0.0001]


def _add_skin(spec: mujoco.MjSpec, tip: mujoco.MjsBody, finger: str) -> None:
    """Put taxels on the inner side and the dome of the last link, and a touch zone around all of it."""
    link = LINKS[-1]
    skin = domed_taxels(TAXELS, link.length_m, link.radius_m, bare_m=0.3 * link.length_m)
    tip.add_site(
        name=f"{finger}_touch", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0, 0, 0, link.length_m, 0, 0],
        size=[link.radius_m + 0.004, 0, 0], group=4,
    )  # fmt: skip
    add_tactile_skin(spec, tip, f"{finger}_tactile", skin, TACTILE_HZ, CONTROL_HZ)


def _add_cube(spec: mujoco.MjSpec) -> None:
    """Add the cube: a hidden box that collides, and a thin coloured plate on each side of it that is seen."""
    cube = spec.worldbody.add_body(name="cube", pos=[0, 0, PALM_TOP_M + CUBE_HALF_M])
    cube.add_freejoint(name="cube")
    cube.add_geom(
        name="cube", type=mujoco.mjtGeom.mjGEOM_BOX, size=[CUBE_HALF_M] * 3, mass=CUBE_MASS_KG, group=HIDDEN_GROUP,
        priority=1, friction=[PALM_FRICTION, 0.005, 0.0001], contype=_CUBE_BIT, conaffinity=_HAND_BIT,
    )  # fmt: skip
    for side, rgba in FACES.items():
        normal = np.array([side[1] == axis for axis in "xyz"]) * (1.0 if side[0] == "+" else -1.0)
        thin_m = 0.0005
        cube.add_geom(
            name=f"face{side}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=normal * (CUBE_HALF_M - thin_m),
            size=np.where(normal != 0, thin_m, CUBE_HALF_M - 2 * thin_m), rgba=list(rgba), mass=0, contype=0,
            conaffinity=0,
        )  # fmt: skip


def _add_joint_sensors(spec: mujoco.MjSpec) -> None:
    """Add encoders and torque readings, each kind declared side by side as `HistoryRows` needs."""
    kinds = {"angle": mujoco.mjtSensor.mjSENS_JOINTPOS, "torque": mujoco.mjtSensor.mjSENS_JOINTACTFRC}
    for kind, engine_type in kinds.items():
        for joint in JOINTS:
            sensor = spec.add_sensor(
                name=f"{joint}_{kind}", type=engine_type, objtype=mujoco.mjtObj.mjOBJ_JOINT, objname=joint
            )
            set_rate(sensor, JOINT_HZ, CONTROL_HZ, TIMESTEP_S, JOINT_DELAY_S)


def _add_fingertip_sensors(spec: mujoco.MjSpec) -> None:
    for finger in FINGERS:
        name = f"{finger}_touch"
        sensor = spec.add_sensor(
            name=name, type=mujoco.mjtSensor.mjSENS_TOUCH, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=name
        )
        set_rate(sensor, TOUCH_HZ, CONTROL_HZ, TIMESTEP_S, JOINT_DELAY_S)
