"""Quadruped: a 13 kg four-legged robot on rough ground, pushed now and then, rewarded for walking forward.

Sensor figures are those of the parts that robots of this class carry: a MEMS inertial unit on a vibrating trunk, motor
drivers that report angle and current over a shared bus, foot force cells averaged over the control period, a small
spinning lidar and a nose camera behind an image pipeline. Linear velocity, orientation and gravity's direction are not
measured: they have to be inferred.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots import quadruped_model as model
from embodied_envs.robots.quadruped_privileged import PRIVILEGED, feet_on_map_m, upright
from embodied_envs.robots.quadruped_terrain import START_X_M, START_Y_M, ground_height, terrain_geoms
from embodied_envs.robots.robot_spec import RobotSpec, Step
from embodied_envs.sensors import Camera, HistoryMean, HistoryRows, Sensor

__all__ = ["ROBOT", "TARGET_SPEED_M_S"]

TARGET_SPEED_M_S = 0.6
CAMERA_HZ = 5.0
UPRIGHT_REWARD = 0.2
POWER_COST_PER_W = 0.001
FALLEN_UPRIGHT = 0.4
FALLEN_HEIGHT_M = 0.12  # belly on the highest slab, or knees folded to their stops on the plane

START_YAW_RAD = 0.15
START_GAP_M = 0.005
NUM_PLACES = 8
FRICTION_RANGE = (0.5, 1.2)
PAYLOAD_RANGE_KG = (0.1, 3.0)
MOTOR_GAIN_RANGE = (0.8, 1.1)

NUM_PUSHES = 4
PUSH_SLOT_S = 5.0  # one push in each slot of an episode of 20 s; a longer episode meets the same pushes again
PUSH_LENGTH_S = 0.15
PUSH_RANGE_N = (15.0, 50.0)


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write one lane's start: somewhere on the terrain, almost at rest, with new dynamics and new pushes to come."""
    _place(batch, lane, generator)
    _draw_dynamics(batch, lane, generator)
    start_s = (np.arange(NUM_PUSHES) + generator.uniform(0.2, 0.8, NUM_PUSHES)) * PUSH_SLOT_S
    force_n, heading = generator.uniform(*PUSH_RANGE_N, NUM_PUSHES), generator.uniform(0.0, 2.0 * np.pi, NUM_PUSHES)
    batch.bind("userdata")[lane] = np.concatenate([start_s, force_n * np.cos(heading), force_n * np.sin(heading)])


def _place(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    qpos, qvel = batch.bind("qpos")[lane], batch.bind("qvel")[lane]
    centre_m, yaw, ground_m = _level_place(generator)
    qpos[:3] = [*centre_m, model.START_HEIGHT_M + START_GAP_M + ground_m]
    qpos[3:7] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
    qpos[7:] = model.STANCE_RAD + generator.uniform(-0.05, 0.05, qpos.size - 7)
    qvel[:] = generator.normal(0.0, 0.05, qvel.size)


def _level_place(generator: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Return the most level of a few random places: position, yaw, height. Half on a slab, it would fall over."""
    centres_m = np.stack([generator.uniform(*limits, NUM_PLACES) for limits in (START_X_M, START_Y_M)], axis=1)
    yaws = generator.uniform(-START_YAW_RAD, START_YAW_RAD, NUM_PLACES)
    ground_m = ground_height(feet_on_map_m(centres_m, yaws))
    best = np.ptp(ground_m, axis=1).argmin()
    return centres_m[best], float(yaws[best]), float(ground_m[best].max())


def _draw_dynamics(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    nominal = batch.model
    batch.expand("geom_friction")[lane, terrain_geoms(nominal), 0] = generator.uniform(*FRICTION_RANGE)
    payload, mass_kg = nominal.body("payload").id, generator.uniform(*PAYLOAD_RANGE_KG)
    batch.expand("body_mass")[lane, payload] = mass_kg
    batch.expand("body_inertia")[lane, payload] = nominal.body_inertia[payload] * mass_kg
    batch.expand("actuator_delay")[lane] = generator.uniform(*model.ACTION_DELAY_S)
    gain = generator.uniform(*MOTOR_GAIN_RANGE)
    batch.expand("actuator_gainprm")[lane] = nominal.actuator_gainprm * gain
    batch.expand("actuator_biasprm")[lane] = nominal.actuator_biasprm * gain


def push(batch: Batch, lanes: np.ndarray) -> None:
    """Apply the planned pushes of the lanes with numbers `lanes` to their trunks."""
    planned = batch.bind("userdata")[lanes].reshape(-1, 3, NUM_PUSHES)
    since_s = np.mod(batch.bind("time")[lanes], NUM_PUSHES * PUSH_SLOT_S)[:, None] - planned[:, 0]
    is_on = (since_s >= 0.0) & (since_s < PUSH_LENGTH_S)
    batch.bind("xfrc_applied")[lanes, model.TRUNK, :2] = (planned[:, 1:] * is_on[:, None]).sum(axis=2)


def walking_reward(step: Step) -> np.ndarray:
    """Return the reward [lane]: 1 at the target speed along x, 0 at rest; plus upright, minus mechanical power.

    The speed term falls linearly to both sides of the target and is at least -1. Being upright earns a little at every
    tick, so that falling, which ends the episode, is never worth it. Torque times joint velocity is power.
    """
    speed = (step.batch.bind("qpos")[:, 0] - step.qpos_before[:, 0]) / step.period_s
    progress = np.maximum(1.0 - np.abs(speed - TARGET_SPEED_M_S) / TARGET_SPEED_M_S, -1.0)
    power_w = np.abs(step.batch.bind("actuator_force") * step.batch.bind("qvel")[:, 6:]).sum(axis=1)
    return progress + UPRIGHT_REWARD * upright(step.batch) - POWER_COST_PER_W * power_w


def fallen(batch: Batch) -> np.ndarray:
    """Return the lanes [lane] that lie on a side or the back, or whose trunk is down on the ground."""
    return (upright(batch) < FALLEN_UPRIGHT) | (batch.bind("qpos")[:, 2] < FALLEN_HEIGHT_M)


def _range_of_misses(samples: np.ndarray) -> np.ndarray:
    """Return lidar samples [lane, row, ray] with the engine's -1 for "nothing hit" replaced by the largest range."""
    return np.where(samples < 0.0, np.float32(model.LIDAR_RANGE_M), samples)


_IMU_ROWS = round(model.IMU_HZ / model.CONTROL_HZ)
_MOTOR_ROWS = round(model.MOTOR_HZ / model.CONTROL_HZ)
_NUM_JOINTS = len(model.JOINTS)


def _joint_sensors(suffix: str) -> HistoryRows:
    return HistoryRows(tuple(f"{name}_{suffix}" for name in model.JOINTS))


ROBOT = RobotSpec(
    name="Quadruped",
    summary="Four-legged robot on rough ground, pushed at random: walk forward at 0.6 m/s, upright, with little power.",
    build=model.build_quadruped,
    control_hz=model.CONTROL_HZ,
    episode_ticks=1000,
    sensors=(
        Sensor(
            "accelerometer", "imu", "m/s^2", model.IMU_HZ, (_IMU_ROWS, 3), 0.3, -160.0, 160.0,
            HistoryRows(("accelerometer",)), latency_s=model.IMU_LATENCY_S, bias_std=0.2, dropout=0.001,
        ),
        Sensor(
            "gyro", "imu", "rad/s", model.IMU_HZ, (_IMU_ROWS, 3), 0.02, -36.0, 36.0, HistoryRows(("gyro",)),
            latency_s=model.IMU_LATENCY_S, bias_std=0.02, dropout=0.001,
        ),
        Sensor(
            "joint_pos", "joint", "rad", model.MOTOR_HZ, (_MOTOR_ROWS, _NUM_JOINTS), 0.005, -3.2, 3.2,
            _joint_sensors("pos"), latency_s=model.MOTOR_LATENCY_S, bias_std=0.01, dropout=0.002,
        ),
        Sensor(
            "joint_torque", "joint", "N m", model.MOTOR_HZ, (_MOTOR_ROWS, _NUM_JOINTS), 0.4, -40.0, 40.0,
            _joint_sensors("torque"), latency_s=model.MOTOR_LATENCY_S, bias_std=0.3, dropout=0.002,
        ),
        Sensor(
            "foot_force", "touch", "N", model.CONTROL_HZ, (len(model.LEGS),), 4.0, 0.0, 2000.0,
            HistoryMean(tuple(f"{leg}_foot_touch" for leg in model.LEGS)), bias_std=2.0,
        ),
        Sensor(
            "lidar", "lidar", "m", model.LIDAR_HZ, (model.LIDAR_RAYS,), 0.02, 0.0, model.LIDAR_RANGE_M,
            HistoryRows(tuple(f"lidar{ray}" for ray in range(model.LIDAR_RAYS)), arrange=_range_of_misses),
            latency_s=model.LIDAR_LATENCY_S, jitter_s=model.LIDAR_JITTER_S, dropout=0.01,
        ),
        Sensor(
            "camera", "camera", "intensity", CAMERA_HZ, (model.CAMERA_PX, model.CAMERA_PX, 3), 0.0, 0.0, 255.0,
            Camera("nose"), latency_s=0.06, jitter_s=0.04, dropout=0.01,
        ),
    ),
    privileged=PRIVILEGED,
    lane_fields=(
        "geom_friction", "body_mass", "body_inertia", "actuator_delay", "actuator_gainprm", "actuator_biasprm",
    ),
    reset_lane=reset_lane,
    reward=walking_reward,
    terminated=fallen,
    perturb=push,
)  # fmt: skip
