"""A log as a picture: streams as rows over time, gaps and broken stretches marked, episodes as spans."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.inspect import LogReport, StreamReport
from embodied_ssl.logs.stream_facts import Span
from embodied_ssl.report.axes import nice_ticks, number_text
from embodied_ssl.report.raster import FAINT, INK, MUTED, PAPER, WARNING, blank, put_text, series_colour

WIDTH, LEFT, RIGHT = 1280, 330, 20
ROW_PX, BAR_PX, HEAD_PX, FOOT_PX = 20, 10, 48, 30
MAX_STREAMS = 120
FROZEN, SATURATED = series_colour(3), series_colour(1)
MIN_MARK_PX = 2
"""Least width of a gap or fault, so that a short one in a long log is seen."""


def log_timeline(report: LogReport) -> np.ndarray:
    """Return the picture of one epoch, uint8 ``(height, WIDTH, 3)``; streams beyond `MAX_STREAMS` are left out."""
    streams = list(report.streams.values())[:MAX_STREAMS]
    start, end = report.span_ns
    scale = (WIDTH - LEFT - RIGHT) / max(end - start, 1)
    canvas = blank(HEAD_PX + ROW_PX * (len(streams) + 1) + FOOT_PX, WIDTH)
    bottom = HEAD_PX + ROW_PX * (len(streams) + 1)
    _draw_head(canvas, report, len(streams))
    _draw_seconds(canvas, (end - start) / 1e9, bottom)
    _draw_episodes(canvas, report, start, end, scale)
    for number, stream in enumerate(streams):
        _draw_stream(canvas, stream, HEAD_PX + ROW_PX * (number + 1), start, scale)
    return canvas


def save_timeline(report: LogReport, path: Path | str) -> None:
    """Write the picture as a PNG.

    Raises:
        LogError: the file cannot be written.
    """
    encoded = cv2.imencode(".png", log_timeline(report)[..., ::-1])[1]
    try:
        Path(path).write_bytes(encoded.tobytes())
    except OSError as error:
        raise LogError(f"{path}: {error.strerror or error}; the timeline was not written") from None


def _draw_head(canvas: np.ndarray, report: LogReport, shown: int) -> None:
    start, end = report.span_ns
    rows = sum(stream.num_rows for stream in report.streams.values())
    more = "" if shown == len(report.streams) else f" (the first {shown} are drawn)"
    title = f"{report.path.name}: {len(report.streams)} streams{more}, {rows:,} rows, {(end - start) / 1e9:,.1f} s"
    put_text(canvas, 8, 18, title, INK, 0.48)
    words = (("rows", series_colour(0)), ("gap", PAPER), ("frozen", FROZEN), ("at a bound", SATURATED))
    words = (*words, ("not finite, or black frames", WARNING))
    for number, (word, colour) in enumerate(words):
        x = LEFT + 130 * number
        _bar(canvas, x, x + 18, 30, colour)
        if word == "gap":
            _frame(canvas, x, x + 18, 30)
        put_text(canvas, x + 24, 39, word, MUTED, 0.38)


def _draw_seconds(canvas: np.ndarray, duration_s: float, bottom: int) -> None:
    for second in nice_ticks(0.0, max(duration_s, 1e-9), 6):
        x = LEFT + round(second / max(duration_s, 1e-9) * (WIDTH - LEFT - RIGHT))
        canvas[HEAD_PX:bottom, x : x + 1] = FAINT
        put_text(canvas, min(x, WIDTH - 60), bottom + 18, f"{number_text(second)} s", MUTED, 0.38)


def _draw_episodes(canvas: np.ndarray, report: LogReport, start: int, end: int, scale: float) -> None:
    put_text(canvas, 8, HEAD_PX + 13, f"{len(report.episodes)} episodes", INK, 0.4)
    for number, episode in enumerate(report.episodes):
        left = LEFT + int((episode.start_ns - start) * scale)
        right = LEFT + int(((end if episode.end_ns is None else episode.end_ns) - start) * scale)
        colour = series_colour(2) if number % 2 else series_colour(5)
        _bar(canvas, left, max(right, left + 1), HEAD_PX + 4, colour)


def _draw_stream(canvas: np.ndarray, report: StreamReport, y: int, start: int, scale: float) -> None:
    times, values = report.times, report.values
    put_text(canvas, 8, y + 13, report.stream.name[:28], INK, 0.4)
    put_text(canvas, 224, y + 13, f"{times.measured_hz:.4g} Hz" if times.measured_hz else "-", MUTED, 0.36)
    if not report.num_rows:
        put_text(canvas, LEFT, y + 13, "no rows", MUTED, 0.36)
        return

    def pixels(span: Span) -> tuple[int, int]:
        left = LEFT + int((span[0] - start) * scale)
        return left, max(LEFT + int((span[1] - start) * scale), left + MIN_MARK_PX)

    _bar(canvas, *pixels((times.first_ns, times.last_ns)), y + 4, series_colour(0))
    for span in times.gaps.spans:
        _bar(canvas, *pixels(span), y + 4, PAPER)
        _frame(canvas, *pixels(span), y + 4)
    if values is not None:
        for spans, colour in ((values.frozen.spans, FROZEN), (values.saturated.spans, SATURATED)):
            for span in spans:
                left, right = pixels(span)
                canvas[y + 4 + BAR_PX // 2 : y + 4 + BAR_PX, left:right] = colour
        if values.non_finite_rows or values.black_frames:
            _bar(canvas, LEFT - 30, LEFT - 22, y + 4, WARNING)


def _bar(canvas: np.ndarray, left: int, right: int, y: int, colour: tuple[int, int, int]) -> None:
    canvas[y : y + BAR_PX, left:right] = colour


def _frame(canvas: np.ndarray, left: int, right: int, y: int) -> None:
    canvas[[y, y + BAR_PX - 1], left:right] = FAINT
