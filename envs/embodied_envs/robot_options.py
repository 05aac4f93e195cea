"""What a user may change about a robot's sensors and actions: each function returns another RobotSpec."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embodied_envs.nearest import nearest
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.sensors import CAMERA_CHANNELS, CAMERA_KINDS, Camera, Sensor

__all__ = [
    "check_counts",
    "check_render_mode",
    "first_camera",
    "is_camera",
    "observed_sensors",
    "with_action_repeat",
    "with_cameras",
]

DEPTH_LIMIT_M = 10.0
_KIND_UNITS = {"rgb": "intensity", "depth": "m", "segmentation": "1"}


def check_counts(**counts: int | None) -> None:
    """Raise ValueError for a count that is not a whole number of at least 1; None stands for a default."""
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int | np.integer) or count < 1):
            raise ValueError(f"got {name}={count!r}, expected a whole number of at least 1")


def check_render_mode(render_mode: str | None) -> None:
    """Raise ValueError for a render mode that does not exist."""
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"got render_mode={render_mode!r}, expected None or 'rgb_array'")


def is_camera(sensor: Sensor) -> bool:
    """Return whether the sensor is drawn, not read."""
    return isinstance(sensor.source, Camera)


def first_camera(robot: RobotSpec) -> Sensor | None:
    """Return the camera that `render` draws."""
    return next((sensor for sensor in robot.sensors if is_camera(sensor)), None)


def observed_sensors(robot: RobotSpec, keys: Sequence[str] | None) -> tuple[Sensor, ...]:
    """Return the named sensors, in the robot's order; None: all.

    Raises:
        ValueError: the robot has no such sensor, or none is left.
    """
    if keys is None:
        return robot.sensors
    if isinstance(keys, str):
        raise ValueError(f"got sensors={keys!r}, expected a list of names; fix: [{keys!r}]")
    known = [sensor.key for sensor in robot.sensors]
    for key in keys:
        if key not in known:
            raise ValueError(f"{robot.name} has no sensor {key!r}; {nearest(key, known)}")
    if not keys:
        raise ValueError(f"got sensors=[], expected at least one of {known}")
    return tuple(sensor for sensor in robot.sensors if sensor.key in keys)


def with_cameras(
    robot: RobotSpec, cameras: bool, kinds: Sequence[str] = ("rgb",), size_px: int | None = None
) -> RobotSpec:
    """Choose what the cameras give.

    Args:
        robot: the robot.
        cameras: False removes all cameras.
        kinds: of rgb, depth, segmentation; rgb keeps its key, the others add `_depth` and `_segmentation` to it.
        size_px: height and width; None keeps the camera's own.

    Raises:
        ValueError: an unknown kind, or a size below 8.
    """
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    for kind in kinds:
        if kind not in CAMERA_KINDS:
            raise ValueError(f"got camera kind {kind!r}; {nearest(kind, CAMERA_KINDS)}")
    check_counts(camera_px=size_px)
    if size_px is not None and size_px < 8:
        raise ValueError(f"got camera_px={size_px}, expected at least 8")
    if cameras and not kinds:
        raise ValueError(f"got camera_kinds=[], expected some of {list(CAMERA_KINDS)}; fix: cameras=False")
    sensors: list[Sensor] = []
    for sensor in robot.sensors:
        if not is_camera(sensor):
            sensors.append(sensor)
        elif cameras:
            sensors += [_of_kind(sensor, kind, size_px) for kind in CAMERA_KINDS if kind in kinds]
    return replace(robot, sensors=tuple(sensors))


def _of_kind(sensor: Sensor, kind: str, size_px: int | None) -> Sensor:
    assert isinstance(sensor.source, Camera)
    height, width = (size_px, size_px) if size_px else sensor.shape[:2]
    return replace(
        sensor,
        key=sensor.key if kind == "rgb" else f"{sensor.key}_{kind}",
        modality="camera" if kind == "rgb" else kind,
        unit=_KIND_UNITS[kind],
        shape=(height, width, CAMERA_CHANNELS[kind]),
        high=DEPTH_LIMIT_M if kind == "depth" else 255.0,
        source=replace(sensor.source, kind=kind),
    )


def with_action_repeat(robot: RobotSpec, repeat: int) -> RobotSpec:
    """Let one action last `repeat` control periods, as pixel protocols of the control suite do.

    All rates fall by that factor, rewards are summed, and an episode has that many times fewer actions.

    Raises:
        ValueError: less than 1, or a robot with sensors that do not sample at the control rate.
    """
    check_counts(action_repeat=repeat)
    if repeat == 1:
        return robot
    other = [sensor.key for sensor in robot.sensors if sensor.rate_hz != robot.control_hz]
    if other:
        raise ValueError(
            f"got action_repeat={repeat} on {robot.name}, whose sensors {other} have rates of their own; "
            "fix: use it with the DMC tasks"
        )
    rate_hz = robot.control_hz / repeat
    return replace(
        robot,
        control_hz=rate_hz,
        action_repeat=robot.action_repeat * repeat,
        episode_ticks=math.ceil(robot.episode_ticks / repeat),
        sensors=tuple(replace(sensor, rate_hz=rate_hz) for sensor in robot.sensors),
    )
