"""An open-loop trot for the quadruped: a policy that needs no sensor, for demonstrations, baselines and tests."""

from __future__ import annotations

import numpy as np

from embodied_envs.robots.quadruped_model import LEGS

__all__ = ["TROT", "scripted_action", "trot"]

# Found by a small search (cross-entropy method over lanes with all dynamics, terrain and pushes) on the task's reward.
TROT = np.array([2.83, 0.49, 0.965, 0.268, 0.415, -0.24, 0.11, -0.33])
"""Step frequency in Hz; swing of the hips; lift of the knees; offsets of front hips, hind hips, front knees, hind knees
and of the abductions outwards. All but the first are in units of action."""

_IS_FRONT = np.array([leg.startswith("front") for leg in LEGS])
_OUTWARD = np.array([1.0 if leg.endswith("left") else -1.0 for leg in LEGS])
_PHASE_RAD = np.array([0.0, np.pi, np.pi, 0.0])  # diagonal pairs step together
_RAMP_S = 0.5


def scripted_action(time_s: float | np.ndarray) -> np.ndarray:
    """Return the trot's action at an episode's time, which walks forward at about the target speed.

    Args:
        time_s: seconds since the episode's start, any shape [...] (one number, or one per lane).

    Returns:
        Actions in [-1, 1], float32 [..., 12].
    """
    return trot(time_s, TROT)


def trot(time_s: float | np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Return the action [..., 12] of a trot with `parameters` [..., 8], in the order of `TROT`.

    A hip swings as a cosine; while it swings forward (sine > 0) the knee bends and lifts the foot. Amplitudes grow from
    zero over the first half second.
    """
    time_s = np.asarray(time_s, np.float64)[..., None]
    step_hz, swing, lift, front_hip, hind_hip, front_knee, hind_knee, abduction = np.split(parameters, 8, axis=-1)
    phase = 2.0 * np.pi * step_hz * time_s + _PHASE_RAD
    ramp = np.clip(time_s / _RAMP_S, 0.0, 1.0)
    hip = ramp * swing * np.cos(phase) + np.where(_IS_FRONT, front_hip, hind_hip)
    knee = -ramp * lift * np.maximum(np.sin(phase), 0.0) + np.where(_IS_FRONT, front_knee, hind_knee)
    out = np.broadcast_to(abduction * _OUTWARD, hip.shape)
    action = np.stack([out, hip, knee], axis=-1).reshape(*hip.shape[:-1], 3 * len(LEGS))
    return np.clip(action, -1.0, 1.0).astype(np.float32)
