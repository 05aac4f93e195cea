"""All cameras at some moments of a recording, as one picture."""

from __future__ import annotations

import numpy as np

from embodied_ssl.report.env_recording import Recording, Track
from embodied_ssl.report.frames import as_colours, labelled
from embodied_ssl.report.raster import INK, blank, paste, put_text

CELL_PX = 160
GAP_PX = 6
HEAD_PX = 24


def contact_sheet(recording: Recording, num_moments: int = 8, cell_px: int = CELL_PX) -> np.ndarray:
    """Return a picture with a row for each camera and a column for each moment, uint8 (height, width, 3).

    Args:
        recording: what was seen; at least one camera.
        num_moments: evenly spaced over the recording.
        cell_px: height of a frame.
    """
    ticks = np.unique(np.linspace(0, len(recording.times_s) - 1, num_moments).round().astype(int))
    strips = [_strip(track, recording, ticks, cell_px) for track in recording.pictures]
    width = max(strip.shape[1] for strip in strips)
    canvas = blank(HEAD_PX + sum(strip.shape[0] + GAP_PX for strip in strips), width)
    put_text(canvas, 4, 16, title(recording), INK, 0.45)
    y = HEAD_PX
    for strip in strips:
        paste(canvas, strip, 0, y)
        y += strip.shape[0] + GAP_PX
    return canvas


def title(recording: Recording) -> str:
    """Return what stands above a recording's pictures."""
    card = recording.card
    backend = f", cameras by {card.camera_backend}" if card.camera_backend else ""
    return f"{card.id}, {recording.times_s[-1]:.3g} s{backend}"


def _strip(track: Track, recording: Recording, ticks: np.ndarray, cell_px: int) -> np.ndarray:
    """Return one camera's frames side by side, below its name."""
    cells = []
    for tick in ticks:
        age = "nothing yet" if np.isnan(track.age_s[tick]) else f"age {1e3 * track.age_s[tick]:.0f} ms"
        text = f"{recording.times_s[tick]:.2f} s, {age}"
        cells += [labelled(as_colours(track.newest(int(tick)), track.card), cell_px, text), blank(cell_px + 16, GAP_PX)]
    row = np.concatenate(cells, axis=1)
    head, spec = blank(HEAD_PX, row.shape[1]), track.card.spec
    put_text(
        head, 4, 18, f"{spec.name}: {spec.modality}, {' x '.join(map(str, spec.shape))}, {spec.rate_hz:.4g} Hz", INK
    )
    return np.concatenate([head, row])
