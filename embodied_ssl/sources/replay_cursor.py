"""Reading a stream of a log forwards in blocks, by time."""

from __future__ import annotations

import numpy as np

from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import INDEX_COLUMNS, LogRows

BLOCK_BYTES = 4 << 20
MAX_BLOCK_ROWS = 4096


class RowCursor:
    """The rows of one stream in order, a bounded block in memory at a time."""

    def __init__(self, log: StreamLog, name: str, start: int = 0) -> None:
        """Begin at row ``start``."""
        stream = log.streams[name]
        self._log, self._name = log, name
        self._size = max(1, min(MAX_BLOCK_ROWS, BLOCK_BYTES // max(1, stream.row_bytes)))
        self._held = LogRows(
            np.zeros((0, *stream.sensor.shape), stream.sensor.dtype), np.zeros((0, len(INDEX_COLUMNS)), np.int64)
        )
        self._blocks: list[tuple[int, int]] = []  # number of the first row, and rows that reading it gave
        self._next = start

    @property
    def start(self) -> int:
        """A row number from which reading on finds everything not yet taken."""
        return self._blocks[0][0] if self._blocks else self._next

    def peek_ns(self) -> int | None:
        """Return the arrival time of the next row; None at the end of what is committed."""
        while not len(self._held) and self._load():
            pass
        return int(self._held.t_recv_ns[0]) if len(self._held) else None

    def take(self, time_ns: int) -> LogRows:
        """Return the rows that arrived at ``time_ns`` and drop those before it; arrival times never go back."""
        while not (len(self._held) and self._held.t_recv_ns[-1] > time_ns) and self._load():
            pass
        low, high = np.searchsorted(self._held.t_recv_ns, [time_ns, time_ns + 1])
        taken = LogRows(self._held.data[low:high], self._held.index[low:high])
        self._held = LogRows(self._held.data[high:], self._held.index[high:])
        while len(self._blocks) > 1 and sum(count for _, count in self._blocks[1:]) >= len(self._held):
            self._blocks.pop(0)
        return taken

    def _load(self) -> bool:
        """Read the next block behind what is held; False at the end."""
        stop = min(self._next + self._size, self._log.num_rows(self._name))
        if stop <= self._next:
            return False
        rows = self._log.read(self._name, self._next, stop)
        self._blocks.append((self._next, len(rows)))
        self._next = stop
        data = np.concatenate([self._held.data, rows.data]) if len(self._held) else rows.data
        self._held = LogRows(data, np.concatenate([self._held.index, rows.index]))
        return True
