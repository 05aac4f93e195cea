"""A recording as an mp4: cameras side by side, sensor timelines below with a moving hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from embodied_ssl.errors import RunError
from embodied_ssl.report.env_recording import Recording
from embodied_ssl.report.frames import as_colours, labelled
from embodied_ssl.report.panels import TimeAxis
from embodied_ssl.report.raster import blank, paste
from embodied_ssl.report.timelines import Layout, timelines

CAMERA_PX = 240
MIN_WIDTH_PX = 900
PANEL_PX = 34
HAND = (200, 30, 30)


def write_film(recording: Recording, path: Path) -> int:
    """Write a recording with at least one camera in real time, one frame a tick, and read the file back.

    Args:
        recording: what was seen.
        path: of the mp4.

    Returns:
        The number of frames.

    Raises:
        RunError: the file cannot be written, or does not hold what was written.
    """
    cameras = _cameras(recording, 0)
    strip, axis = timelines(recording, Layout(max(MIN_WIDTH_PX, cameras.shape[1]), PANEL_PX, shows_ages=False))
    height, width = _even(cameras.shape[0] + strip.shape[0]), _even(strip.shape[1])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), recording.card.control_hz, (width, height))
    if not writer.isOpened():
        raise RunError(f"{path} cannot be written as mp4 with OpenCV {cv2.__version__}")
    for tick in range(len(recording.times_s)):
        writer.write(np.ascontiguousarray(_frame(recording, tick, strip, axis, (height, width))[..., ::-1]))
    writer.release()
    _check(path, len(recording.times_s))
    return len(recording.times_s)


def _frame(recording: Recording, tick: int, strip: np.ndarray, axis: TimeAxis, size: tuple[int, int]) -> np.ndarray:
    canvas, cameras = blank(*size), _cameras(recording, tick)
    paste(canvas, cameras, 0, 0)
    paste(canvas, strip, 0, len(cameras))
    hand = int(axis.to_px(recording.times_s[tick : tick + 1])[0])
    canvas[len(cameras) :, hand : hand + 2] = HAND
    return canvas


def _cameras(recording: Recording, tick: int) -> np.ndarray:
    """Return all cameras at one tick, side by side."""
    pictures = [
        labelled(as_colours(track.newest(tick), track.card), CAMERA_PX, track.card.spec.name)
        for track in recording.pictures
    ]
    return np.concatenate(pictures, axis=1)


def _even(length: int) -> int:
    """Return a length that the codec accepts."""
    return length + length % 2


def _check(path: Path, num_frames: int) -> None:
    reader = cv2.VideoCapture(str(path))
    found = 0
    while reader.read()[0]:
        found += 1
    reader.release()
    if found != num_frames:
        raise RunError(f"{path} holds {found} frames, expected {num_frames}; is the disk full?")
