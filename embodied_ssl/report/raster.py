"""Drawing on pixel canvases: text, lines, marks, images. Canvases are uint8 (height, width, 3) RGB."""

from __future__ import annotations

import cv2
import numpy as np

from embodied_ssl.report.palette import SERIES_LIGHT

PAPER, INK, MUTED, FAINT = (255, 255, 255), (29, 36, 48), (86, 96, 111), (222, 227, 234)
WARNING = (200, 30, 30)
FONT_PX = 12

Colour = tuple[int, int, int]


def series_colour(index: int) -> Colour:
    """Return the colour of a series, as in the charts."""
    text = SERIES_LIGHT[index % len(SERIES_LIGHT)].removeprefix("#")
    red, green, blue = (int(text[i : i + 2], 16) for i in (0, 2, 4))
    return red, green, blue


def blank(height: int, width: int, colour: Colour = PAPER) -> np.ndarray:
    """Return an empty canvas."""
    return np.full((height, width, 3), colour, np.uint8)


def put_text(canvas: np.ndarray, x: int, y: int, text: str, colour: Colour = MUTED, scale: float = 0.4) -> None:
    """Write ASCII text with its base line at y; other characters become question marks."""
    plain = text.encode("ascii", "replace").decode("ascii")
    cv2.putText(canvas, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def draw_line(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, colour: Colour) -> None:
    """Draw a line through the points (n,), in pixels, interrupted where one is not finite."""
    points = np.stack([x, y], axis=1)
    for part in np.split(points, np.flatnonzero(~np.isfinite(points).all(axis=1))):
        kept = part[np.isfinite(part).all(axis=1)]
        # Four fractional bits: fast sensors have several points a pixel.
        cv2.polylines(canvas, [np.round(kept * 16).astype(np.int32)], False, colour, 1, cv2.LINE_AA, 4)


def draw_marks(canvas: np.ndarray, x: np.ndarray, top: int, bottom: int, colour: Colour) -> None:
    """Draw a vertical stroke from `top` to `bottom` (inclusive) at each x (n,), in pixels."""
    columns = np.round(x).astype(int)
    columns = columns[(columns >= 0) & (columns < canvas.shape[1])]
    canvas[top : bottom + 1, columns] = colour


def paste(canvas: np.ndarray, image: np.ndarray, x: int, y: int) -> None:
    """Put an image (h, w, 3) on the canvas with its upper left corner at (x, y), cut at the edges."""
    height, width = max(0, min(image.shape[0], canvas.shape[0] - y)), max(0, min(image.shape[1], canvas.shape[1] - x))
    canvas[y : y + height, x : x + width] = image[:height, :width]


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image scaled with hard pixels where it grows, averaged where it shrinks."""
    shrinks = height < image.shape[0] or width < image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)


def heat(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values (h, w) as colours (h, w, 3) from dark to bright; what is not finite is grey."""
    span = max(high - low, 1e-12)
    shades = np.clip((np.nan_to_num(values, nan=low) - low) / span * 255, 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(shades, cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
    colours[~np.isfinite(values)] = FAINT
    return colours


def write_picture(path: str, image: np.ndarray, quality: int = 88) -> None:
    """Write an RGB picture as PNG or JPEG, by the path's ending.

    Raises:
        OSError: it could not be written.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.endswith((".jpg", ".jpeg")) else []
    if not cv2.imwrite(path, np.ascontiguousarray(image[..., ::-1]), options):
        raise OSError(0, "the picture could not be written", path)
