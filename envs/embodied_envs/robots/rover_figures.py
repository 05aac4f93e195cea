"""The rover's figures: sizes, rates and names that model, sensors, task and script share."""

from __future__ import annotations

import math

CONTROL_HZ = 20.0
TIMESTEP_S = 0.005
SUBSTEPS = round(1.0 / (CONTROL_HZ * TIMESTEP_S))

ARENA_HALF_M = 3.0
WALL_HEIGHT_M = 0.7
WHEEL_RADIUS_M = 0.08
TRACK_M = 0.30
BUMPER_RADIUS_M = 0.20
MAX_WHEEL_SPEED = 10.0  # rad/s
SERVO_GAIN = 0.3  # N m per rad/s of speed error
MAX_TORQUE_NM = 0.6
PAYLOAD_KG = 1.0
ACTUATOR_SLOTS = 8  # command latency of at most 8 timesteps

WHEELS = ("left_wheel", "right_wheel")
SOURCES = ("target", "distractor")

LIDAR_RAYS = 64
LIDAR_HZ = 10.0
LIDAR_RANGE_M = 12.0
LIDAR_HEIGHT_M = 0.27
LIDAR_LATENCY_S = 0.02
IMU_HZ = 100.0
ENCODER_HZ = 100.0
MICROPHONE_HZ = 2000.0
MICROPHONE_LATENCY_S = 0.01
MICROPHONE_HEIGHT_M = 0.22
MICROPHONE_HALF_DISTANCE_M = 0.13
MICROPHONE_ANGLE_RAD = math.radians(60)  # each looks 60 degrees outwards from straight ahead
NUM_TONES = 3

OPAQUE_GROUP = 0  # walls and obstacles
ROBOT_GROUP = 2
NUM_PLANNED = 10  # places where the source appears, one after the other
OBSTACLE_HALF_SIZE_M = {
    "screen": (0.55, 0.05, 0.30),
    "crate": (0.22, 0.22, 0.22),
    "chest": (0.30, 0.18, 0.20),
    "pillar": (0.12, 0.12, 0.40),
}
OBSTACLES = tuple(OBSTACLE_HALF_SIZE_M)
