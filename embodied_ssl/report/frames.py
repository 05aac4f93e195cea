"""Camera frames of every kind as colours that people can read."""

from __future__ import annotations

import numpy as np

from embodied_ssl.report.raster import FAINT, blank, heat, put_text, resize
from embodied_ssl.sources.env_card import SensorCard

NOTHING_BODY = 0


def as_colours(frame: np.ndarray | None, sensor: SensorCard) -> np.ndarray:
    """Return a frame as uint8 (height, width, 3) RGB.

    Depth is false colour, near is bright; segmentation gets one colour for each body number, 0 is light grey.

    Args:
        frame: (height, width, channels), or None: no frame has arrived.
        sensor: its sensor.
    """
    if frame is None:
        height, width = sensor.spec.shape[:2]
        canvas = blank(height, width, FAINT)
        return canvas
    if sensor.spec.modality == "depth":
        return _depth_colours(frame[..., 0], sensor.spec.high)
    if sensor.spec.modality == "segmentation":
        return _body_colours(frame[..., 0])
    return frame if frame.shape[2] == 3 else np.repeat(frame[..., :1], 3, axis=2)


def _depth_colours(depth_m: np.ndarray, limit_m: float) -> np.ndarray:
    """Nearness on a logarithmic scale from what is nearest to what is farthest within the limit."""
    seen = depth_m[(depth_m > 0) & (depth_m < limit_m)]
    near, far = (seen.min(), seen.max()) if seen.size else (0.1, limit_m)
    nearness = -np.log(np.clip(depth_m, 1e-3, limit_m))
    colours = heat(nearness, -np.log(max(far, 1e-3)), -np.log(max(near, 1e-3)))
    colours[depth_m >= limit_m] = FAINT
    return colours


def _body_colours(bodies: np.ndarray) -> np.ndarray:
    """Neighbouring numbers get colours far apart: steps of the golden angle around the circle of hues."""
    hues = (np.arange(256) * 137.508) % 360
    shift = np.array([0, 120, 240])
    table = (255 * np.clip(0.55 + 0.45 * np.cos(np.deg2rad(hues[:, None] - shift)), 0, 1)).astype(np.uint8)
    table[NOTHING_BODY] = FAINT
    return table[bodies]


def labelled(image: np.ndarray, height: int, text: str) -> np.ndarray:
    """Return an image scaled to a height, with a line of text above it."""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    canvas = blank(height + 16, width)
    canvas[16:] = resize(image, height, width)
    put_text(canvas, 2, 12, text, scale=0.36)
    return canvas
