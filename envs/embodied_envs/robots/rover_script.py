"""A rover that finds the source by ear, from the observation alone: turn towards the ear that hears it first."""

from __future__ import annotations

import numpy as np

from embodied_envs.microphones import SPEED_OF_SOUND
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.rover_task import TARGET_BAND_HZ

__all__ = ["heard_direction", "scripted_action"]

TURN_GAIN = 0.6
CRUISE = 0.9
CLEARANCE_M = 0.75  # from the lidar's axis, in which the bumper is 0.2 m
_ANGLES = 2 * np.pi * np.arange(rover.LIDAR_RAYS) / rover.LIDAR_RAYS
_AHEAD = np.maximum(np.cos(_ANGLES), 0.0) ** 2
_LARGEST_DELAY_S = 2 * rover.MICROPHONE_HALF_DISTANCE_M / SPEED_OF_SOUND


def scripted_action(observation: dict[str, np.ndarray]) -> np.ndarray:
    """Return wheel commands [lane, 2] in [-1, 1] that drive towards the target's tones and around obstacles."""
    turn = TURN_GAIN * heard_direction(observation["microphones"])
    blocked, away = _obstacles(observation["lidar"] + 10.0 * (observation["lidar.valid"] == 0)[:, None])
    turn += away
    forward = CRUISE * np.clip(1.0 - blocked, 0.0, 1.0) * np.clip(1.0 - np.abs(turn), 0.1, 1.0)
    return np.clip(np.stack([forward - turn, forward + turn], axis=1), -1.0, 1.0)


def heard_direction(sound: np.ndarray) -> np.ndarray:
    """Return the sine of the target's bearing [lane], positive to the left, 0 in silence.

    The delay between the ears is fitted to the phases of the target's band in `sound` [lane, row, 2]; at these
    frequencies no phase difference exceeds half a turn.
    """
    spectrum = np.fft.rfft(sound * np.hanning(sound.shape[1])[:, None], axis=1)
    hz = np.fft.rfftfreq(sound.shape[1], 1.0 / rover.MICROPHONE_HZ)
    band = (hz >= TARGET_BAND_HZ[0]) & (hz <= TARGET_BAND_HZ[1])
    cross = spectrum[:, band, 0] * spectrum[:, band, 1].conj()  # positive phase: the left ear leads
    weight, turn_rate = np.abs(cross), 2 * np.pi * hz[band]
    delay_s = (weight * turn_rate * np.angle(cross)).sum(axis=1) / np.maximum(weight @ turn_rate**2, 1e-12)
    return np.clip(delay_s / _LARGEST_DELAY_S, -1.0, 1.0)


def _obstacles(lidar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how blocked the way ahead is, 0 to 1, and a turn away from what is near, both [lane]."""
    nearness = np.clip((CLEARANCE_M - lidar) / (CLEARANCE_M - 0.2), 0.0, 1.0) * _AHEAD
    blocked = nearness.max(axis=1)
    side = (nearness * np.where(np.pi >= _ANGLES, 1.0, -1.0)).sum(axis=1)  # positive: more on the left
    return blocked, -1.2 * blocked * np.sign(side)
