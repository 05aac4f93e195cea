"""Frames of a video file by PyAV: their times are known before any is decoded, and none is lost in silence."""
# pyright: reportAttributeAccessIssue=false
# Reason: PyAV is imported lazily, as a module whose names pyright does not know.

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import need
from embodied_ssl.logs.importers.safe_paths import refuse_pointer
from embodied_ssl.logs.schema import MAX_ROW_BYTES

EXTRA = "lerobot"
CODEC_NAMES = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9"}
"""Decoders whose name differs from that of the codec."""


@dataclass(frozen=True)
class VideoHeader:
    """What the stream itself says, whatever other files say of it.

    Attributes:
        codec: name of the codec, such as ``av1`` or ``mpeg4``.
        height: pixels.
        width: pixels.
        pixel_format: FFmpeg's name.
    """

    codec: str
    height: int
    width: int
    pixel_format: str


@dataclass(frozen=True)
class FrameTimes:
    """The frames of a file in the order in which they are shown.

    Attributes:
        pts: ``(n,)`` int64, in units of the stream's time base.
        seconds: ``(n,)`` float64 since the stream's start.
    """

    pts: np.ndarray
    seconds: np.ndarray

    def between(self, start_s: float, stop_s: float) -> FrameTimes:
        """Return the frames with ``start_s <= time < stop_s``."""
        first, last = np.searchsorted(self.seconds, [start_s, stop_s])
        return FrameTimes(self.pts[first:last], self.seconds[first:last])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and its first video stream; FFmpeg's errors become one line."""
    av = need("av", EXTRA)
    refuse_pointer(path)
    try:
        with closing(av.open(str(path), metadata_errors="replace")) as container:
            if not container.streams.video:
                raise LogError(f"{path}: holds no video stream")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise LogError(f"{path}: its video stream has no known codec")
            yield container, stream
    except av.FFmpegError as error:
        raise LogError(f"{path}: is no readable video ({error.strerror or error})") from None
    except UnicodeDecodeError as error:  # in names and texts of a damaged header
        raise LogError(f"{path}: is no readable video ({error.reason})") from None


def probe(path: Path) -> VideoHeader:
    """Read a file's header; nothing is decoded.

    Raises:
        LogError: it is no video, of unknown or absurd size, or its pixels have more than 8 bits.
    """
    with _opened(path) as (_, stream):
        context = stream.codec_context
        header = VideoHeader(
            CODEC_NAMES.get(str(context.name), str(context.name)), context.height, context.width, str(context.pix_fmt)
        )
        deep = context.format is not None and any(part.bits > 8 for part in context.format.components)
    if header.height < 1 or header.width < 1 or header.height * header.width * 3 > MAX_ROW_BYTES:
        raise LogError(f"{path}: frames of {header.height} x {header.width} pixels, expected a sensible size")
    if deep:
        raise LogError(f"{path}: {header.pixel_format} has over 8 bits; leave it out with option cameras")
    return header


def frame_times(path: Path) -> FrameTimes:
    """List the times of all frames from the packets; nothing is decoded.

    Raises:
        LogError: it is no video, or packets have no time.
    """
    with _opened(path) as (container, stream):
        packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        found = [packet.pts for packet in packets]
        base, start = float(stream.time_base), stream.start_time or 0
    if None in found:
        raise LogError(f"{path}: frame {found.index(None)} has no time")
    pts = np.sort(np.asarray(found, np.int64))
    return FrameTimes(pts, (pts - start) * base)


def decode(
    path: Path, wanted: FrameTimes, stored: tuple[int, int], size: tuple[int, int] | None, what: str
) -> Iterator[np.ndarray]:
    """Decode frames one by one; each has exactly the wanted time, so none is taken for another.

    Args:
        path: the file.
        wanted: frames that follow each other, from `frame_times`.
        stored: (height, width) that frames must have, as the header says.
        size: (height, width) to shrink to by area averaging, None: as stored.
        what: for messages, such as ``"episode 3"``.

    Yields:
        ``(height, width, 3)`` uint8 RGB, converted by libswscale.

    Raises:
        LogError: a frame is damaged, missing or of another size; names file, episode and frame.
    """
    done = 0
    try:
        for frame in _frames_from(path, int(wanted.pts[0]) if len(wanted.pts) else 0):
            if done == len(wanted.pts):
                return
            if frame.pts is None or frame.pts < wanted.pts[done]:
                continue
            if frame.pts > wanted.pts[done] or frame.is_corrupt:
                break
            if (frame.height, frame.width) != stored:
                raise LogError(f"it has {frame.height} x {frame.width} pixels, expected {stored[0]} x {stored[1]}")
            yield _pixels(frame, size)
            done += 1
    except LogError as error:
        raise LogError(f"{path}: {what}, frame {done} cannot be decoded ({error})") from None
    if done < len(wanted.pts):
        raise LogError(f"{path}: {what}, frame {done} of {len(wanted.pts)} is damaged or missing")


def _frames_from(path: Path, pts: int) -> Iterator[Any]:
    """Decode from the key frame before ``pts``, or from the start where seeking lands behind it."""
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        if pts <= (stream.start_time or 0):
            yield from container.decode(stream)
            return
        container.seek(pts, stream=stream)
        frames = container.decode(stream)
        first = next(frames, None)
        if first is not None and first.pts is not None and first.pts <= pts:
            yield first
            yield from frames
            return
    with _opened(path) as (container, stream):
        yield from container.decode(stream)


def _pixels(frame: Any, size: tuple[int, int] | None) -> np.ndarray:
    if size is None:
        return frame.to_ndarray(format="rgb24")
    small = frame.reformat(width=size[1], height=size[0], format="rgb24", interpolation="AREA")
    return small.to_ndarray()


def blocks_of(frames: Iterator[np.ndarray], block_bytes: int) -> Iterator[np.ndarray]:
    """Stack frames into blocks ``(n, height, width, 3)`` of about ``block_bytes``."""
    held: list[np.ndarray] = []
    for frame in frames:
        held.append(frame)
        if len(held) >= max(1, math.floor(block_bytes / frame.nbytes)):
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)
