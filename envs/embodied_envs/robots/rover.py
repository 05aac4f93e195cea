"""Rover: a differential-drive robot that listens, looks and measures distances, rewarded for finding a sound source.

Its sensors are those of small indoor robots, with the figures of common parts:

- encoders of 4096 counts a turn, differenced at 100 Hz;
- a consumer inertial unit whose accelerometer feels the motors' vibration, with the constant offsets such parts have;
- a spinning-lidar's 64 beams at 10 Hz, 2 cm noise, some scans lost;
- a camera of 4 frames a second that arrives one control period late;
- two first-order microphones, sampled at 2 kHz, in the hum of motors and room (54 dB).
"""

from __future__ import annotations

import numpy as np

from embodied_envs.microphones import Microphones
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.robots.rover_model import build_rover
from embodied_envs.robots.rover_privileged import PRIVILEGED
from embodied_envs.robots.rover_task import LANE_FIELDS, find_reward, move_found_sources, place_rover
from embodied_envs.sensors import Camera, Computed, HistoryRows, Sensor

__all__ = ["ROBOT"]

CAMERA_HZ = 4.0
CAMERA_PX = 64
_IMU_ROWS = round(rover.IMU_HZ / rover.CONTROL_HZ)
_ENCODER_ROWS = round(rover.ENCODER_HZ / rover.CONTROL_HZ)
_AUDIO_ROWS = round(rover.MICROPHONE_HZ / rover.CONTROL_HZ)
_LIDAR_SENSORS = tuple(f"lidar_{ray}" for ray in range(rover.LIDAR_RAYS))


def _no_echo_is_far(samples: np.ndarray) -> np.ndarray:
    """Return [lane, row, ray]; a beam that met nothing reads the longest distance instead of the engine's -1."""
    return np.where(samples < 0.0, np.float32(rover.LIDAR_RANGE_M), samples)


_MICROPHONES = Microphones(("left_ear", "right_ear"), rover.SOURCES, rover.NUM_TONES, rover.OBSTACLES)

ROBOT = RobotSpec(
    name="Rover",
    summary="two-wheeled rover with stereo microphones, lidar and camera; reward: speed towards a sound source, bonus "
    "for reaching it, minus effort and bumps",
    build=build_rover,
    control_hz=rover.CONTROL_HZ,
    episode_ticks=400,
    sensors=(
        Sensor(
            "wheel_speed", "joint", "rad/s", rover.ENCODER_HZ, (_ENCODER_ROWS, 2), 0.06, -40.0, 40.0,
            HistoryRows(rover.WHEELS),
        ),
        Sensor(
            "accelerometer", "imu", "m/s^2", rover.IMU_HZ, (_IMU_ROWS, 3), 0.2, -80.0, 80.0,
            HistoryRows(("accelerometer",)), bias_std=0.1,
        ),
        Sensor(
            "gyro", "imu", "rad/s", rover.IMU_HZ, (_IMU_ROWS, 1), 0.01, -18.0, 18.0, HistoryRows(("gyro",), (2,)),
            bias_std=0.02,
        ),
        Sensor(
            "lidar", "lidar", "m", rover.LIDAR_HZ, (rover.LIDAR_RAYS,), 0.02, 0.0, rover.LIDAR_RANGE_M,
            HistoryRows(_LIDAR_SENSORS, arrange=_no_echo_is_far), latency_s=rover.LIDAR_LATENCY_S, dropout=0.01,
        ),
        Sensor(
            "camera", "camera", "intensity", CAMERA_HZ, (CAMERA_PX, CAMERA_PX, 3), 0.0, 0.0, 255.0, Camera("front"),
            latency_s=1.0 / rover.CONTROL_HZ,
        ),
        Sensor(
            "microphones", "audio", "Pa", rover.MICROPHONE_HZ, (_AUDIO_ROWS, 2), 0.01, -5.0, 5.0,
            Computed(_MICROPHONES), latency_s=rover.MICROPHONE_LATENCY_S,
        ),
    ),
    privileged=PRIVILEGED,
    lane_fields=LANE_FIELDS,
    reset_lane=place_rover,
    reward=find_reward,
    perturb=move_found_sources,
)  # fmt: skip
