"""A rhythm of the fingers that turns the cube: a policy without feedback, proof that the task can be done.

Thumb and fingers strike opposite sides of the cube the same way round, let go, and swing back. The numbers are the
result of an evolutionary search for reward over start states and dynamics of many lanes.
"""

from __future__ import annotations

import numpy as np

from embodied_envs.robots.hand_model import FINGERS

__all__ = ["scripted_action"]

GAIT_HZ = 2.54
PHASE_RAD = np.array([0.00, 1.41, -1.35, 1.87])  # of thumb, index, middle, ring
# A row for each of flex, spread, curl and tip: offset, cosine and sine amplitude, as fractions of the joint's range.
THUMB = np.array(
    [
        [0.29, 1.76, -1.49],
        [0.15, 1.60, 0.08],
        [0.97, 0.40, 0.95],
        [0.79, 2.06, -0.51],
    ]
)
FINGER = np.array(
    [
        [-0.01, 0.26, -1.28],
        [0.50, 1.40, 0.22],
        [0.55, -1.18, 0.65],
        [-0.27, -0.14, -0.67],
    ]
)
_WAVES = np.stack([THUMB] + [FINGER] * (len(FINGERS) - 1))


def scripted_action(time_s: np.ndarray) -> np.ndarray:
    """Return the gait's action [lane, joint] at times `time_s` [lane] since the episodes' starts."""
    angle = 2 * np.pi * GAIT_HZ * np.asarray(time_s, float)[:, None] + PHASE_RAD
    terms = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=-1)
    action = np.einsum("fjk,nfk->nfj", _WAVES, terms)
    return np.clip(action.reshape(len(angle), -1), -1.0, 1.0)
