"""The suite's shaped reward: 1 inside an interval, falling outside of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["SHAPES", "tolerance"]

SHAPES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "gaussian": lambda distance, at_one: at_one ** np.square(distance),
    "linear": lambda distance, at_one: np.maximum(0.0, 1.0 - (1.0 - at_one) * distance),
    "quadratic": lambda distance, at_one: np.maximum(0.0, 1.0 - (1.0 - at_one) * np.square(distance)),
}
"""How the value falls: (distance in margins, value at one margin) -> value; each is 1 at distance 0."""


def tolerance(
    x: np.ndarray,
    *,
    low: float = 0.0,
    high: float = 0.0,
    margin: float,
    value_at_margin: float = 0.1,
    shape: str = "gaussian",
) -> np.ndarray:
    """Return how close `x` is to [low, high]: 1 inside, `value_at_margin` one margin away from it.

    Args:
        x: any shape.
        low: lower end of the interval, may be -inf.
        high: upper end, may be inf.
        margin: distance at which the value is `value_at_margin`, in the unit of `x`, > 0.
        value_at_margin: in [0, 1); 0 not for gaussian, which never gets there.
        shape: a key of `SHAPES`.

    Returns:
        Values in [0, 1], shape of `x`.

    Source: Tassa et al. 2018, arXiv:1801.00690, section 4 (reward design) and figure 1.
    """
    outside = np.maximum(0.0, np.maximum(low - x, x - high))
    return SHAPES[shape](outside / margin, value_at_margin)
