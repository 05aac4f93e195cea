"""Find the source: drive to the loudspeaker that plays the low tones; when found, it plays somewhere else.

An episode's arena, sounds, places of the source and dynamics are all drawn at its reset. The reward is the speed at
which the source comes nearer, a bonus in the control period in which it is reached, and costs for effort and bumping.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco.batch import Batch

from embodied_envs.line_of_sight import LineOfSight
from embodied_envs.microphones import draw_sound, sound_size
from embodied_envs.native_history import RING_HEADER
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.robot_spec import Step

__all__ = ["bump_force", "find_reward", "is_occluded", "move_found_sources", "offset_to", "place_rover", "yaw"]

FOUND_RADIUS_M = 0.35
FOUND_BONUS = 20.0
ACTION_COST = 0.05
BUMP_COST = 0.5
BUMP_N = 1.0

TARGET_BAND_HZ = (100.0, 400.0)
DISTRACTOR_BAND_HZ = (500.0, 800.0)
LEVEL_PA = (0.1, 0.3)  # effective pressure at 1 m: 74 to 83.5 dB
DISTRACTOR_PROBABILITY = 0.5

FRICTION_RANGE = (0.4, 1.0)
PAYLOAD_RANGE_KG = (0.2, 2.0)
ASYMMETRY_RANGE = (-0.15, 0.15)  # left motor's gain over the right one's, minus 1, nearly
LATENCY_RANGE_S = (rover.TIMESTEP_S, 8 * rover.TIMESTEP_S)
LANE_FIELDS = ("geom_friction", "body_mass", "body_inertia", "actuator_gainprm", "actuator_delay")

_CELLS = 4  # cells a side of a grid that keeps things apart
_JITTER_M = 0.2
# After the sounds, userdata holds the plan, x and y of each place, and the number of the place in use.
_PLAN = sound_size(len(rover.SOURCES), rover.NUM_TONES)
_IN_USE = _PLAN + 2 * rover.NUM_PLANNED


def place_rover(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write one lane's arena, start pose, sounds, plan of places and dynamics."""
    cells = generator.permutation(_CELLS * _CELLS)
    width = 2 * rover.ARENA_HALF_M / _CELLS
    centres = (np.stack([cells % _CELLS, cells // _CELLS], axis=1) + 0.5) * width - rover.ARENA_HALF_M
    places = centres + generator.uniform(-_JITTER_M, _JITTER_M, centres.shape)
    num_obstacles = len(rover.OBSTACLES)
    _place_obstacles(batch, lane, places[:num_obstacles], generator)
    _place_robot(batch, lane, places[num_obstacles], generator)
    _place_sources(batch, lane, places[num_obstacles + 1], places[num_obstacles + 2 :], generator)
    _draw_dynamics(batch, lane, generator)


def _place_obstacles(batch: Batch, lane: int, places: np.ndarray, generator: np.random.Generator) -> None:
    for name, place in zip(rover.OBSTACLES, places, strict=True):
        mocap = _mocap(batch, name)
        batch.bind("mocap_pos")[lane, mocap] = [*place, rover.OBSTACLE_HALF_SIZE_M[name][2]]
        batch.bind("mocap_quat")[lane, mocap] = _yaw_quat(generator.uniform(-np.pi, np.pi))


def _place_robot(batch: Batch, lane: int, place: np.ndarray, generator: np.random.Generator) -> None:
    qpos = batch.bind("qpos")[lane]
    qpos[:2] = place
    qpos[3:7] = _yaw_quat(generator.uniform(-np.pi, np.pi))


def _place_sources(
    batch: Batch, lane: int, distractor: np.ndarray, plan: np.ndarray, generator: np.random.Generator
) -> None:
    """Write sounds, plan and places; a silent distractor is still seen."""
    userdata, places = batch.bind("userdata")[lane], batch.bind("mocap_pos")[lane]
    level, other_level = generator.uniform(*LEVEL_PA, 2)
    other_level *= generator.random() < DISTRACTOR_PROBABILITY
    target_sound = draw_sound(generator, TARGET_BAND_HZ, level, rover.NUM_TONES)
    other_sound = draw_sound(generator, DISTRACTOR_BAND_HZ, other_level, rover.NUM_TONES)
    userdata[:] = np.concatenate([target_sound, other_sound, plan.ravel(), [0.0]])
    places[_mocap(batch, "target"), :2] = plan[0]
    places[_mocap(batch, "distractor"), :2] = distractor


def _draw_dynamics(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    model = batch.model
    batch.expand("geom_friction")[lane, [model.geom(name).id for name in rover.WHEELS], 0] = generator.uniform(
        *FRICTION_RANGE
    )
    payload, mass_kg = model.body("payload").id, generator.uniform(*PAYLOAD_RANGE_KG)
    batch.expand("body_mass")[lane, payload] = mass_kg
    batch.expand("body_inertia")[lane, payload] = model.body_inertia[payload] * mass_kg / rover.PAYLOAD_KG
    half = 0.5 * generator.uniform(*ASYMMETRY_RANGE)
    batch.expand("actuator_gainprm")[lane, :, 0] = (
        rover.SERVO_GAIN * rover.MAX_WHEEL_SPEED * np.array([1.0 + half, 1.0 - half])
    )
    batch.expand("actuator_delay")[lane] = generator.uniform(*LATENCY_RANGE_S)


def move_found_sources(batch: Batch, lanes: np.ndarray) -> None:
    """Move the target to the next place of the plan in those of `lanes` (indices) that have reached it."""
    distance = np.hypot(*offset_to(batch, "target")[lanes].T)
    found = lanes[distance < FOUND_RADIUS_M]
    if found.size:
        userdata = batch.bind("userdata")
        userdata[found, _IN_USE] = (userdata[found, _IN_USE] + 1) % rover.NUM_PLANNED
        start = _PLAN + 2 * userdata[found, _IN_USE].astype(np.int64)
        places = userdata[found[:, None], start[:, None] + np.arange(2)]
        batch.bind("mocap_pos")[found, _mocap(batch, "target"), :2] = places


def find_reward(step: Step) -> np.ndarray:
    """Return approach speed in m/s, plus the bonus where the source is reached, minus effort and bumps [lane]."""
    target = _place_of(step.batch, "target")
    before = np.hypot(*(target - step.qpos_before[:, :2]).T)
    after = np.hypot(*(target - step.batch.bind("qpos")[:, :2]).T)
    reward = (before - after) / step.period_s + FOUND_BONUS * (after < FOUND_RADIUS_M)
    reward -= ACTION_COST * np.square(step.action).sum(axis=1)
    return reward - BUMP_COST * (bump_force(step.batch) > BUMP_N)


def bump_force(batch: Batch) -> np.ndarray:
    """Return the mean force in N of walls and obstacles on the bumper in the last control period [lane]."""
    # The samples of its ring (`NativeHistory`), without a search for them in every step.
    start = int(batch.model.sensor_historyadr[batch.model.sensor("bump").id]) + RING_HEADER + rover.SUBSTEPS
    return batch.bind("history")[:, start : start + rover.SUBSTEPS].sum(axis=1) / rover.SUBSTEPS


def offset_to(batch: Batch, source: str) -> np.ndarray:
    """Return the horizontal way from the robot to a source in m, world axes [lane, 2]."""
    return _place_of(batch, source) - batch.bind("qpos")[:, :2]


def yaw(batch: Batch) -> np.ndarray:
    """Return the robot's heading in rad, counter-clockwise from world x [lane]."""
    w, x, y, z = batch.bind("qpos")[:, 3:7].T
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def is_occluded(batch: Batch, source: str, height_m: float) -> np.ndarray:
    """Return whether an obstacle stands between a source and the robot's axis at `height_m` over the ground [lane]."""
    start = batch.bind("qpos")[:, None, :3] + np.array([0.0, 0.0, height_m])
    place = batch.bind("mocap_pos")[:, None, _mocap(batch, source)]
    return ~LineOfSight(batch, rover.OBSTACLES).is_clear(start, place - start)[:, 0]


def _place_of(batch: Batch, name: str) -> np.ndarray:
    return batch.bind("mocap_pos")[:, _mocap(batch, name), :2]


def _mocap(batch: Batch, name: str) -> int:
    return int(batch.model.body(name).mocapid[0])


def _yaw_quat(angle_rad: float) -> np.ndarray:
    return np.array([np.cos(angle_rad / 2), 0.0, 0.0, np.sin(angle_rad / 2)])
