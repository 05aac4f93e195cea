"""The engine's own sampling clock: how often a sensor samples, and how many samples its history keeps."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math

import mujoco

__all__ = ["set_rate"]


def set_rate(
    sensor: mujoco.MjsSensor, rate_hz: float, control_hz: float, timestep_s: float, max_delay_s: float = 0.0
) -> None:
    """Make an engine sensor sample at `rate_hz`, with a history for `HistoryRows`.

    Samples are due a quarter of a timestep after a substep's start, n periods apart, and taken at the next start. Due
    times are then never within a quarter of a timestep of a start, so that rounding of `time` cannot move a sample. And
    the history that a reset clears is dated before time 0: with a phase just below 0 the engine would take the sample
    at time 0 for already taken, and its zeros for a reading.

    Args:
        sensor: the engine sensor.
        rate_hz: samples per second; its period must be a multiple of half a timestep.
        control_hz: observations per second.
        timestep_s: the model's timestep.
        max_delay_s: largest latency plus jitter with which samples will be read.

    Raises:
        ValueError: a period that the phase cannot protect from rounding.
    """
    halves = 2.0 / (rate_hz * timestep_s)
    if abs(halves - round(halves)) > 1e-6 or halves < 1.5:
        raise ValueError(f"got {rate_hz} Hz, expected a period that is a multiple of half of {timestep_s} s")
    per_tick = max(1, math.ceil(rate_hz / control_hz - 1e-9))
    sensor.nsample = per_tick + math.ceil(max_delay_s * rate_hz - 1e-9) + (2 if max_delay_s > 0 else 0)
    every_substep = round(halves) == 2
    sensor.interval = [0, 0] if every_substep else [1.0 / rate_hz, -1.0 / rate_hz + 0.25 * timestep_s]
