"""The chunk of a stream that is being filled, in memory."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from embodied_ssl.logs.schema import INDEX_COLUMNS, LogStream


@dataclass(frozen=True)
class ClosedChunk:
    """A full chunk on its way to disk; the future gives the CRC32C of its data and of its index."""

    number: int
    future: Future[tuple[int, int]]


@dataclass(frozen=True)
class TailPart:
    """Rows of an open chunk that go to the tail file."""

    stream: int
    first_row: int
    index: np.ndarray
    data: np.ndarray

    @property
    def num_rows(self) -> int:
        """Rows of the part."""
        return len(self.data)


class OpenChunk:
    """Rows that do not yet fill a chunk, and the chunks that have been filled since the last commit."""

    def __init__(self, number: int, stream: LogStream, chunk_rows: int, num_chunks: int) -> None:
        """Begin chunk ``num_chunks`` of stream ``number``."""
        self.number, self.stream, self.chunk_rows = number, stream, chunk_rows
        self.closed: list[ClosedChunk] = []
        self.in_tail = num_chunks * chunk_rows  # rows before this one are in a chunk or in the tail file
        self._chunk, self.num_open = num_chunks, 0
        self._begin()

    def _begin(self) -> None:
        # Zeroed lazily by the system; whoever pads a chunk relies on the zeros behind its rows.
        self._data = np.zeros((self.chunk_rows, *self.stream.sensor.shape), self.stream.sensor.dtype)
        self._index = np.zeros((len(INDEX_COLUMNS), self.chunk_rows), np.int64)
        self.num_open = 0

    @property
    def num_rows(self) -> int:
        """Rows ever appended."""
        return self._chunk * self.chunk_rows + self.num_open

    @property
    def is_full(self) -> bool:
        """Whether the chunk can be closed."""
        return self.num_open == self.chunk_rows

    def fill(self, data: np.ndarray, index: np.ndarray) -> int:
        """Copy as many of the rows as there is room for; return how many."""
        count = min(len(data), self.chunk_rows - self.num_open)
        self._data[self.num_open : self.num_open + count] = data[:count]
        self._index[:, self.num_open : self.num_open + count] = index[:, :count]
        self.num_open += count
        return count

    def close(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Return number, data and index of the full chunk and begin the next."""
        closed = (self._chunk, self._data, self._index)
        self._chunk += 1
        self._begin()
        return closed

    def padded(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Return number, data and index of the open chunk, zeros behind its rows."""
        return self._chunk, self._data, self._index

    def take_closed(self) -> list[ClosedChunk]:
        """Return the chunks filled since the last call."""
        closed, self.closed = self.closed, []
        return closed

    def part_for_tail(self, everything: bool) -> TailPart:
        """Return a copy of the open rows that the tail file lacks, or of all of them."""
        first = self._chunk * self.chunk_rows
        begin = first if everything else max(first, self.in_tail)
        rows = slice(begin - first, self.num_open)
        self.in_tail = self.num_rows
        return TailPart(self.number, begin, self._index[:, rows].copy(), self._data[rows].copy())
