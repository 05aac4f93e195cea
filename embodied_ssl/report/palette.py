"""Colours, dashes and markers of the charts: told apart without colour, readable on light and dark paper."""

from __future__ import annotations

SERIES_LIGHT = ("#1c6dd0", "#c8501e", "#1b8a5a", "#8e4bb8", "#8a6a00", "#0b7f98", "#c2417f", "#3a4250")
SERIES_DARK = ("#6aa9ff", "#ff8f5e", "#4fd09a", "#c79af0", "#e0b73f", "#55cbe3", "#ff8fc0", "#d5dbe5")
NUM_STYLES = len(SERIES_LIGHT)
INK = NUM_STYLES - 1
"""The neutral style, for ceilings and references."""

DASHES = ("", "7 4", "2 4", "10 3 2 3", "4 3", "1 5", "12 4", "8 3 2 3 2 3")
MARKERS = (
    "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z",  # disc
    "M-3.3 -3.3h6.6v6.6h-6.6z",  # square
    "M0 -4.4L4.2 3.2H-4.2z",  # triangle
    "M0 -4.8L4.8 0L0 4.8L-4.8 0z",  # diamond
    "M0 4.4L4.2 -3.2H-4.2z",  # triangle, point down
    "M-1.4 -4.4h2.8v3h3v2.8h-3v3h-2.8v-3h-3v-2.8h3z",  # plus
    "M-4.4 -1.8h8.8v3.6h-8.8z",  # bar
    "M-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0zM-2 0a2 2 0 1 1 4 0a2 2 0 1 1 -4 0z",  # ring
)

SCALE_LIGHT = (
    *("#3b1f6b", "#423f87", "#37598c", "#2c728e", "#218b8c"),
    *("#22a283", "#41b96d", "#73c64a", "#a3c52c", "#c9bd16"),
)
SCALE_DARK = (
    *("#6d63d0", "#5f7fd6", "#4f97d3", "#42abc7", "#3abdb0"),
    *("#4fcd93", "#7ddb74", "#aee55a", "#d9e84f", "#fbe95a"),
)
NUM_SHADES = len(SCALE_LIGHT)

_SHAPE_CSS = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    ".title{font-weight:600;font-size:13px}.small{font-size:11px}"
    ".line{fill:none;stroke-width:1.9;stroke-linejoin:round;stroke-linecap:round}"
    ".band{stroke:none;opacity:.17}.whisker{fill:none;stroke-width:1.3}"
    ".level{fill:none;stroke-width:1.2;stroke-dasharray:5 4}"
    ".dot{fill:none;stroke-width:4;stroke-linecap:round;opacity:.8}.pixels{image-rendering:pixelated}"
)


def _shades(series: tuple[str, ...], scale: tuple[str, ...], ink: str, muted: str, grid: str) -> str:
    lines = [f".s{i}{{stroke:{c}}}.f{i}{{fill:{c}}}" for i, c in enumerate(series)]
    lines += [f".k{i}{{stroke:{c}}}.kf{i}{{fill:{c}}}" for i, c in enumerate(scale)]
    lines.append(f"text{{fill:{muted}}}.title{{fill:{ink}}}.level{{stroke:{muted}}}")
    lines.append(f".grid{{stroke:{grid};stroke-width:1}}.axis{{stroke:{muted};stroke-width:1}}")
    return "".join(lines)


def chart_css(scope: str = "") -> str:
    """Return the style sheet that charts need, light by default and dark where the reader prefers it.

    Args:
        scope: a selector every rule is nested under, so that a page can hold charts without leaks; "" for a lone file.

    Returns:
        CSS text without any reference to another file.
    """
    light = _SHAPE_CSS + _shades(SERIES_LIGHT, SCALE_LIGHT, "#1d2430", "#56606f", "#e3e7ed")
    dark = _shades(SERIES_DARK, SCALE_DARK, "#e9edf3", "#a4aebc", "#2b323c")
    return f"{_scoped(light, scope)}@media (prefers-color-scheme:dark){{{_scoped(dark, scope)}}}"


def _scoped(rules: str, scope: str) -> str:
    if not scope:
        return rules
    return "".join(f"{scope} {rule}}}" for rule in rules.split("}") if rule)
