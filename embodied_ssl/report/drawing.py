"""Pictures as SVG text: the element, its strokes and markers, images, and placing pictures side by side."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_ssl.report.palette import DASHES, MARKERS, NUM_STYLES

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
CHAR_PX = 6.6
"""Mean width of a letter at the charts' text size."""


@dataclass(frozen=True)
class Drawing:
    """A finished picture of `width` x `height` pixels that can be placed inside another one."""

    width: float
    height: float
    body: str
    label: str

    def svg(self, css: str = "") -> str:
        """Return a whole `<svg>` element; with `css`, one that stands alone in a file."""
        style = f"<style>{css}</style>" if css else ""
        size = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}" width="{self.width:.0f}" height="{self.height:.0f}"'
        name = text_safe(self.label)
        space = 'xmlns="http://www.w3.org/2000/svg" ' if css else ""
        head = f'<svg {space}{size} role="img" aria-label="{name}">'
        return f"{head}{style}{self.body}</svg>"


def text_safe(text: object) -> str:
    """Return text that is legal inside XML and HTML, attributes included."""
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text)), quote=True)


def text_at(x: float, y: float, text: object, anchor: str = "start", css: str = "", more: str = "") -> str:
    """Return a `<text>` at a pixel; `anchor` start, middle or end; `more` goes into the tag as it is."""
    side = f' text-anchor="{anchor}"' if anchor != "start" else ""
    kind = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{side}{kind}{more}>{text_safe(text)}</text>'


def stroke_path(d: str, style: int) -> str:
    """Return a `<path>` along the data `d` with the colour and dash of a style; "" for no data."""
    dash = DASHES[style % NUM_STYLES]
    pattern = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path class="line s{style % NUM_STYLES}"{pattern} d="{d}"/>' if d else ""


def marker_at(x: float, y: float, style: int, hint: str = "") -> str:
    """Return the marker of a style at a pixel, with a text for who points at it."""
    style %= NUM_STYLES
    title = f"<title>{text_safe(hint)}</title>" if hint else ""
    return f'<path class="f{style}" transform="translate({x:.1f} {y:.1f})" d="{MARKERS[style]}">{title}</path>'


def polyline(x: ArrayLike, y: ArrayLike) -> str:
    """Return SVG path data through the finite points, lifted over gaps; a lone point becomes a dot."""
    parts: list[str] = []
    down = False
    for px, py in zip(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), strict=True):
        ok = bool(np.isfinite(px) and np.isfinite(py))
        if ok:
            parts.append(f"L{px:.1f} {py:.1f}" if down else f"M{px:.1f} {py:.1f}h0")
        down = ok
    return "".join(parts)


def png_uri(image: NDArray[np.uint8]) -> str:
    """Return an RGB image, shape (h, w, 3), uint8, as a `data:` address of a PNG."""
    ok, encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    if not ok:
        raise ValueError(f"image of shape {image.shape} cannot be written as PNG")
    return "data:image/png;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def image_strip(images: NDArray[np.uint8], captions: Sequence[str], *, width: float = 720) -> Drawing:
    """Draw images, shape (k, h, w, 3), in even rows of at most 6, each above its caption."""
    columns = math.ceil(len(images) / max(1, math.ceil(len(images) / 6))) or 1
    size = min(180.0, (width - 8 * (columns - 1)) / columns)
    high, cells = size * images.shape[1] / images.shape[2], []
    for image, caption in zip(images, captions, strict=True):
        picture = f'<image class="pixels" width="{size:.1f}" height="{high:.1f}" href="{png_uri(image)}"/>'
        words = text_at(size / 2, high + 14, caption, "middle", "small")
        cells.append(Drawing(size, high + 20, picture + words, caption))
    return grid(cells, columns, gap=8, label="camera frames")


def grid(drawings: Sequence[Drawing], columns: int, *, gap: float = 8, label: str = "") -> Drawing:
    """Place drawings in rows of `columns`; each row is as high as its highest."""
    rows = [drawings[i : i + columns] for i in range(0, len(drawings), columns)]
    out, y, width = [], 0.0, 0.0
    for row in rows:
        x = 0.0
        for d in row:
            out.append(f'<g transform="translate({x:.0f} {y:.0f})">{d.body}</g>')
            x += d.width + gap
        width, y = max(width, x - gap), y + max(d.height for d in row) + gap
    return Drawing(width, max(y - gap, 0), "".join(out), label)
