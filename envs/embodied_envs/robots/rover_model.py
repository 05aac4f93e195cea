"""The rover's model: a round differential-drive robot in a walled arena with four obstacles and two loudspeakers.

Two wheels with velocity servos and a ball caster carry a round chassis with a lidar turret, two microphones, a camera
and an inertial unit. Obstacles and loudspeakers are mocap bodies, so that every lane has its own arena and physics,
lidar, camera and ray casting see the same one. Loudspeakers are flat discs that the rover drives over; both look the
same: which one plays the wanted sound can only be heard.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math

import mujoco

from embodied_envs.microphones import sound_size
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.parts import add_ground, add_light, new_spec
from embodied_envs.robots.rover_sensors import add_sensors

__all__ = ["build_rover", "userdata_size"]

_ROLLS, _BUMPS = 1, 2  # contact bits: wheels on the ground, bumper on walls and obstacles

_GEOM = mujoco.mjtGeom
_OBSTACLE_COLOURS = {
    "screen": (0.80, 0.55, 0.20, 1.0),
    "crate": (0.55, 0.30, 0.65, 1.0),
    "chest": (0.20, 0.60, 0.60, 1.0),
    "pillar": (0.85, 0.85, 0.30, 1.0),
}


def build_rover() -> mujoco.MjSpec:
    """Return the model's specification."""
    spec = new_spec(rover.TIMESTEP_S)
    spec.nuserdata = userdata_size()
    _add_arena(spec)
    _add_obstacles(spec)
    _add_loudspeakers(spec)
    chassis = _add_chassis(spec)
    for wheel, side in zip(rover.WHEELS, (1.0, -1.0), strict=True):
        _add_wheel(spec, chassis, wheel, side)
    add_sensors(spec, chassis)
    return spec


def userdata_size() -> int:
    """Return how many numbers an episode keeps: the sounds, then the plan of places, then the place in use."""
    return sound_size(len(rover.SOURCES), rover.NUM_TONES) + 2 * rover.NUM_PLANNED + 1


def _add_arena(spec: mujoco.MjSpec) -> None:
    half, thick = rover.ARENA_HALF_M, 0.1
    ground = add_ground(spec, (half, half), priority=0)
    ground.contype, ground.conaffinity = _ROLLS, 0
    add_light(spec)
    # Four colours: a camera can tell the walls apart.
    walls = {
        "east": ((half + thick, 0.0), (thick, half + 2 * thick), (0.75, 0.30, 0.25, 1.0)),
        "west": ((-half - thick, 0.0), (thick, half + 2 * thick), (0.25, 0.40, 0.75, 1.0)),
        "north": ((0.0, half + thick), (half, thick), (0.30, 0.60, 0.30, 1.0)),
        "south": ((0.0, -half - thick), (half, thick), (0.75, 0.75, 0.75, 1.0)),
    }
    for name, ((x, y), (half_x, half_y), rgba) in walls.items():
        _add_opaque_box(
            spec.worldbody, name, (x, y, rover.WALL_HEIGHT_M / 2), (half_x, half_y, rover.WALL_HEIGHT_M / 2), rgba
        )  # fmt: skip


def _add_opaque_box(
    body: mujoco.MjsBody, name: str, pos: tuple[float, ...], half_size: tuple[float, ...], rgba: tuple[float, ...]
) -> None:
    body.add_geom(
        name=name, type=_GEOM.mjGEOM_BOX, pos=list(pos), size=list(half_size), rgba=list(rgba), contype=_BUMPS,
        conaffinity=0, group=rover.OPAQUE_GROUP, condim=1,
    )  # fmt: skip


def _add_obstacles(spec: mujoco.MjSpec) -> None:
    """Add the obstacles spread over the arena; `reset_lane` puts them elsewhere."""
    for (name, half_size), x in zip(rover.OBSTACLE_HALF_SIZE_M.items(), (-2.0, -0.7, 0.7, 2.0), strict=True):
        body = spec.worldbody.add_body(name=name, mocap=True, pos=[x, 1.5, half_size[2]])
        _add_opaque_box(body, name, (0.0, 0.0, 0.0), half_size, _OBSTACLE_COLOURS[name])


def _add_loudspeakers(spec: mujoco.MjSpec) -> None:
    """Add flat discs; nothing collides with them, and they lie under the lidar's plane."""
    for name, x in zip(rover.SOURCES, (-1.0, 1.0), strict=True):
        body = spec.worldbody.add_body(name=name, mocap=True, pos=[x, -1.5, 0.02])
        body.add_geom(
            name=name, type=_GEOM.mjGEOM_CYLINDER, size=[0.15, 0.02, 0], rgba=[0.95, 0.45, 0.75, 1], contype=0,
            conaffinity=0, group=rover.ROBOT_GROUP,
        )  # fmt: skip


def _add_chassis(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Add the round chassis; its bumper is an invisible sphere: one contact with any wall, and no corner to get stuck.

    All its mass is in the one visible disc, a little behind the axle, over the caster.
    """
    chassis = spec.worldbody.add_body(name="chassis", pos=[0, 0, 0])
    chassis.add_freejoint(name="root")
    shell = {"contype": 0, "conaffinity": 0, "group": rover.ROBOT_GROUP}
    chassis.add_geom(
        type=_GEOM.mjGEOM_CYLINDER, pos=[-0.03, 0, 0.11], size=[0.15, 0.04, 0], mass=3.0, rgba=[0.8, 0.8, 0.85, 1],
        **shell,
    )  # fmt: skip
    chassis.add_geom(
        name="turret", type=_GEOM.mjGEOM_CYLINDER, pos=[0, 0, 0.21], size=[0.05, 0.06, 0], mass=0.2,
        rgba=[0.2, 0.2, 0.25, 1], **shell,
    )  # fmt: skip
    chassis.add_geom(
        name="bumper", type=_GEOM.mjGEOM_SPHERE, pos=[0, 0, 0.12], size=[rover.BUMPER_RADIUS_M, 0, 0], mass=0.0,
        rgba=[0, 0, 0, 0], contype=0, conaffinity=_BUMPS, group=3, friction=[0.2, 0.005, 0.0001], condim=3, priority=1,
    )  # fmt: skip
    # The caster carries; the skid in front, not drawn, only keeps the nose up when braking.
    for name, x, z, group in (("caster", -0.13, 0.03, rover.ROBOT_GROUP), ("skid", 0.13, 0.036, 3)):
        chassis.add_geom(
            name=name, type=_GEOM.mjGEOM_SPHERE, pos=[x, 0, z], size=[0.03, 0, 0], mass=0.05, rgba=[0.3, 0.3, 0.3, 1],
            contype=0, conaffinity=_ROLLS, group=group, condim=1, priority=1,
        )  # fmt: skip
    _add_payload(chassis)
    return chassis


def _add_payload(chassis: mujoco.MjsBody) -> None:
    """Add a box whose mass and inertia are scaled per lane; a body of its own, so that they are one row."""
    payload = chassis.add_body(name="payload", pos=[-0.10, 0, 0.18])
    payload.add_geom(
        type=_GEOM.mjGEOM_BOX, size=[0.04, 0.08, 0.03], mass=rover.PAYLOAD_KG, rgba=[0.35, 0.75, 0.4, 1], contype=0,
        conaffinity=0, group=rover.ROBOT_GROUP,
    )  # fmt: skip


def _add_wheel(spec: mujoco.MjSpec, chassis: mujoco.MjsBody, name: str, side: float) -> None:
    """Add a wheel: drawn as a cylinder, rolling on an invisible sphere (one contact), driven by a velocity servo."""
    wheel = chassis.add_body(name=name, pos=[0, side * rover.TRACK_M / 2, rover.WHEEL_RADIUS_M])
    wheel.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 1, 0], armature=0.002, damping=0.005)
    wheel.add_geom(
        type=_GEOM.mjGEOM_CYLINDER, quat=[math.sqrt(0.5), math.sqrt(0.5), 0, 0], size=[rover.WHEEL_RADIUS_M, 0.02, 0],
        mass=0.3, rgba=[0.15, 0.15, 0.18, 1], contype=0, conaffinity=0, group=rover.ROBOT_GROUP,
    )  # fmt: skip
    wheel.add_geom(
        name=name, type=_GEOM.mjGEOM_SPHERE, size=[rover.WHEEL_RADIUS_M, 0, 0], mass=0.0, rgba=[0, 0, 0, 0], contype=0,
        conaffinity=_ROLLS, group=3, condim=3, friction=[0.8, 0.005, 0.0001], priority=1,
    )  # fmt: skip
    servo = spec.add_actuator(
        name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrllimited=True, ctrlrange=[-1, 1],
        forcelimited=True, forcerange=[-rover.MAX_TORQUE_NM, rover.MAX_TORQUE_NM],
        biastype=mujoco.mjtBias.mjBIAS_AFFINE, nsample=rover.ACTUATOR_SLOTS, delay=rover.TIMESTEP_S,
    )  # fmt: skip
    servo.gainprm[0] = rover.SERVO_GAIN * rover.MAX_WHEEL_SPEED  # the command is a share of the highest speed
    servo.biasprm[2] = -rover.SERVO_GAIN
