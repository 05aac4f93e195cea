"""The quadruped's body: a 13 kg dog-sized robot of primitive geoms, twelve position-controlled joints and its sensors.

Each leg has an abduction, a hip and a knee joint; the model is built in its stance, so the engine's start positions are
the stance and a zero action holds it. Robot parts collide with the terrain, never with each other.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math

import mujoco
import numpy as np

from embodied_envs.native_timing import set_rate
from embodied_envs.robots.parts import SENSOR_SITE_GROUP, add_touch_site, new_spec
from embodied_envs.robots.quadruped_terrain import add_terrain

__all__ = ["JOINTS", "LEGS", "LIDAR_RAYS", "STANCE_RAD", "build_quadruped"]

CONTROL_HZ = 50.0
TIMESTEP_S = 0.005
IMU_HZ = 200.0
MOTOR_HZ = 200.0
LIDAR_HZ = 10.0
IMU_LATENCY_S = 0.005
MOTOR_LATENCY_S = 0.01
LIDAR_LATENCY_S, LIDAR_JITTER_S = 0.04, 0.02
ACTION_DELAY_S = (0.005, 0.025)  # from and to; each lane has its own

LEGS = ("front_left", "front_right", "hind_left", "hind_right")
_LEG_JOINTS = ("abduction", "hip", "knee")
JOINTS = tuple(f"{leg}_{joint}" for leg in LEGS for joint in _LEG_JOINTS)
"""Joint names in the order of actions, joint positions and torques."""

_SPLAY_RAD = 0.17  # feet a little outside the hips: under random actions it rolls over less often
_STANCE = {leg: (_SPLAY_RAD if leg.endswith("left") else -_SPLAY_RAD, 0.75, -1.5) for leg in LEGS}
STANCE_RAD = np.concatenate(list(_STANCE.values()))
ACTION_RAD = np.tile((0.2, 0.4, 0.6), len(LEGS))  # how far an action of 1 moves a joint's target from the stance
_RANGES_RAD = ((-0.7, 0.7), (-0.6, 2.2), (-2.5, -0.4))
_TORQUE_LIMITS_NM = (24.0, 24.0, 36.0)
STIFFNESS_NM_RAD = 80.0
DAMPING_NM_S_RAD = 2.0

_HIP_AT_M = (0.19, 0.05)
_ABDUCTION_OFFSET_M = 0.08
_LINK_M = 0.2
FOOT_RADIUS_M = 0.022
_REACH_M = 2.0 * _LINK_M * math.cos(0.75)  # from hip to foot, in the stance
_HALF_TRACK_M = _HIP_AT_M[1] + _ABDUCTION_OFFSET_M * math.cos(_SPLAY_RAD) + _REACH_M * math.sin(_SPLAY_RAD)
START_HEIGHT_M = FOOT_RADIUS_M + _REACH_M * math.cos(_SPLAY_RAD) - _ABDUCTION_OFFSET_M * math.sin(_SPLAY_RAD)

TRUNK = 1  # body number: the first after the world
FEET_AT_M = np.array(
    [[_HIP_AT_M[0] * (1 if "front" in leg else -1), _HALF_TRACK_M * (1 if "left" in leg else -1)] for leg in LEGS]
)  # where the feet stand under a level trunk, [leg, 2]

LIDAR_RAYS = 32
LIDAR_RANGE_M = 10.0
_LIDAR_AT_M = (0.05, 0.0, 0.14)
_LIDAR_DIP_RAD = math.radians(15.0)
CAMERA_PX = 64
NUM_USERDATA = 12  # the planned pushes

_BODY_RGBA = (0.82, 0.82, 0.86, 1.0)
_LEG_RGBA = {"left": (0.95, 0.55, 0.15, 1.0), "right": (0.25, 0.55, 0.95, 1.0)}


def build_quadruped() -> mujoco.MjSpec:
    """Return the model's specification: robot, terrain, cameras, sensors."""
    spec = new_spec(TIMESTEP_S)
    spec.nuserdata = NUM_USERDATA
    spec.stat.extent = 5.0  # not the terrain's 35 m: near clipping of cameras is a hundredth of it
    add_terrain(spec)
    trunk = _add_trunk(spec)
    for leg in LEGS:
        _add_leg(trunk, leg)
    for name in JOINTS:
        _add_motor(spec, name)
    _add_sensors(spec)
    return spec


def _add_trunk(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    trunk = spec.worldbody.add_body(name="trunk", pos=[0, 0, START_HEIGHT_M])
    trunk.add_freejoint(name="root")
    _add_box(trunk, (0, 0, 0), (0.20, 0.08, 0.05), 5.2, _BODY_RGBA)
    _add_box(trunk, (0.23, 0, 0.02), (0.04, 0.05, 0.035), 0.5, (0.2, 0.2, 0.24, 1.0))
    _add_box(trunk, (_LIDAR_AT_M[0], 0, 0.09), (0.03, 0.03, 0.04), 0.3, (0.2, 0.2, 0.24, 1.0))
    trunk.add_site(name="imu", group=SENSOR_SITE_GROUP)
    _add_lidar_sites(trunk)
    # Nose camera, 20 degrees down: the ground in front of the feet and the crates' upper edges.
    dip = math.radians(20.0)
    trunk.add_camera(name="nose", pos=[0.28, 0, 0.03], xyaxes=[0, -1, 0, math.sin(dip), 0, math.cos(dip)], fovy=75)
    trunk.add_camera(
        name="chase", pos=[-0.5, -1.5, 0.7], xyaxes=[0.95, -0.31, 0, 0.13, 0.39, 0.91], fovy=45,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACK,
    )  # fmt: skip
    # The payload lies in the trunk, out of the lidar's sight; a body of its own, so that mass and inertia are one row.
    payload = trunk.add_body(name="payload", pos=[-0.04, 0, 0.02])
    _add_box(payload, (0, 0, 0), (0.10, 0.06, 0.025), 1.0, (0.35, 0.75, 0.4, 1.0), collides=False)
    return trunk


def _add_box(
    body: mujoco.MjsBody, pos: tuple, half_m: tuple, mass_kg: float, rgba: tuple, collides: bool = True
) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, pos=list(pos), size=list(half_m), mass=mass_kg, rgba=list(rgba),
        contype=int(collides), conaffinity=0,
    )  # fmt: skip


def _add_lidar_sites(trunk: mujoco.MjsBody) -> None:
    """Add two rings of rays, counter-clockwise from straight ahead: level, and dipped to meet the ground at 1.7 m."""
    per_ring = LIDAR_RAYS // 2
    for ring, dip_rad in enumerate((0.0, _LIDAR_DIP_RAD)):
        for step in range(per_ring):
            azimuth = 2.0 * math.pi * step / per_ring
            flat = math.cos(dip_rad)
            trunk.add_site(
                name=f"lidar{ring * per_ring + step}", pos=list(_LIDAR_AT_M), group=SENSOR_SITE_GROUP,
                zaxis=[flat * math.cos(azimuth), flat * math.sin(azimuth), -math.sin(dip_rad)],
            )  # fmt: skip


def _add_leg(trunk: mujoco.MjsBody, leg: str) -> None:
    end, side = leg.split("_")
    forward, outward = (1 if end == "front" else -1), (1 if side == "left" else -1)
    rgba = _LEG_RGBA[side]
    hip = trunk.add_body(
        name=f"{leg}_hip", pos=[forward * _HIP_AT_M[0], outward * _HIP_AT_M[1], 0], quat=_turned(0, _STANCE[leg][0])
    )
    _add_hinge(hip, leg, 0, (1, 0, 0))
    _add_capsule(hip, (0, 0.03 * outward, 0), (0, _ABDUCTION_OFFSET_M * outward, 0), 0.042, 0.6, _BODY_RGBA)
    thigh = hip.add_body(
        name=f"{leg}_thigh", pos=[0, _ABDUCTION_OFFSET_M * outward, 0], quat=_turned(1, _STANCE[leg][1])
    )
    _add_hinge(thigh, leg, 1, (0, 1, 0))
    _add_capsule(thigh, (0, 0, 0), (0, 0, -_LINK_M), 0.025, 0.9, rgba)
    shank = thigh.add_body(name=f"{leg}_shank", pos=[0, 0, -_LINK_M], quat=_turned(1, _STANCE[leg][2]))
    _add_hinge(shank, leg, 2, (0, 1, 0))
    _add_capsule(shank, (0, 0, 0), (0, 0, -_LINK_M), 0.015, 0.2, rgba)
    _add_foot(shank, f"{leg}_foot")


def _turned(axis: int, angle_rad: float) -> list[float]:
    """Return the unit quaternion of a turn about the coordinate axis 0, 1 or 2."""
    quat = [math.cos(angle_rad / 2), 0.0, 0.0, 0.0]
    quat[1 + axis] = math.sin(angle_rad / 2)
    return quat


def _add_hinge(body: mujoco.MjsBody, leg: str, index: int, axis: tuple) -> None:
    # ref: the model is drawn in its stance, where the joint already stands at the stance angle.
    body.add_joint(
        name=f"{leg}_{_LEG_JOINTS[index]}", type=mujoco.mjtJoint.mjJNT_HINGE, axis=list(axis), ref=_STANCE[leg][index],
        range=list(_RANGES_RAD[index]), limited=True, damping=0.3, armature=0.01,
    )  # fmt: skip


def _add_capsule(body: mujoco.MjsBody, start: tuple, end: tuple, radius_m: float, mass_kg: float, rgba: tuple) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*start, *end], size=[radius_m, 0, 0], mass=mass_kg,
        rgba=list(rgba), conaffinity=0,
    )  # fmt: skip


def _add_foot(shank: mujoco.MjsBody, name: str) -> None:
    """Add a rubber ball, and a touch zone a little wider than it, to hold all its contacts."""
    shank.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=[0, 0, -_LINK_M], size=[FOOT_RADIUS_M, 0, 0], mass=0.06,
        rgba=[0.15, 0.15, 0.15, 1.0], conaffinity=0,
    )  # fmt: skip
    shank.add_site(
        name=f"{name}_touch", type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=[0, 0, -_LINK_M],
        size=[FOOT_RADIUS_M + 0.008, 0, 0], group=SENSOR_SITE_GROUP,
    )  # fmt: skip


def _add_motor(spec: mujoco.MjSpec, name: str) -> None:
    """Add a position servo: torque = k (stance + scale * control - q) - d * dq, with limited torque, after a delay."""
    index = JOINTS.index(name)
    limit = _TORQUE_LIMITS_NM[index % 3]
    motor = spec.add_actuator(
        name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrllimited=True, ctrlrange=[-1, 1],
        forcelimited=True, forcerange=[-limit, limit], gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
    )  # fmt: skip
    motor.gainprm[0] = STIFFNESS_NM_RAD * ACTION_RAD[index]
    motor.biasprm[:3] = [STIFFNESS_NM_RAD * STANCE_RAD[index], -STIFFNESS_NM_RAD, -DAMPING_NM_S_RAD]
    motor.nsample = round(ACTION_DELAY_S[1] / TIMESTEP_S)
    motor.delay = sum(ACTION_DELAY_S) / 2


def _add_sensors(spec: mujoco.MjSpec) -> None:
    types, objects = mujoco.mjtSensor, mujoco.mjtObj
    # Cut-offs of common IMUs: 16 g and 2000 degrees per second.
    for name, kind, cutoff in (("accelerometer", types.mjSENS_ACCELEROMETER, 157.0), ("gyro", types.mjSENS_GYRO, 35.0)):
        sensor = spec.add_sensor(name=name, type=kind, objtype=objects.mjOBJ_SITE, objname="imu", cutoff=cutoff)
        set_rate(sensor, IMU_HZ, CONTROL_HZ, TIMESTEP_S, IMU_LATENCY_S)
    for suffix, kind in (("pos", types.mjSENS_JOINTPOS), ("torque", types.mjSENS_JOINTACTFRC)):
        for name in JOINTS:
            sensor = spec.add_sensor(name=f"{name}_{suffix}", type=kind, objtype=objects.mjOBJ_JOINT, objname=name)
            set_rate(sensor, MOTOR_HZ, CONTROL_HZ, TIMESTEP_S, MOTOR_LATENCY_S)
    for leg in LEGS:
        add_touch_site(spec, f"{leg}_foot_touch", round(1.0 / (CONTROL_HZ * TIMESTEP_S)))
    for ray in range(LIDAR_RAYS):
        sensor = spec.add_sensor(
            name=f"lidar{ray}", type=types.mjSENS_RANGEFINDER, objtype=objects.mjOBJ_SITE, objname=f"lidar{ray}",
            cutoff=LIDAR_RANGE_M,
        )  # fmt: skip
        sensor.intprm[0] = 1  # the ray's distance only
        set_rate(sensor, LIDAR_HZ, CONTROL_HZ, TIMESTEP_S, LIDAR_LATENCY_S + LIDAR_JITTER_S)
