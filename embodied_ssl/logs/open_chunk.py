"""The chunk of a stream that is being filled, in memory.

Ctrl-C may strike between any two statements of a caller. So rows count from one assignment on (``_num_rows``), and a
full chunk becomes a closed one by one assignment (``_now``): nothing is taken twice or lost, whatever is interrupted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from embodied_ssl.logs.chunks import ArrayFormat
from embodied_ssl.logs.schema import INDEX_COLUMNS, LogStream

MAX_SPARE = 2
"""Buffers kept for the next chunks: touching fresh memory costs as much as filling it."""


_Buffers = tuple[np.ndarray, np.ndarray]


class ClosedChunk:
    """A full chunk on its way to disk; the future gives the CRC32C of its data and of its index.

    Attributes:
        stream: whose rows these are.
        number: of the chunk.
        nbytes: raw bytes.
    """

    def __init__(
        self, stream: LogStream, number: int, buffers: _Buffers, take_back: Callable[[int, _Buffers], None]
    ) -> None:
        """Describe chunk ``number``; ``take_back`` gets its memory when it lies on disk."""
        self.stream, self.number, self._buffers, self._take_back = stream, number, buffers, take_back
        self.nbytes = sum(buffer.nbytes for buffer in buffers)
        self.future: Future[tuple[int, int]] = Future()
        self.is_queued = False
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Return True to the first who asks: queued twice, it is still written once."""
        return self._claim.acquire(blocking=False)

    @property
    def buffers(self) -> _Buffers:
        """Data ``(rows, *shape)`` and index ``(5, rows)``; gone once they were given back."""
        return self._buffers

    def give_back(self) -> None:
        """Let go of the memory: a commit needs the checksums only, and may be many chunks away."""
        buffers = self._buffers
        del self._buffers
        self._take_back(self.number, buffers)


class _Filling:
    """The open chunk, and the chunks closed since the last commit."""

    __slots__ = ("closed", "data", "index", "number")

    def __init__(self, number: int, data: np.ndarray, index: np.ndarray, closed: tuple[ClosedChunk, ...]) -> None:
        self.number, self.data, self.index, self.closed = number, data, index, closed


class OpenChunk:
    """Rows that do not yet fill a chunk, and the chunks that have been filled since the last commit."""

    def __init__(self, number: int, stream: LogStream, chunk_rows: int, num_chunks: int) -> None:
        """Begin chunk ``num_chunks`` of stream ``number``."""
        self.number, self.stream, self.chunk_rows = number, stream, chunk_rows
        self.dtype, self.row_shape = np.dtype(stream.sensor.dtype), stream.sensor.shape
        self.formats = [ArrayFormat.of(stream, array, chunk_rows) for array in ("data", "index")]
        self.in_tail = num_chunks * chunk_rows  # rows before this one are in a chunk or in the tail file
        self._spare: deque[_Buffers] = deque()
        self._viewed = -1  # number of the chunk of which a commit holds views
        self._now = _Filling(num_chunks, *self._buffers(), ())
        self._num_rows = num_chunks * chunk_rows

    def _buffers(self) -> tuple[np.ndarray, np.ndarray]:
        if self._spare:
            return self._spare.popleft()
        data = np.empty((self.chunk_rows, *self.row_shape), self.dtype)
        return data, np.empty((len(INDEX_COLUMNS), self.chunk_rows), np.int64)

    @property
    def num_rows(self) -> int:
        """Rows ever appended."""
        return self._num_rows

    @property
    def num_open(self) -> int:
        """Rows of the open chunk."""
        return self._num_rows - self._now.number * self.chunk_rows

    @property
    def is_full(self) -> bool:
        """Whether the chunk can be closed."""
        return self.num_open == self.chunk_rows

    def fill(self, data: np.ndarray, index: np.ndarray) -> int:
        """Copy as many of the rows as there is room for; return how many."""
        now, begin = self._now, self.num_open
        count = min(len(data), self.chunk_rows - begin)
        now.data[begin : begin + count] = data[:count]
        now.index[:, begin : begin + count] = index[:, :count]
        self._num_rows += count
        return count

    def close(self) -> ClosedChunk:
        """Close the full chunk, begin the next, and return it."""
        now = self._now
        closed = ClosedChunk(self.stream, now.number, (now.data, now.index), self._take_back)
        self._now = _Filling(now.number + 1, *self._buffers(), (*now.closed, closed))
        return closed

    def take_closed(self) -> tuple[ClosedChunk, ...]:
        """Return the chunks filled since the last call."""
        closed, self._now.closed = self._now.closed, ()
        return closed

    def _take_back(self, number: int, buffers: _Buffers) -> None:
        """Use the memory of a chunk that lies on disk again, unless a commit still looks at it."""
        if number != self._viewed and len(self._spare) < MAX_SPARE:
            self._spare.append(buffers)

    def padded(self) -> ClosedChunk:
        """Return the open chunk with zeros behind its rows."""
        now, end = self._now, self.num_open
        now.data[end:] = 0
        now.index[:, end:] = 0
        return ClosedChunk(self.stream, now.number, (now.data, now.index), lambda *_: None)

    def part_for_tail(self, everything: bool) -> tuple[int, np.ndarray, np.ndarray]:
        """Return first row, index and data of the open rows that the tail file lacks, or of all of them.

        They are views: what was filled in stays as it is, and its memory is not used again before `end_views`.
        """
        now, end = self._now, self._num_rows
        first = now.number * self.chunk_rows
        begin = first if everything else max(first, self.in_tail)
        rows = slice(begin - first, end - first)
        self.in_tail, self._viewed = end, now.number
        return begin, now.index[:, rows], now.data[rows]

    def end_views(self) -> None:
        """Say that what `part_for_tail` gave is not looked at any more."""
        self._viewed = -1
