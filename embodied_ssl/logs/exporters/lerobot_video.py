# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# PyAV's stubs type a stream as the union of video, audio and subtitle streams.
"""Encode the pictures of one episode of one camera, and shape pictures as LeRobot wants them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import need

CODECS = {"libx264": "h264", "libsvtav1": "av1", "mpeg4": "mpeg4"}
"""Encoders in the order in which they are tried, and what their streams are called."""
_OPTIONS = {"libx264": {"crf": "18"}, "libsvtav1": {"crf": "30"}, "mpeg4": {"qscale:v": "2"}}
KEY_FRAMES = 2
"""Every second frame stands alone, as in LeRobot's own videos, so that random windows decode fast."""


def choose_encoder(wanted: str, shapes: Iterable[tuple[int, ...]]) -> str:
    """Return the encoder to use.

    Args:
        wanted: one of `CODECS`, or ``auto``.
        shapes: ``(height, width, channels)`` of all cameras; these codecs need even sizes.

    Raises:
        LogError: it is unknown, not in this PyAV, or a picture has an odd size.
    """
    for shape in shapes:
        if shape[0] % 2 or shape[1] % 2:
            raise LogError(f"pictures of {shape[0]} x {shape[1]} cannot go into a video (odd size); fix: videos=false")
    available = need("av", "lerobot").codec.codecs_available
    found = [name for name in CODECS if name in available and wanted in ("auto", name)]
    if not found:
        have = ", ".join(name for name in CODECS if name in available) or "none"
        raise LogError(f"codec {wanted!r} cannot be used; this PyAV has {have}; or videos=false for PNG pictures")
    return found[0]


def as_rgb(row: np.ndarray) -> np.ndarray:
    """Return a picture ``(H, W, 1|3|4)`` as ``(H, W, 3)``: grey repeated, transparency dropped."""
    return np.repeat(row, 3, axis=2) if row.shape[2] == 1 else np.ascontiguousarray(row[..., :3])


def encode_png(picture: np.ndarray) -> bytes:
    """Return ``(H, W, 3)`` RGB as PNG."""
    import cv2

    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def write_video(path: Path, pictures: Iterable[np.ndarray], fps: int, encoder: str) -> None:
    """Encode pictures ``(H, W, 3)`` RGB to an mp4, one after another."""
    av = need("av", "lerobot")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream(encoder, rate=fps, options=_OPTIONS[encoder])
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt, stream.gop_size = "yuv420p", KEY_FRAMES
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
