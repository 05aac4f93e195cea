"""Every vector sensor of a recording over time, one panel each: lines, images over time, strips, spectra, and ages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_ssl.report.contact_sheet import title
from embodied_ssl.report.env_recording import Recording, Track
from embodied_ssl.report.panels import Panel, TimeAxis, draw_content
from embodied_ssl.report.raster import FAINT, INK, MUTED, WARNING, blank, draw_line, draw_marks, paste, put_text

GUTTER_PX = 230
FOOT_PX = 22
HEAD_PX = 26
AGE_PX = 14
GAP_PX = 8


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels.

    Attributes:
        width: of the whole picture.
        panel: height of a panel's content.
        shows_ages: whether a strip of ages and marks stands below each panel.
    """

    width: int = 1200
    panel: int = 72
    shows_ages: bool = True


def timelines(recording: Recording, layout: Layout | None = None) -> tuple[np.ndarray, TimeAxis]:
    """Return the picture uint8 (height, width, 3), and where its time axis lies.

    Rows stand at the time of their capture. Below each panel: the age of the newest row at each tick (line), captures
    (marks), lost rows (red marks). Grey verticals are episode starts.
    """
    layout = layout or Layout()
    axis = TimeAxis(GUTTER_PX, layout.width - 8, 0.0, max(float(recording.times_s[-1]), 1e-9))
    strips = [_sensor_strip(track, recording, axis, layout) for track in recording.vectors]
    strips += [_camera_strip(track, recording, axis, layout) for track in recording.pictures if layout.shows_ages]
    strips += [_series_strip(panel, recording, axis, layout) for panel in _own_series(recording)]
    canvas = blank(HEAD_PX + sum(len(strip) + GAP_PX for strip in strips) + FOOT_PX, layout.width)
    put_text(canvas, 4, 17, title(recording), INK, 0.45)
    y = HEAD_PX
    for strip in strips:
        paste(canvas, strip, 0, y)
        y += len(strip) + GAP_PX
    _draw_seconds(canvas, axis)
    return canvas, axis


def _own_series(recording: Recording) -> list[Panel]:
    """Return action and reward as panels; an action precedes the tick it led to."""
    before = np.where(recording.starts[:, None], np.nan, recording.action)
    reward = np.where(recording.starts, np.nan, recording.reward)[:, None]
    return [
        Panel("action", "in [-1, 1]", recording.times_s, before, -1.0, 1.0, "lines"),
        Panel("reward", f"sum {np.nansum(reward):.3g}", recording.times_s, reward, None, None, "lines"),
    ]


def _sensor_strip(track: Track, recording: Recording, axis: TimeAxis, layout: Layout) -> np.ndarray:
    spec = track.card.spec
    facts = f"{spec.modality}, {spec.unit or '1'}, {spec.rate_hz:.4g} Hz"
    panel = Panel(spec.name, facts, track.captured_s, track.rows, None, None, _kind(track))
    strip = _series_strip(panel, recording, axis, layout)
    if not layout.shows_ages:
        return strip
    return np.concatenate([strip, _age_strip(track, recording, axis, layout)])


def _kind(track: Track) -> str:
    """Return how a sensor's rows are drawn."""
    shape, modality = track.card.spec.shape, track.card.spec.modality
    if modality == "audio":
        return "sound"
    if len(shape) >= 2 and min(shape[:2]) > 1:
        return "strip"
    return "lines" if track.card.spec.size <= 12 else "heat"


def _series_strip(panel: Panel, recording: Recording, axis: TimeAxis, layout: Layout) -> np.ndarray:
    strip = blank(layout.panel, layout.width)
    strip[:, axis.left : axis.right + 1] = (247, 249, 251)
    draw_marks(strip, axis.to_px(recording.times_s[recording.starts]), 0, layout.panel - 1, FAINT)
    low, high = draw_content(strip, panel, axis, layout.panel)
    put_text(strip, 4, 13, panel.name, INK, 0.42)
    put_text(strip, 4, 29, panel.facts)
    if layout.panel >= 50:
        put_text(strip, 4, 45, f"seen {low:.3g} to {high:.3g}" if np.isfinite(low) else "nothing arrived")
    return strip


def _camera_strip(track: Track, recording: Recording, axis: TimeAxis, layout: Layout) -> np.ndarray:
    """Return a camera's ages and marks; its frames are on the contact sheet."""
    strip = _age_strip(track, recording, axis, layout)
    name = blank(18, layout.width)
    put_text(name, 4, 14, f"{track.card.spec.name} ({track.card.spec.rate_hz:.4g} Hz)", INK, 0.42)
    return np.concatenate([name, strip])


def _age_strip(track: Track, recording: Recording, axis: TimeAxis, layout: Layout) -> np.ndarray:
    strip = blank(AGE_PX, layout.width)
    strip[:, axis.left : axis.right + 1] = (247, 249, 251)
    draw_marks(strip, axis.to_px(track.captured_s), AGE_PX - 4, AGE_PX - 1, MUTED)
    draw_marks(strip, axis.to_px(track.lost_s), 0, AGE_PX - 1, WARNING)
    oldest_s = np.nanmax(track.age_s, initial=1e-9)
    height = (AGE_PX - 2) * (1 - track.age_s / max(oldest_s, 1e-3))
    draw_line(strip, axis.to_px(recording.times_s), height, (120, 140, 200))
    if np.isfinite(track.age_s).any():
        text = f"age {1e3 * np.nanmin(track.age_s):.0f} to {1e3 * oldest_s:.0f} ms"
        put_text(strip, 4, 10, text + (f", {len(track.lost_s)} lost" if len(track.lost_s) else ""), MUTED, 0.36)
    return strip


def _draw_seconds(canvas: np.ndarray, axis: TimeAxis) -> None:
    """Write a time about every 80 pixels, at round steps."""
    rough_s = axis.duration_s * 80 / (axis.right - axis.left)
    step_s = next(s for s in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1e9) if s >= rough_s)
    for time_s in np.arange(0, axis.duration_s + 1e-9, step_s):
        x = int(axis.to_px(np.array([time_s]))[0])
        put_text(canvas, min(x, axis.right - 36), canvas.shape[0] - 6, f"{time_s:.3g} s", MUTED)
