"""What stands inside a panel: values over time as lines, as an image, as a strip of small images, or as sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_ssl.report.raster import draw_line, heat, paste, resize, series_colour

NUM_STRIP_MOMENTS = 14
SPECTRUM_WINDOW_S = 0.064


@dataclass(frozen=True)
class TimeAxis:
    """Columns `left` to `right` (inclusive) stand for `start_s` to `start_s + duration_s`."""

    left: int
    right: int
    start_s: float
    duration_s: float

    def to_px(self, time_s: np.ndarray) -> np.ndarray:
        """Return the columns of times (n,), not rounded."""
        return self.left + (np.asarray(time_s) - self.start_s) / self.duration_s * (self.right - self.left)


@dataclass(frozen=True)
class Panel:
    """One quantity over time.

    Attributes:
        name: its head.
        facts: a second line below the name.
        times_s: (R,).
        values: (R, *shape).
        low: lower edge of the scale; None: what is seen.
        high: upper edge.
        kind: lines, heat, strip or sound.
    """

    name: str
    facts: str
    times_s: np.ndarray
    values: np.ndarray
    low: float | None
    high: float | None
    kind: str


def draw_content(strip: np.ndarray, panel: Panel, axis: TimeAxis, height: int) -> tuple[float, float]:
    """Draw a panel into its strip (height, width, 3); return the smallest and largest value, NaN if there is none."""
    seen = panel.values[np.isfinite(panel.values)]
    if not seen.size:
        return np.nan, np.nan
    low, high = float(seen.min()), float(seen.max())
    scale = (low if panel.low is None else panel.low, high if panel.high is None else panel.high)
    {"lines": _lines, "heat": _heat, "strip": _images, "sound": _sound}[panel.kind](strip, panel, axis, height, scale)
    return low, high


def _lines(strip: np.ndarray, panel: Panel, axis: TimeAxis, height: int, scale: tuple[float, float]) -> None:
    x = axis.to_px(panel.times_s)
    flat = panel.values.reshape(len(panel.values), -1)
    # A span far below the values' size is rounding: such a line is flat.
    span = max(scale[1] - scale[0], 1e-6 * max(abs(scale[0]), abs(scale[1])), 1e-9)
    for index, series in enumerate(flat.T):
        y = 2 + (height - 5) * (1 - (series - scale[0]) / span)
        draw_line(strip, x, y, series_colour(index))


def _heat(strip: np.ndarray, panel: Panel, axis: TimeAxis, height: int, scale: tuple[float, float]) -> None:
    """One row of pixels per element, the first on top; each column shows the newest row captured by then."""
    columns = np.arange(axis.left, axis.right + 1)
    index = np.searchsorted(axis.to_px(panel.times_s), columns, side="right") - 1
    flat = panel.values.reshape(len(panel.values), -1)
    image = np.where(index >= 0, flat[np.maximum(index, 0)].T, np.nan)
    paste(strip, resize(heat(image, *scale), height, len(columns)), axis.left, 0)


def _images(strip: np.ndarray, panel: Panel, axis: TimeAxis, height: int, scale: tuple[float, float]) -> None:
    """Small images at some moments. Square roots, so that light contacts are seen beside heavy ones."""
    slot = (axis.right - axis.left) // NUM_STRIP_MOMENTS
    tiles = np.stack([_tiles(reading) for reading in panel.values])
    peak = np.abs(tiles).max(axis=(0, 2, 3), keepdims=True)[0]  # of each tile: channels may have units of their own
    for moment in range(NUM_STRIP_MOMENTS):
        x = axis.left + moment * slot
        index = int(np.searchsorted(axis.to_px(panel.times_s), x + slot / 2, side="right")) - 1
        if index >= 0:
            shares = np.sqrt(np.abs(tiles[index]) / np.maximum(peak, 1e-12))
            paste(strip, _arranged(heat(_joined(shares), 0.0, 1.0), shares.shape, slot - 4, height - 2), x, 1)


def _tiles(reading: np.ndarray) -> np.ndarray:
    """Return a reading (h, w), (h, w, channels <= 4), (n, h, w) or (n, h, w, channels) as images (tiles, h, w)."""
    if reading.ndim == 2:
        return reading[None]
    if reading.ndim == 3 and reading.shape[2] > 4:
        return reading
    return np.moveaxis(reading, -1, 0).reshape(-1, *reading.shape[-3:-1])


def _joined(tiles: np.ndarray) -> np.ndarray:
    """Return images (n, h, w) below each other."""
    return tiles.reshape(-1, tiles.shape[2])


def _arranged(joined: np.ndarray, shape: tuple[int, ...], width: int, height: int) -> np.ndarray:
    """Return coloured images (n * h, w, 3) in the grid that fills (height, width) best."""
    num, high, wide = shape
    tiles = joined.reshape(num, high, wide, 3)
    zoom, columns = max((min(width / (c * wide), height / (-(-num // c) * high)), -c) for c in range(1, num + 1))
    size = (max(1, int(high * zoom)), max(1, int(wide * zoom)))
    grid = np.full((-(-num // -columns) * size[0], -columns * size[1], 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        paste(grid, resize(tile, *size)[:-1, :-1], index % -columns * size[1], index // -columns * size[0])
    return grid


def _sound(strip: np.ndarray, panel: Panel, axis: TimeAxis, height: int, scale: tuple[float, float]) -> None:
    """The first channel's spectrum above, all channels' waveforms below."""
    waves = panel.values.reshape(len(panel.values), -1)
    upper = height // 2
    image = _spectrum(waves[:, 0], panel.times_s, axis)
    paste(strip, resize(image, upper, axis.right - axis.left + 1), axis.left, 0)
    peak, columns = max(abs(scale[0]), abs(scale[1]), 1e-9), np.round(axis.to_px(panel.times_s)).astype(int)
    middle, half = (upper + height) / 2, (height - upper) / 2 - 1
    for channel in range(waves.shape[1]):
        edges = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
        loudest = np.maximum.reduceat(np.abs(waves[:, channel]), edges) / peak
        sign = -1 if channel == 0 else 1
        draw_line(strip, columns[edges].astype(float), middle + sign * half * loudest, series_colour(channel))


def _spectrum(wave: np.ndarray, times_s: np.ndarray, axis: TimeAxis) -> np.ndarray:
    """Return decibels over time as colours, high frequencies on top; windows overlap by half."""
    spacing_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    window = max(8, round(SPECTRUM_WINDOW_S / spacing_s))
    starts = np.arange(0, max(1, len(wave) - window), max(1, window // 2))
    padded = np.concatenate([wave, np.zeros(window)])
    pieces = np.stack([padded[start : start + window] for start in starts.tolist()])
    power = np.abs(np.fft.rfft(pieces * np.hanning(window), axis=1)) ** 2
    decibels = 10 * np.log10(power + 1e-12 * max(power.max(), 1e-12))
    top = decibels.max()
    centres = axis.to_px(times_s[np.minimum(starts + window // 2, len(wave) - 1)])
    columns = np.arange(axis.left, axis.right + 1)
    index = np.clip(np.searchsorted(centres, columns), 0, len(starts) - 1)
    return heat(decibels[index].T[::-1], top - 50, top)
