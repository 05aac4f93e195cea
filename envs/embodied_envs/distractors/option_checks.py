"""Checks of the numbers among distractors' options."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

__all__ = ["check_factor", "check_whole"]


def check_whole(distractor: str, option: str, value: Any, least: int) -> int:
    """Return a whole number.

    Raises:
        ValueError: not a whole number, or one below `least`.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"got {distractor} {option}={value!r}, expected a whole number, at least {least}")
    return int(value)


def check_factor(distractor: str, option: str, value: Any) -> float:
    """Return a factor.

    Raises:
        ValueError: not a number, not finite, or not above 0.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not 0.0 < float(value) < math.inf:
        raise ValueError(f"got {distractor} {option}={value!r}, expected a finite factor above 0")
    return float(value)
