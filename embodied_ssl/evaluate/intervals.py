"""Intervals over episodes and over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def _student_cdf(t: float, dof: int) -> float:
    """P(|T| < t) of Student's t with integer ``dof``; Abramowitz and Stegun (1964), 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(dof))
    cosine, sine = math.cos(angle), math.sin(angle)
    term = cosine if dof % 2 else 1.0
    total = term if dof > 1 or dof % 2 == 0 else 0.0
    for power in range(2 if dof % 2 == 0 else 3, dof, 2):
        term *= cosine**2 * (power - 1) / power
        total += term
    return 2 / math.pi * (angle + sine * total) if dof % 2 else sine * total


def student_quantile(level: float, dof: int) -> float:
    """Return ``t`` with ``P(|T| < t) = level`` for Student's t.

    Args:
        level: two-sided coverage, in (0, 1).
        dof: degrees of freedom, at least 1.

    Returns:
        The quantile, by bisection of the closed-form distribution to 1e-12.
    """
    low, high = 0.0, 1.0
    while _student_cdf(high, dof) < level:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, dof) < level else (low, middle)
    return (low + high) / 2


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean over seeds and its t-interval.

    Args:
        values: one value a seed, finite.
        level: coverage of the interval.

    Returns:
        ``(mean, low, high)``; the bounds are NaN for fewer than two values.
    """
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if array.size < 2:
        return mean, math.nan, math.nan
    half = student_quantile(level, array.size - 1) * float(array.std(ddof=1)) / math.sqrt(array.size)
    return mean, mean - half, mean + half


def resample_episodes(num_episodes: int, num_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return bootstrap multiplicities: how often each episode appears in each resample.

    Args:
        num_episodes: episodes to draw from, with replacement.
        num_resamples: resamples.
        generator: source of the draws.

    Returns:
        ``(num_resamples, num_episodes)`` float64 counts, each row summing to ``num_episodes``.
    """
    probabilities = np.full(num_episodes, 1 / num_episodes)
    return generator.multinomial(num_episodes, probabilities, size=num_resamples).astype(np.float64)


def percentile_interval(samples: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the central ``level`` interval of bootstrap samples ``(num_resamples,)``."""
    low, high = np.nanquantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def sum_by_episode(values: np.ndarray, episodes: np.ndarray) -> np.ndarray:
    """Return sums of ``values`` ``(n, ...)`` within each episode, ``(num_episodes, ...)``, by rising episode."""
    order = np.argsort(episodes, kind="stable")
    starts = np.unique(episodes[order], return_index=True)[1]
    return np.add.reduceat(values[order], starts, axis=0)
