"""Hand: sixteen servos in four fingers turn a cube that lies in the palm about the vertical.

Action, [-1, 1] for each joint of `JOINTS` (thumb, index, middle, ring; each flex, spread, curl, tip): target angle as a
fraction of the joint's range, 0 = the cradle pose. Servos are soft and of limited strength, and obey 5 to 30 ms late.

The sensors' figures are those of present hands: servo encoders of 12 bits behind gears with play, zeroed by hand;
torques from motor currents, uncertain by the gears' friction; fingertips with barometric force cells, which drift, and
a soft skin watched by a small camera; a camera beside the palm whose frames are one control period late.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied_envs.robots.hand_model import (
    CONTROL_HZ,
    FINGERS,
    JOINT_HZ,
    JOINTS,
    MOTOR_MAX_NM,
    TACTILE_HZ,
    TAXELS,
    TOUCH_HZ,
    build_hand,
)
from embodied_envs.robots.hand_privileged import PRIVILEGED
from embodied_envs.robots.hand_task import LANE_FIELDS, dropped, reset_lane, rotation_reward
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.sensors import Camera, HistoryRows, Sensor
from embodied_envs.tactile import tactile_images, tactile_sensor

__all__ = ["ROBOT"]

CAMERA_HZ = 10.0
CAMERA_PX = 64
MAX_TOUCH_N = 30.0
# One row more than a control period has samples: jitter may bring a late one beside a full set.
_JOINT_ROWS, _TOUCH_ROWS = round(JOINT_HZ / CONTROL_HZ) + 1, round(TOUCH_HZ / CONTROL_HZ) + 1


def _side_by_side(samples: np.ndarray) -> np.ndarray:
    """Return one picture [lane, row, rows, fingers * columns, 3] of all fingertips, thumb first."""
    return np.concatenate([tactile_images(TAXELS, part) for part in np.split(samples, len(FINGERS), axis=2)], axis=3)


def _tactile() -> Sensor:
    """Return all fingertips' skins as one sensor: they share one clock."""
    one = tactile_sensor("tactile", "", TAXELS, TACTILE_HZ, CONTROL_HZ)
    source = HistoryRows(tuple(f"{finger}_tactile" for finger in FINGERS), arrange=_side_by_side)
    return replace(one, shape=(TAXELS[0], len(FINGERS) * TAXELS[1], 3), source=source)


def _joint_rows(kind: str) -> HistoryRows:
    return HistoryRows(tuple(f"{joint}_{kind}" for joint in JOINTS))


ROBOT = RobotSpec(
    name="Hand",
    summary="four fingers, 16 joints, palm up: turn a cube about the vertical; reward: yaw rate up to 4 rad/s",
    build=build_hand,
    control_hz=CONTROL_HZ,
    episode_ticks=300,
    sensors=(
        Sensor(
            "joint_pos", "joint", "rad", JOINT_HZ, (_JOINT_ROWS, len(JOINTS)), 0.003, -1.5, 1.5,
            _joint_rows("angle"), latency_s=0.004, jitter_s=0.008, bias_std=0.015,
        ),
        Sensor(
            "joint_torque", "joint", "N m", JOINT_HZ, (_JOINT_ROWS, len(JOINTS)), 0.01, -2 * MOTOR_MAX_NM,
            2 * MOTOR_MAX_NM, _joint_rows("torque"), latency_s=0.006, jitter_s=0.008, bias_std=0.02,
        ),
        Sensor(
            "touch", "touch", "N", TOUCH_HZ, (_TOUCH_ROWS, len(FINGERS)), 0.02, 0.0, MAX_TOUCH_N,
            HistoryRows(tuple(f"{finger}_touch" for finger in FINGERS)), latency_s=0.008, jitter_s=0.006,
            bias_std=0.03, dropout=0.01,
        ),
        _tactile(),
        Sensor(
            "camera", "camera", "intensity", CAMERA_HZ, (CAMERA_PX, CAMERA_PX, 3), 0.0, 0.0, 255.0, Camera("palm"),
            latency_s=0.05, dropout=0.01,
        ),
    ),
    privileged=PRIVILEGED,
    lane_fields=LANE_FIELDS,
    reset_lane=reset_lane,
    reward=rotation_reward,
    terminated=dropped,
)  # fmt: skip
