"""Arrays with a time axis as rows of a stream: sizes of blocks, pictures, integers that are stored as floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.spec import SensorSpec

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

BLOCK_BYTES = 8 << 20
"""Rows are read and handed on in blocks of about this size."""
MAX_BLOCK_BYTES = 64 << 20
"""Most bytes of a block, unless one row alone is larger."""
MAX_CHUNK_BYTES = 512 << 20
"""Largest chunk that a file may declare; it is decoded whole."""
MIN_IMAGE_SIDE = 8


def blocks(start: int, stop: int, row_bytes: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Split rows ``start ... stop`` into blocks of about `BLOCK_BYTES`, cut at multiples of ``multiple`` rows.

    Where so many rows are larger than `MAX_BLOCK_BYTES`, blocks are cut inside them: chunks are unpacked more than
    once then, but memory stays bounded.
    """
    if multiple * row_bytes > MAX_BLOCK_BYTES:
        multiple = max(1, MAX_BLOCK_BYTES // row_bytes)
    rows = max(1, BLOCK_BYTES // max(row_bytes, 1))
    rows = max(multiple, rows // multiple * multiple)
    while start < stop:
        end = min(stop, start - start % multiple + rows)
        yield start, end
        start = end


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether rows of this shape look like pictures: (height, width, 1, 3 or 4 channels)."""
    return len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) >= MIN_IMAGE_SIDE


def holds_bytes(values: np.ndarray) -> bool:
    """Whether every value is a whole number from 0 to 255, so that uint8 holds it exactly."""
    with np.errstate(invalid="ignore"):
        return bool(np.array_equal(values.astype(np.uint8), values))


def stream_of(name: str, shape: tuple[int, ...], dtype: str, rate_hz: float, role: str, unit: str = "") -> LogStream:
    """Describe a stream; uint8 pictures become cameras, single numbers become rows of one value.

    Raises:
        LogError: the declared shape, dtype or size is refused.
    """
    if any(size < 1 for size in shape):
        raise LogError(f"stream {name!r}: rows of shape {shape} hold nothing")
    shape = shape or (1,)
    picture = dtype == "uint8" and is_picture(shape)
    modality = "camera" if picture else role if role in ("action", "reward") else "vector"
    return LogStream(SensorSpec(name, modality, shape, dtype, rate_hz, unit), role)


class Appender:
    """Hands rows to the writer, counts them and reports progress."""

    def __init__(self, writer: LogWriter, progress: Callable[[int], None], streams: list[LogStream]) -> None:
        """Start at zero rows of every stream."""
        self.writer, self.progress = writer, progress
        self.streams = {stream.name: stream for stream in streams}
        self.rows = dict.fromkeys(self.streams, 0)

    def append(self, name: str, data: np.ndarray, t_ns: np.ndarray, seq: np.ndarray | None = None) -> None:
        """Append rows ``(n, *shape)`` at times ``(n,)`` int64 ns in the stream's own dtype."""
        sensor = self.streams[name].sensor
        rows = np.ascontiguousarray(data, dtype=sensor.dtype).reshape(len(data), *sensor.shape)
        self.writer.append(name, rows, t_ns, seq=seq)
        self.rows[name] += len(rows)
        self.progress(len(rows))
