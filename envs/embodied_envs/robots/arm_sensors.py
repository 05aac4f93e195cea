"""What an arm senses: the engine's sensors and the manifest that says how real ones of this class behave.

Where the figures come from, for research arms of the 5 kg payload class:

* joint encoders of 12 to 14 bits, read over a bus: 1 to 2 mrad of noise, a calibration error of a few mrad;
* joint torques from motor current through a geared drive: noise and offset of some tenths of a N m;
* a six-axis wrist sensor with strain gauges: some tenths of a N, 5 to 10 mN m, an offset that drifts with temperature;
* fingertips: `embodied_envs.tactile`;
* the goal comes from a marker tracker beside the table: 10 Hz, some 40 ms late, 3 mm, now and then occluded.

The object has no tracker: where it is, only cameras, fingertips and wrist can tell.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco

from embodied_envs.native_timing import set_rate
from embodied_envs.robots.arm_gripper import OPEN_M, SIDES, TAXELS
from embodied_envs.robots.arm_model import JOINTS, TIMESTEP_S, ArmScene, add_arm_bodies
from embodied_envs.sensors import Camera, HistoryRows, Sensor
from embodied_envs.tactile import tactile_sensor

__all__ = ["ARM_SENSORS", "CONTROL_HZ", "build_arm"]

CONTROL_HZ = 20.0
SKIN_HZ = 20.0
WRIST_CAMERA_HZ = 5.0
FRONT_CAMERA_HZ = 2.5
CAMERA_PX = 64

_JOINT, _SITE, _BODY = (mujoco.mjtObj.mjOBJ_JOINT, mujoco.mjtObj.mjOBJ_SITE, mujoco.mjtObj.mjOBJ_BODY)
_FOUND_AND_FORCE = 1 << int(mujoco.mjtConDataField.mjCONDATA_FOUND) | 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE)
_NETFORCE = 3  # reduce="netforce"


def _rows(key: str, modality: str, unit: str, rate_hz: float, names: tuple[str, ...], row: int, **figures) -> Sensor:
    """Return a sensor of engine sensors `names`, whose rows hold `row` values."""
    rows = max(1, round(rate_hz / CONTROL_HZ))
    shape = (rows, row) if rate_hz > CONTROL_HZ else (row,)
    return Sensor(key, modality, unit, rate_hz, shape, source=HistoryRows(names), **figures)


def _camera(key: str, rate_hz: float, latency_s: float) -> Sensor:
    shape = (CAMERA_PX, CAMERA_PX, 3)
    source = Camera(key.removesuffix("_camera"))
    return Sensor(key, "camera", "intensity", rate_hz, shape, 0.0, 0.0, 255.0, source, latency_s=latency_s)


_FINGERS = tuple(f"{side}_finger" for side in SIDES)

ARM_SENSORS = (
    _rows(
        "joint_pos", "joint", "rad", 100.0, tuple(f"{joint}_pos" for joint in JOINTS), len(JOINTS), noise_std=0.0015,
        low=-3.2, high=3.2, latency_s=0.004, bias_std=0.003, dropout=0.001,
    ),
    _rows(
        "joint_torque", "joint", "N m", 40.0, tuple(f"{joint}_effort" for joint in JOINTS), len(JOINTS),
        noise_std=0.3, low=-80.0, high=80.0, latency_s=0.008, bias_std=0.3,
    ),
    _rows(
        "gripper_pos", "joint", "m", 20.0, ("left_finger_pos",), 1, noise_std=0.0003,
        low=-0.01, high=OPEN_M + 0.01, latency_s=0.010, bias_std=0.0003,
    ),
    _rows(
        "wrist_force", "force", "N", 100.0, ("wrist_force",), 3, noise_std=0.25, low=-200.0, high=200.0,
        latency_s=0.004, bias_std=0.4, dropout=0.001,
    ),
    _rows(
        "wrist_torque", "force", "N m", 100.0, ("wrist_torque",), 3, noise_std=0.008, low=-10.0, high=10.0,
        latency_s=0.004, bias_std=0.02, dropout=0.001,
    ),
    *(tactile_sensor(f"tactile_{side}", f"{side}_tactile", TAXELS, SKIN_HZ, CONTROL_HZ) for side in SIDES),
    _rows(
        "goal", "position", "m", 10.0, ("goal",), 3, noise_std=0.003, low=-2.0, high=2.0, latency_s=0.040,
        jitter_s=0.020, bias_std=0.002, dropout=0.02,
    ),
    _camera("wrist_camera", WRIST_CAMERA_HZ, 0.050),
    _camera("front_camera", FRONT_CAMERA_HZ, 0.050),
)  # fmt: skip
"""`goal` is in the frame of the arm's foot. What the wrist exerts on the hand is in the hand's frame."""


def build_arm(scene: ArmScene) -> mujoco.MjSpec:
    """Return the model's specification: bodies, cameras and every engine sensor."""
    spec = add_arm_bodies(scene, SKIN_HZ, CONTROL_HZ)
    by_key = {sensor.key: sensor for sensor in ARM_SENSORS}
    kinds = mujoco.mjtSensor
    for name in (*JOINTS, _FINGERS[0]):
        timing = by_key["joint_pos" if name in JOINTS else "gripper_pos"]
        _add(spec, f"{name}_pos", kinds.mjSENS_JOINTPOS, _JOINT, name, timing)
    for joint in JOINTS:
        _add(spec, f"{joint}_effort", kinds.mjSENS_JOINTACTFRC, _JOINT, joint, by_key["joint_torque"])
    _add(spec, "wrist_force", kinds.mjSENS_FORCE, _SITE, "wrist_ft", by_key["wrist_force"])
    _add(spec, "wrist_torque", kinds.mjSENS_TORQUE, _SITE, "wrist_ft", by_key["wrist_torque"])
    _add(spec, "goal", kinds.mjSENS_FRAMEPOS, _BODY, "goal", by_key["goal"])
    for finger in _FINGERS:
        _add_contact(spec, finger, "object" if scene.object_type else None)
    return spec


def _add(
    spec: mujoco.MjSpec, name: str, kind: mujoco.mjtSensor, of: mujoco.mjtObj, target: str, timing: Sensor
) -> None:  # fmt: skip
    sensor = spec.add_sensor(name=name, type=kind, objtype=of, objname=target)
    set_rate(sensor, timing.rate_hz, CONTROL_HZ, TIMESTEP_S, timing.latency_s + timing.jitter_s)


def _add_contact(spec: mujoco.MjSpec, finger: str, other: str | None) -> None:
    """Add what probes and rewards know of a finger's contact with `other` (None: with anything): [found, force]."""
    against = {} if other is None else {"reftype": _BODY, "refname": other}
    spec.add_sensor(
        name=f"{finger}_contact", type=mujoco.mjtSensor.mjSENS_CONTACT, objtype=_BODY, objname=finger,
        intprm=[_FOUND_AND_FORCE, _NETFORCE, 1], **against,
    )  # fmt: skip
