"""The plotting area of a chart: margins, scales, axes, title and legend."""

from __future__ import annotations

from dataclasses import dataclass, field

from embodied_ssl.report.axes import Axis, Scale, axis_ticks
from embodied_ssl.report.drawing import CHAR_PX, Drawing, text_at


@dataclass(frozen=True)
class Frame:
    """The plotting area: margins, scales, axes, title and legend (names, each with a sample of 26 pixels)."""

    x: Axis
    y: Axis
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    title: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    width: float = 720
    height: float = 300
    left: float = 62
    right: float = 16
    head: float = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Reserve room for title and legend; the height grows with the legend's rows."""
        rows = self._legend_places()[1]
        object.__setattr__(self, "head", (24 if self.title else 8) + 20 * rows)
        object.__setattr__(self, "height", self.height + 20 * rows)

    @property
    def bottom(self) -> float:
        """Pixel of the lower edge of the plotting area."""
        return self.height - (42 if self.x.label else 26)

    @property
    def to_x(self) -> Scale:
        """Map of the horizontal axis."""
        return Scale(*self.x_limits, self.left, self.width - self.right, self.x.log)

    @property
    def to_y(self) -> Scale:
        """Map of the vertical axis."""
        return Scale(*self.y_limits, self.bottom, self.head + 4, self.y.log)

    def _legend_places(self) -> tuple[list[tuple[float, int]], int]:
        places, x, row = [], self.left, 0
        for name, *_ in self.legend:
            room = 36 + CHAR_PX * len(name) + 14
            if x > self.left and x + room > self.width - self.right + 14:
                x, row = self.left, row + 1
            places.append((x, row))
            x += room
        return places, row + 1 if places else 0

    def legend_svg(self) -> str:
        """Return the names beside samples of their strokes."""
        out = []
        for (name, sample), (x, row) in zip(self.legend, self._legend_places()[0], strict=True):
            y = (24 if self.title else 8) + 20 * row + 4
            out.append(f'<g transform="translate({x:.0f} {y})">{sample}</g>{text_at(x + 34, y + 4, name)}')
        return "".join(out)

    def axes_svg(self) -> str:
        """Return grid, ticks, axis names and title."""
        out = [text_at(self.left, 15, self.title, css="title")] if self.title else []
        right = self.width - self.right
        for place, text in axis_ticks(self.y, *self.y_limits, count=max(2, int((self.bottom - self.head) / 56))):
            y = float(self.to_y(place))
            out.append(f'<path class="grid" d="M{self.left:.0f} {y:.1f}H{right:.0f}"/>')
            out.append(text_at(self.left - 8, y + 4, text, "end"))
        for place, text in axis_ticks(self.x, *self.x_limits, count=max(2, int((right - self.left) / 130))):
            x = float(self.to_x(place))
            out.append(f'<path class="axis" d="M{x:.1f} {self.bottom:.0f}v5"/>')
            out.append(text_at(x, self.bottom + 18, text, "middle"))
        if self.x.ticks != ():
            out.append(f'<path class="axis" d="M{self.left:.0f} {self.bottom:.0f}H{right:.0f}"/>')
        middle = (self.left + right) / 2, (self.head + self.bottom) / 2
        out.append(text_at(middle[0], self.height - 6, self.x.label, "middle") if self.x.label else "")
        turned = f' transform="rotate(-90 13 {middle[1]:.0f})"'
        out.append(text_at(13, middle[1], self.y.label, "middle", more=turned) if self.y.label else "")
        return "".join(out)

    def drawing(self, body: str) -> Drawing:
        """Return the picture: axes below, `body`, then the legend."""
        label = self.title or f"{self.y.label} against {self.x.label}"
        return Drawing(self.width, self.height, self.axes_svg() + body + self.legend_svg(), label)
