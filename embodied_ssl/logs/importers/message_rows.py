"""Values of a message to the fixed-size rows of its streams, gathered to batches of about a megabyte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from embodied_ssl.logs.importers.message_fields import Slot, leaf
from embodied_ssl.logs.schema import LogStream

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

BATCH_BYTES = 1 << 20
BATCH_ROWS = 1024


def number_row(slots: list[Slot], dtype: str, values: dict[str, Any]) -> np.ndarray:
    """Return one row of a group of numbers; what is missing is NaN, or 0 for integers.

    Args:
        slots: where each field goes.
        dtype: numpy name of the group.
        values: the decoded message.
    """
    row = np.full(slots[-1].stop, np.nan if dtype.startswith("float") else 0, dtype)
    for slot in slots:
        value = values.get(slot.path)
        if not slot.counts and slot.stop - slot.start == 1 and isinstance(value, int | float):
            row[slot.start] = value
            continue
        flat = leaf([] if value is None else value, dtype if not slot.counts else "")
        size = 0 if isinstance(flat, str) or flat is None else flat.size
        if slot.counts:
            row[slot.start] = size
        else:
            row[slot.start : slot.start + size] = flat
    return row


def text_row(value: Any, width: int) -> np.ndarray:
    """Return text as ``(width,)`` bytes of UTF-8, padded with zeros, cut between letters."""
    text = leaf("" if value is None else value)
    raw = text.encode() if isinstance(text, str) else b""
    if len(raw) > width:
        raw = raw[:width].decode(errors="ignore").encode()
    return np.frombuffer(raw.ljust(width, b"\0"), np.uint8)


class RowBatch:
    """Rows of one stream on their way to the writer."""

    def __init__(self, stream: LogStream) -> None:
        """Fix how many rows go together."""
        self._stream = stream
        self._capacity = max(1, min(BATCH_ROWS, BATCH_BYTES // stream.row_bytes))
        self._rows: list[np.ndarray] = []
        self._index: list[tuple[int, int, int, int]] = []

    def add(self, row: np.ndarray, index: tuple[int, int, int, int], writer: LogWriter) -> None:
        """Keep a row with its ``(t_ns, t_recv_ns, seq, lane)``; write the batch when it is full."""
        self._rows.append(row)
        self._index.append(index)
        if len(self._rows) >= self._capacity:
            self.flush(writer)

    def flush(self, writer: LogWriter) -> None:
        """Write what is kept."""
        if not self._rows:
            return
        t_ns, t_recv_ns, seq, lane = np.array(self._index, np.int64).T
        writer.append(self._stream.name, np.stack(self._rows), t_ns, t_recv_ns, seq, lane)
        self._rows, self._index = [], []
