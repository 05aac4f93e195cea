"""Ticks, their text, and the map from values to pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Axis:
    """How one side of a chart is scaled and named.

    Attributes:
        label: what is measured, with its unit.
        log: logarithmic scale; values of 0 and below are not drawn.
        include: values that the axis must reach.
        ticks: places and texts of the ticks; None chooses them.
    """

    label: str = ""
    log: bool = False
    include: tuple[float, ...] = ()
    ticks: tuple[tuple[float, str], ...] | None = None


@dataclass(frozen=True)
class Scale:
    """Affine (or logarithmic) map from `low..high` to the pixels `start..stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return pixels of the same shape; NaN where a value cannot be drawn."""
        x = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.log:
            x = np.log10(np.where(x > 0, x, np.nan))
            low, high = math.log10(low), math.log10(high)
        return self.start + (x - low) / (high - low) * (self.stop - self.start)


def finite(values: ArrayLike, log: bool = False) -> NDArray[np.float64]:
    """Return the values that can be drawn, flat."""
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    return x[np.isfinite(x) & ((x > 0) if log else True)]


def extent(arrays: Iterable[ArrayLike], axis: Axis, pad: float = 0.04) -> tuple[float, float]:
    """Return the limits of an axis around all drawable values.

    Args:
        arrays: the values, of any shapes, NaN and infinities allowed.
        axis: its `include` values count as data, its `log` drops values of 0 and below.
        pad: share of the span added at both ends.

    Returns:
        `(low, high)`, finite, `low < high`; where there is nothing to draw `(0, 1)`, on a log axis `(1, 10)`.
    """
    parts = [finite(a, axis.log) for a in (*arrays, axis.include)]
    values = np.concatenate(parts) if parts else np.empty(0)
    if not values.size:
        return (1.0, 10.0) if axis.log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if axis.log:
        room = max(math.log10(high / low) * pad, 0.02)
        return low / 10**room, high * 10**room
    room = (high - low) * pad if high > low else abs(low) * 0.05 or 0.5
    return low - room, high + room


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return `count` to twice as many round numbers inside `low..high`, in steps of 1, 2, 2.5 or 5 (x 10^n)."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    power = 10.0 ** math.floor(math.log10(span / count))
    step = max(m * power for m in (1, 2, 2.5, 5) if m * power <= span / count * (1 + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.15g}") for i in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Return powers of ten inside `low..high`: 2 and 5 (or 3) times them where few fit, every n-th where many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for mantissas in ((1, 2, 5), (1, 3), (1,)):
        places = [m * 10.0**p for p in powers for m in mantissas]
        ticks = [t for t in places if low * (1 - 1e-9) <= t <= high * (1 + 1e-9)]
        if len(ticks) <= count:
            break
    return ticks[:: math.ceil(len(ticks) / count) or 1] or nice_ticks(low, high)


def axis_ticks(axis: Axis, low: float, high: float, count: int = 4) -> list[tuple[float, str]]:
    """Return places and texts of the ticks of an axis with these limits."""
    if axis.ticks is not None:
        return [(place, text) for place, text in axis.ticks if low <= place <= high]
    places = log_ticks(low, high) if axis.log else nice_ticks(low, high, count)
    return [(place, number_text(place)) for place in places]


def number_text(value: float, digits: int = 6) -> str:
    """Return a short, exact-looking text: `0.25`, `1,200`, `1e-05`, `2.5M`, with a true minus sign."""
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-4:
        text = f"{value:.3g}"
    elif size >= 1e6:
        text = f"{value / 1e6:.4g}M"
    else:
        text = f"{round(value, 12):,.{digits}g}" if size < 1000 else f"{value:,.0f}"
    return text.replace("-", "\N{MINUS SIGN}")
