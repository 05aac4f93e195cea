"""Runner: a planar two-legged runner, six torque motors, rewarded for its forward speed.

A long torso carries a rear and a front leg of three hinges each. Springs hold a crouched stance, so that it stands when
nothing acts, and bounces when the motors do. All geoms are capsules, boxes and one sphere: cheap to simulate and draw.
It moves in the x-z plane on a boom, as planar laboratory runners do: root joints are x, z and a limited pitch about y.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.parts import add_ground, add_light, add_touch_site, new_spec
from embodied_envs.robots.robot_spec import Privileged, Readings, RobotSpec, Step
from embodied_envs.sensors import Camera, HistoryMean, HistoryRows, Qpos, Sensor

__all__ = ["ROBOT", "build_runner"]

CONTROL_HZ = 20.0
TIMESTEP_S = 0.005
IMU_HZ = 80.0
CAMERA_HZ = 2.5
CAMERA_PX = 64

BODY_WEIGHT_N = 106.0  # of the robot with its nominal 1 kg payload, rounded; sets the touch noise only
START_HEIGHT_M = 0.48
HIP_X_M = 0.36  # a long, low body: under random torques it seldom rolls over onto its back
PITCH_LIMIT_RAD = 0.8  # the boom that holds a planar robot in its plane also keeps it from rolling onto its back
ROOT_DOFS = 3
NUM_JOINTS = 6
ACTION_COST = 0.1
FRICTION_RANGE = (0.6, 1.2)
PAYLOAD_RANGE_KG = (0.1, 2.0)
CONTACT_FORCE_N = 1.0


@dataclass(frozen=True)
class _Segment:
    """One link of a leg: its end point relative to its joint, (x, z) in m, and its joint's limits and strength."""

    name: str
    end_m: tuple[float, float]
    radius_m: float
    range_rad: tuple[float, float]
    stiffness: float
    damping: float
    torque_nm: float


def _leg(bend_m: float) -> tuple[_Segment, ...]:
    """Return thigh, shin and foot; `bend_m` is how far the knee lies in front of (+) or behind (-) the hip."""
    return (
        _Segment("hip", (bend_m, -0.19), 0.045, (-0.9, 0.9), 65.0, 3.0, 42.0),
        _Segment("knee", (-1.5 * bend_m, -0.18), 0.038, (-0.9, 0.9), 55.0, 2.5, 35.0),
        _Segment("ankle", (0.09, -0.07), 0.032, (-0.7, 0.7), 40.0, 1.2, 17.0),
    )


def build_runner() -> mujoco.MjSpec:
    """Return the model's specification: robot, ground, camera, sensors."""
    spec = new_spec(TIMESTEP_S)
    add_ground(spec)
    add_light(spec)
    torso = _add_torso(spec)
    _add_leg(spec, torso, "back", -HIP_X_M, _leg(0.10), (0.95, 0.55, 0.15, 1.0))
    _add_leg(spec, torso, "front", HIP_X_M, _leg(-0.08), (0.25, 0.55, 0.95, 1.0))
    _add_imu(spec)
    return spec


def _add_torso(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    torso = spec.worldbody.add_body(name="torso", pos=[0, 0, START_HEIGHT_M])
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    torso.add_joint(name="root_x", type=slide, axis=[1, 0, 0])
    torso.add_joint(name="root_z", type=slide, axis=[0, 0, 1])
    torso.add_joint(
        name="root_pitch", type=hinge, axis=[0, 1, 0], limited=True, range=[-PITCH_LIMIT_RAD, PITCH_LIMIT_RAD]
    )
    _add_capsule(torso, (-0.40, 0.0), (0.40, 0.0), 0.075, 6.0, (0.80, 0.80, 0.85, 1.0))
    torso.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=[0.50, 0, 0.10], size=[0.08, 0, 0], mass=0.6, rgba=[0.9, 0.2, 0.25, 1],
        conaffinity=0,
    )  # fmt: skip
    torso.add_site(name="imu")
    _add_payload(torso)
    # A tracking camera keeps its offset and orientation in the world: the ground moves through the picture.
    torso.add_camera(
        name="side", pos=[0, -1.7, 0.15], xyaxes=[1, 0, 0, 0, 0.2, 1], fovy=45, mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACK
    )
    return torso


def _add_payload(torso: mujoco.MjsBody) -> None:
    """Add a box of 1 kg whose mass and inertia are scaled per lane; a body of its own, so that they are one row."""
    payload = torso.add_body(name="payload", pos=[-0.05, 0, 0.11])
    payload.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.12, 0.06, 0.04], mass=1.0, rgba=[0.35, 0.75, 0.4, 1], conaffinity=0
    )


def _add_leg(
    spec: mujoco.MjSpec, torso: mujoco.MjsBody, side: str, hip_x_m: float, leg: tuple[_Segment, ...], rgba: tuple
) -> None:
    body, joint_at = torso, (hip_x_m, 0.0)
    masses_kg = (0.8, 0.5, 0.3)
    for segment, mass_kg in zip(leg, masses_kg, strict=True):
        body = body.add_body(name=f"{side}_{segment.name}", pos=[joint_at[0], 0, joint_at[1]])
        _add_motorised_hinge(spec, body, segment)
        _add_capsule(body, (0.0, 0.0), segment.end_m, segment.radius_m, mass_kg, rgba)
        joint_at = segment.end_m
    _add_touch(spec, body, f"{side}_touch", leg[-1])


def _add_motorised_hinge(spec: mujoco.MjSpec, body: mujoco.MjsBody, segment: _Segment) -> None:
    body.add_joint(
        name=body.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 1, 0], range=list(segment.range_rad),
        limited=True, stiffness=segment.stiffness, damping=segment.damping, armature=0.03,
    )  # fmt: skip
    actuator = spec.add_actuator(
        name=body.name, target=body.name, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrllimited=True, ctrlrange=[-1, 1]
    )
    actuator.gear[0] = segment.torque_nm


def _add_capsule(
    body: mujoco.MjsBody, start: tuple[float, float], end: tuple[float, float], radius_m: float, mass_kg: float,
    rgba: tuple,
) -> None:  # fmt: skip
    """Add a capsule in the x-z plane. conaffinity 0: robot parts collide with the ground, never with each other."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[start[0], 0, start[1], end[0], 0, end[1]], size=[radius_m, 0, 0],
        mass=mass_kg, rgba=list(rgba), conaffinity=0,
    )  # fmt: skip


def _add_touch(spec: mujoco.MjSpec, foot: mujoco.MjsBody, name: str, segment: _Segment) -> None:
    """Add a touch sensor over the whole foot; its zone is a little thicker than the geom, to hold all contacts."""
    end = segment.end_m
    foot.add_site(
        name=name, type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0, 0, 0, end[0], 0, end[1]],
        size=[segment.radius_m + 0.01, 0, 0], group=4,
    )  # fmt: skip
    add_touch_site(spec, name, round(1.0 / (CONTROL_HZ * TIMESTEP_S)))  # the mean is over one control period


def _add_imu(spec: mujoco.MjSpec) -> None:
    """Add accelerometer and gyro at IMU_HZ, cut off at 16 g and 2000 deg/s as common IMUs are.

    The phase puts every due time half-way between two substeps, where rounding of `time` cannot move it to another
    one: each control period holds exactly four samples.
    """
    kinds = {"accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER, "gyro": mujoco.mjtSensor.mjSENS_GYRO}
    for name, cutoff in (("accelerometer", 157.0), ("gyro", 35.0)):
        sensor = spec.add_sensor(
            name=name, type=kinds[name], objtype=mujoco.mjtObj.mjOBJ_SITE, objname="imu", cutoff=cutoff
        )
        sensor.nsample = round(IMU_HZ / CONTROL_HZ)
        sensor.interval = [1.0 / IMU_HZ, -0.5 / IMU_HZ]


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write one lane's start: a jittered stance almost at rest, new ground friction, new payload."""
    qpos, qvel = batch.bind("qpos")[lane], batch.bind("qvel")[lane]
    qpos[2:] = generator.uniform(-0.06, 0.06, qpos.size - 2)
    qvel[:] = generator.normal(0.0, 0.05, qvel.size)
    model = batch.model
    batch.expand("geom_friction")[lane, model.geom("ground").id, 0] = generator.uniform(*FRICTION_RANGE)
    payload, mass_kg = model.body("payload").id, generator.uniform(*PAYLOAD_RANGE_KG)
    batch.expand("body_mass")[lane, payload] = mass_kg
    batch.expand("body_inertia")[lane, payload] = model.body_inertia[payload] * mass_kg


def forward_reward(step: Step) -> np.ndarray:
    """Return mean forward speed in m/s minus the action's cost, [lane]."""
    speed = (step.batch.bind("qpos")[:, 0] - step.qpos_before[:, 0]) / step.period_s
    return speed - ACTION_COST * np.square(step.action).sum(axis=1)


def _root_vel(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("qvel")[:, :ROOT_DOFS]


def _joint_vel(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("qvel")[:, ROOT_DOFS:]


def _root_pose(batch: Batch, clean: Readings) -> np.ndarray:
    """Height and pitch; x is left out, as nothing on the robot can know it."""
    return batch.bind("qpos")[:, 1:ROOT_DOFS] + np.array([START_HEIGHT_M, 0.0])


def _joint_pos(batch: Batch, clean: Readings) -> np.ndarray:
    return clean["joint_pos"]


def _contact(batch: Batch, clean: Readings) -> np.ndarray:
    return clean["touch"] > CONTACT_FORCE_N


def _contact_force(batch: Batch, clean: Readings) -> np.ndarray:
    return clean["touch"]


def _friction(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("geom_friction")[:, batch.model.geom("ground").id, :1]


def _payload_kg(batch: Batch, clean: Readings) -> np.ndarray:
    payload = batch.model.body("payload").id
    return batch.expand("body_mass")[:, payload : payload + 1]


_ROWS = round(IMU_HZ / CONTROL_HZ)

ROBOT = RobotSpec(
    name="Runner",
    summary="Planar two-legged runner with six torque motors on a boom; rewarded for its forward speed.",
    build=build_runner,
    control_hz=CONTROL_HZ,
    episode_ticks=300,
    sensors=(
        Sensor("joint_pos", "joint", "rad", CONTROL_HZ, (NUM_JOINTS,), 0.03, -3.2, 3.2, Qpos(ROOT_DOFS, NUM_JOINTS)),
        Sensor(
            "accelerometer", "imu", "m/s^2", IMU_HZ, (_ROWS, 2), 1.0, -160.0, 160.0,
            HistoryRows(("accelerometer",), (0, 2)),
        ),
        Sensor("gyro", "imu", "rad/s", IMU_HZ, (_ROWS, 1), 0.3, -36.0, 36.0, HistoryRows(("gyro",), (1,))),
        Sensor(
            "touch", "touch", "N", CONTROL_HZ, (2,), 0.02 * BODY_WEIGHT_N, 0.0, 2000.0,
            HistoryMean(("back_touch", "front_touch")),
        ),
        Sensor(
            "camera", "camera", "intensity", CAMERA_HZ, (CAMERA_PX, CAMERA_PX, 3), 0.0, 0.0, 255.0, Camera("side")
        ),
    ),
    privileged=(
        Privileged("root_vel", "m/s, m/s, rad/s", "velocities", _root_vel),
        Privileged("joint_vel", "rad/s", "velocities", _joint_vel),
        Privileged("contact", "1", "contacts", _contact),
        Privileged("contact_force", "N", "forces", _contact_force),
        Privileged("root_pose", "m, rad", "poses", _root_pose),
        Privileged("joint_pos_clean", "rad", "poses", _joint_pos),
        Privileged("friction", "1", "slow_dynamics", _friction),
        Privileged("payload_kg", "kg", "slow_dynamics", _payload_kg),
    ),
    lane_fields=("geom_friction", "body_mass", "body_inertia"),
    reset_lane=reset_lane,
    reward=forward_reward,
)  # fmt: skip
