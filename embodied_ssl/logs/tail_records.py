"""Rows of open chunks as records of the tail file, and reading them as the file grows.

A record is ``(magic, stream, first row, rows, CRC32C)`` followed by index ``(5, n)`` int64 and data ``(n, *shape)``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c
import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.layout import opened, read_at, tail_path
from embodied_ssl.logs.schema import INDEX_COLUMNS, LogStream

HEAD = struct.Struct("<4sIQII")
_MAGIC = b"rows"
_NUMBERS = struct.Struct("<IQI")


def tail_record(stream: int, first_row: int, index: np.ndarray, data: np.ndarray) -> list[bytes]:
    """Return rows of one open chunk as the pieces of a record: index ``(5, n)``, data ``(n, *shape)``."""
    pieces = [index.tobytes(), data.tobytes()]
    crc = _crc(stream, first_row, len(data), pieces)
    return [HEAD.pack(_MAGIC, stream, first_row, len(data), crc), *pieces]


def _crc(stream: int, first_row: int, count: int, pieces: Sequence[bytes]) -> int:
    crc = google_crc32c.value(_NUMBERS.pack(stream, first_row, count))
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    return crc


@dataclass(frozen=True)
class OpenRows:
    """Rows of one stream that no chunk holds: index ``(5, n)`` and data ``(n, *shape)``."""

    index: np.ndarray
    data: np.ndarray

    @classmethod
    def none_of(cls, stream: LogStream) -> OpenRows:
        """Return no rows."""
        shape = (0, *stream.sensor.shape)
        return cls(np.zeros((len(INDEX_COLUMNS), 0), np.int64), np.zeros(shape, stream.sensor.dtype))


@dataclass
class _Part:
    first: int
    index: np.ndarray
    data: np.ndarray


@dataclass
class TailReader:
    """Reads what is new in the committed part of the tail file, and keeps the rows that no chunk holds yet.

    Attributes:
        root: the log.
        streams: of the log, in the order of its header.
        chunk_rows: rows of a chunk, by stream; no record is longer.
    """

    root: Path
    streams: Sequence[LogStream]
    chunk_rows: Mapping[str, int]
    _number: int = -1
    _read: int = 0
    _parts: dict[str, list[_Part]] = field(default_factory=dict)

    def read(self, tail: tuple[int, int], spans: Mapping[str, tuple[int, int]]) -> dict[str, OpenRows]:
        """Return the committed rows of the open chunks.

        Args:
            tail: number of the tail file and its committed bytes.
            spans: by stream the first row that no chunk holds, and the committed rows.

        Raises:
            LogError: the tail is damaged, too short, or does not hold all of them.
            FileNotFoundError: it was replaced by a newer one, or deleted.
        """
        number, size = tail
        if number != self._number or size < self._read:
            self._number, self._read, self._parts = number, 0, {stream.name: [] for stream in self.streams}
        for name, (begin, _) in spans.items():
            self._parts[name] = [part for part in self._parts[name] if part.first + len(part.data) > begin]
        if size > self._read:
            self._read_up_to(size)
        return {stream.name: self._open_rows(stream, *spans[stream.name]) for stream in self.streams}

    @property
    def path(self) -> Path:
        """The tail file."""
        return tail_path(self.root, self._number)

    def _read_up_to(self, size: int) -> None:
        with opened(self.path) as handle:
            while self._read < size:
                self._read += self._read_record(handle, size - self._read)

    def _read_record(self, handle: int, room: int) -> int:
        """Read the record at the place that was reached; return its bytes."""
        damaged = LogError(
            f"{self.path} is damaged or cut short at byte {self._read:,}; the rows of open chunks are not readable; "
            "--skip-corrupt leaves them out"
        )
        head = read_at(handle, self._read, HEAD.size)
        if len(head) < HEAD.size:
            raise damaged
        magic, number, first, count, crc = HEAD.unpack(head)
        if magic != _MAGIC or number >= len(self.streams):
            raise damaged
        stream = self.streams[number]
        index_bytes, data_bytes = len(INDEX_COLUMNS) * 8 * count, stream.row_bytes * count
        total = HEAD.size + index_bytes + data_bytes
        if not 0 < count <= self.chunk_rows[stream.name] or total > room:
            raise damaged
        index = read_at(handle, self._read + HEAD.size, index_bytes)
        data = read_at(handle, self._read + HEAD.size + index_bytes, data_bytes)
        if _crc(number, first, count, [index, data]) != crc or len(data) != data_bytes:
            raise damaged
        rows = np.frombuffer(data, stream.sensor.dtype).reshape(count, *stream.sensor.shape)
        columns = np.frombuffer(index, np.int64).reshape(len(INDEX_COLUMNS), count)
        self._parts[stream.name].append(_Part(first, columns, rows))
        return total

    def _open_rows(self, stream: LogStream, begin: int, end: int) -> OpenRows:
        """Return rows ``begin`` to ``end`` of one stream, which the records must hold without a hole."""
        indices, blocks, at = [], [], begin
        for part in self._parts[stream.name]:
            skip = at - part.first
            if 0 <= skip < len(part.data) and at < end:
                indices.append(part.index[:, skip : skip + end - at])
                blocks.append(part.data[skip : skip + end - at])
                at += len(blocks[-1])
        if at != end:
            raise LogError(f"{self.path} does not hold rows {at} to {end} of stream {stream.name!r}")
        if not blocks:
            return OpenRows.none_of(stream)
        if len(blocks) == 1:
            return OpenRows(indices[0], blocks[0])
        index, data = np.concatenate(indices, axis=1), np.concatenate(blocks)
        self._parts[stream.name] = [_Part(begin, index, data)]
        return OpenRows(index, data)
