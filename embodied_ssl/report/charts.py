"""A small SVG chart writer: lines with bands, dots with intervals, scatters with a colour scale.

A chart is a `Drawing`; colours come from classes of `palette.chart_css`, so that one page can hold many and follow
the reader's light or dark setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from embodied_ssl.report.axes import Axis, axis_ticks, extent, number_text
from embodied_ssl.report.drawing import CHAR_PX, Drawing, marker_at, polyline, stroke_path, text_at
from embodied_ssl.report.frame import Frame
from embodied_ssl.report.palette import NUM_SHADES, NUM_STYLES


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        name: legend text; "" leaves it out of the legend.
        x, y: values, shape (n,); gaps where either is not finite.
        low, high: limits of a band (or of whiskers, with markers), shape (n,).
        style: number of the colour, dash and marker.
        markers: draw a marker at each value.
        line: join the values.
        dots: draw a small dot at each value, for many of them.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    style: int = 0
    markers: bool = False
    line: bool = True
    dots: bool = False

    @property
    def spans(self) -> list[ArrayLike]:
        """Everything that the y axis has to hold."""
        return [v for v in (self.y, self.low, self.high) if v is not None]


@dataclass(frozen=True)
class Level:
    """A horizontal reference, drawn dashed and listed in the legend."""

    name: str
    value: float


def _band(frame: Frame, s: Series) -> str:
    if s.low is None or s.high is None:
        return ""
    x, low, high = frame.to_x(s.x), frame.to_y(s.low), frame.to_y(s.high)
    ok = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    if s.markers:
        d = "".join(f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in zip(x[ok], low[ok], high[ok], strict=True))
        return f'<path class="whisker s{s.style % NUM_STYLES}" d="{d}"/>' if d else ""
    around = np.concatenate([x[ok], x[ok][::-1]]), np.concatenate([low[ok], high[ok][::-1]])
    return f'<path class="band f{s.style % NUM_STYLES}" d="{polyline(*around)}Z"/>' if ok.sum() > 1 else ""


def _curve(frame: Frame, s: Series) -> str:
    x, y = frame.to_x(s.x), frame.to_y(s.y)
    shown = np.isfinite(x) & np.isfinite(y)
    out = stroke_path(polyline(x, y), s.style) if s.line else ""
    out += _dot_path(list(zip(x[shown], y[shown], strict=True)), s.style) if s.dots else ""
    if s.markers:
        values = zip(x[shown], y[shown], np.asarray(s.y, dtype=np.float64)[shown], strict=True)
        out += "".join(marker_at(a, b, s.style, f"{s.name}: {number_text(v, 3)}") for a, b, v in values)
    return out


def _level(frame: Frame, level: Level) -> str:
    y = float(frame.to_y(level.value))
    if not np.isfinite(y):
        return ""
    return f'<path class="level" d="M{frame.left:.0f} {y:.1f}H{frame.width - frame.right:.0f}"/>'


def _legend(series: Sequence[Series], levels: Sequence[Level] = ()) -> tuple[tuple[str, str], ...]:
    names = [(s.name, _sample(s)) for s in series if s.name]
    return (*names, *((level.name, '<path class="level" d="M0 0h26"/>') for level in levels))


def _sample(s: Series) -> str:
    line = stroke_path("M0 0h26", s.style) if s.line else ""
    return (
        line + (marker_at(13, 0, s.style) if s.markers else "") + (_dot_path([(13.0, 0.0)], s.style) if s.dots else "")
    )


def _dot_path(points: Sequence[tuple[float, float]], style: int) -> str:
    d = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
    return f'<path class="dot s{style % NUM_STYLES}" d="{d}"/>' if d else ""


def line_chart(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    title: str = "",
    levels: Sequence[Level] = (),
    legend: bool = True,
    width: float = 720,
    height: float = 300,
) -> Drawing:
    """Draw curves, with bands or whiskers, over named reference levels.

    Args:
        series: the curves, drawn in order.
        x: horizontal axis.
        y: vertical axis; the levels are always inside it.
        title: printed above; "" leaves the room to the curves.
        levels: horizontal references.
        legend: whether to list the named series; levels always are.
        width: pixels.
        height: pixels of everything but the legend.

    Returns:
        The picture; without any drawable value, empty axes.
    """
    y = replace(y, include=(*y.include, *(level.value for level in levels)))
    names = _legend(series if legend else (), levels)
    limits = extent([s.x for s in series], x, 0.02), extent([v for s in series for v in s.spans], y, 0.08)
    frame = Frame(x, y, *limits, title=title, legend=names, width=width, height=height)
    body = "".join(_band(frame, s) for s in series) + "".join(_level(frame, level) for level in levels)
    return frame.drawing(body + "".join(_curve(frame, s) for s in series))


def scatter(
    xy: ArrayLike, colour: ArrayLike, colour_label: str, *, title: str = "", width: float = 356, height: float = 330
) -> Drawing:
    """Draw points whose shade shows a third quantity, with its colour scale; the axes carry no unit.

    Args:
        xy: places, shape (n, 2).
        colour: the third quantity, shape (n,); points without a finite one are left out.
        colour_label: its name and unit.
        title: printed above.
        width: pixels.
        height: pixels.

    Returns:
        The picture, darkest (lightest on dark paper: brightest) shade for the largest value.
    """
    points, c = np.asarray(xy, dtype=np.float64).reshape(-1, 2), np.asarray(colour, dtype=np.float64).reshape(-1)
    axis = Axis(ticks=())
    limits = extent([points[:, 0]], axis), extent([points[:, 1]], axis)
    frame = Frame(axis, axis, *limits, title=title, width=width, height=height - 40, left=10, right=10)
    low, high = extent([c], Axis(), 0.0)
    x, y, shade = frame.to_x(points[:, 0]), frame.to_y(points[:, 1]), (c - low) / (high - low) * NUM_SHADES
    ok = np.isfinite(x) & np.isfinite(y) & np.isfinite(shade)
    shade = np.clip(np.where(ok, shade, 0), 0, NUM_SHADES - 1).astype(int)
    dots = "".join(f'<path class="dot k{shade[i]}" d="M{x[i]:.1f} {y[i]:.1f}h0"/>' for i in np.flatnonzero(ok))
    bar = _colour_bar(frame, height, low, high, colour_label)
    return Drawing(width, height, frame.axes_svg() + dots + bar, title or colour_label)


def _colour_bar(frame: Frame, height: float, low: float, high: float, label: str) -> str:
    start, step, y = 10.0, (frame.width - 20) / NUM_SHADES, height - 46
    box = f'y="{y:.0f}" width="{step + 0.3:.1f}" height="9"'
    out = [f'<rect class="kf{i}" x="{start + i * step:.1f}" {box}/>' for i in range(NUM_SHADES)]
    ends = text_at(start, y + 24, number_text(low, 3)) + text_at(frame.width - 10, y + 24, number_text(high, 3), "end")
    return "".join(out) + ends + text_at(frame.width / 2, y + 40, label, "middle")


def dot_chart(
    rows: Sequence[str], series: Sequence[Series], x: Axis, *, title: str = "", width: float = 720
) -> Drawing:
    """Draw one line of dots with intervals per row: `series[k].x[i]` belongs to `rows[i]`.

    Args:
        rows: names, top to bottom.
        series: `x` holds the values, `low` and `high` the intervals, shape (rows,); `y` is ignored.
        x: horizontal axis.
        title: printed above.
        width: pixels.

    Returns:
        The picture; its height grows with the rows.
    """
    apart = 6.5 if any(s.low is not None for s in series) else 2.5
    step, count = apart * len(series) + 14, len(rows)
    spans = [v for s in series for v in (s.x, s.low, s.high) if v is not None]
    names = _legend([replace(s, line=False, markers=True) for s in series])
    left = min(0.38 * width, 18 + CHAR_PX * max((len(r) for r in rows), default=0))
    limits = extent(spans, x), (-0.5, count - 0.5)
    places = tuple((float(count - 1 - i), name) for i, name in enumerate(rows))
    height = step * count + 46 + (24 if title else 8)
    frame = Frame(x, Axis(ticks=places), *limits, title=title, legend=names, width=width, height=height, left=left)
    upright = (float(frame.to_x(place)) for place, _ in axis_ticks(x, *limits[0]))
    rules = "".join(f'<path class="grid" d="M{px:.1f} {frame.head:.0f}V{frame.bottom:.0f}"/>' for px in upright)
    body = rules + "".join(_dots(frame, s, count, (k - (len(series) - 1) / 2) * apart) for k, s in enumerate(series))
    return frame.drawing(body)


def _dots(frame: Frame, s: Series, count: int, shift: float) -> str:
    y = frame.to_y(np.arange(count)[::-1]) + shift
    x, out = frame.to_x(s.x), ""
    if s.low is not None and s.high is not None:
        ends = zip(frame.to_x(s.low), frame.to_x(s.high), y, strict=True)
        d = "".join(f"M{a:.1f} {c:.1f}H{b:.1f}" for a, b, c in ends if np.isfinite(a + b))
        out = f'<path class="whisker s{s.style % NUM_STYLES}" d="{d}"/>' if d else ""
    for px, py, value in zip(x, y, np.asarray(s.x, dtype=np.float64), strict=True):
        out += marker_at(px, py, s.style, f"{s.name}: {number_text(value, 3)}") if np.isfinite(px) else ""
    return out
