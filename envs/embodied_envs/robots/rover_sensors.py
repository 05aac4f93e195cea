"""The rover's sensors in the engine: where they sit, what they measure, and their sampling clocks."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math

import mujoco

from embodied_envs.microphones import add_microphones
from embodied_envs.native_timing import set_rate
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.parts import SENSOR_SITE_GROUP

__all__ = ["add_sensors"]


def add_sensors(spec: mujoco.MjSpec, chassis: mujoco.MjsBody) -> None:
    """Add encoders, inertial unit, lidar, bumper switch, microphones and camera."""
    _add_encoders(spec)
    _add_imu(spec, chassis)
    _add_lidar(spec, chassis)
    _add_bumper_switch(spec, chassis)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        angle = sign * rover.MICROPHONE_ANGLE_RAD
        place = (0.0, sign * rover.MICROPHONE_HALF_DISTANCE_M, rover.MICROPHONE_HEIGHT_M)
        chassis.add_site(
            name=f"{side}_ear", pos=list(place), group=SENSOR_SITE_GROUP,
            zaxis=[math.cos(angle), math.sin(angle), 0],
        )  # fmt: skip
    add_microphones(spec, ("left_ear", "right_ear"), 1.0 / rover.CONTROL_HZ, rover.MICROPHONE_LATENCY_S)
    chassis.add_camera(name="front", pos=[0.16, 0, 0.20], xyaxes=[0, -1, 0, 0.2, 0, 1], fovy=75)


def _add_encoders(spec: mujoco.MjSpec) -> None:
    for wheel in rover.WHEELS:
        sensor = spec.add_sensor(
            name=wheel, type=mujoco.mjtSensor.mjSENS_JOINTVEL, objtype=mujoco.mjtObj.mjOBJ_JOINT, objname=wheel
        )
        set_rate(sensor, rover.ENCODER_HZ, rover.CONTROL_HZ, rover.TIMESTEP_S)


def _add_imu(spec: mujoco.MjSpec, chassis: mujoco.MjsBody) -> None:
    """Add accelerometer and gyro, cut off at 8 g and 1000 deg/s."""
    chassis.add_site(name="imu", pos=[0, 0, 0.11], group=SENSOR_SITE_GROUP)
    kinds = {"accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER, "gyro": mujoco.mjtSensor.mjSENS_GYRO}
    for name, cutoff in (("accelerometer", 78.5), ("gyro", 17.5)):
        sensor = spec.add_sensor(
            name=name, type=kinds[name], objtype=mujoco.mjtObj.mjOBJ_SITE, objname="imu", cutoff=cutoff
        )
        set_rate(sensor, rover.IMU_HZ, rover.CONTROL_HZ, rover.TIMESTEP_S)


def _add_lidar(spec: mujoco.MjSpec, chassis: mujoco.MjsBody) -> None:
    """Add rays around the vertical, counter-clockwise from straight ahead, over payload and wheels, under the walls."""
    for ray in range(rover.LIDAR_RAYS):
        angle, name = 2 * math.pi * ray / rover.LIDAR_RAYS, f"lidar_{ray}"
        chassis.add_site(
            name=name, pos=[0, 0, rover.LIDAR_HEIGHT_M], group=SENSOR_SITE_GROUP,
            zaxis=[math.cos(angle), math.sin(angle), 0],
        )  # fmt: skip
        sensor = spec.add_sensor(
            name=name, type=mujoco.mjtSensor.mjSENS_RANGEFINDER, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=name,
            cutoff=rover.LIDAR_RANGE_M,
        )  # fmt: skip
        sensor.intprm[0] = 1 << int(mujoco.mjtRayDataField.mjRAYDATA_DIST)
        set_rate(sensor, rover.LIDAR_HZ, rover.CONTROL_HZ, rover.TIMESTEP_S, rover.LIDAR_LATENCY_S)


def _add_bumper_switch(spec: mujoco.MjSpec, chassis: mujoco.MjsBody) -> None:
    """Add a touch sensor around the bumper that leaves out the ground; rewards and probes read it, no policy does."""
    chassis.add_site(
        name="bump", type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[0, 0, 0.16],
        size=[rover.BUMPER_RADIUS_M + 0.05, 0.10, 0], group=SENSOR_SITE_GROUP,
    )  # fmt: skip
    sensor = spec.add_sensor(
        name="bump", type=mujoco.mjtSensor.mjSENS_TOUCH, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="bump"
    )
    sensor.nsample = rover.SUBSTEPS
