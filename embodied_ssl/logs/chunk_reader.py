"""Committed chunks of a log, decoded; the open chunk of a stream counts as its last one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunks import ArrayFormat
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.schema import LogRows, LogStream
from embodied_ssl.logs.shards import read_from_shard
from embodied_ssl.logs.tail_records import OpenRows, TailReader

NUM_TRIES = 20
"""How often a reader looks again when a writer replaces the tail under it."""


class ChunkReader:
    """Reads chunks as the journal knows them.

    Attributes:
        rows: by stream the rows that can be read: the committed ones, less those of a damaged tail that was left out.
        lost_tail: why rows of open chunks were left out; "" when they were not.
    """

    def __init__(self, path: Path, journal: Journal) -> None:
        """Read the open chunks of a log whose commits were read."""
        self.path, self._journal = path, journal
        self.rows, self.lost_tail = dict(journal.rows), ""
        self._tail_reader = TailReader(path, journal.streams, journal.chunk_rows)
        self._decoded: dict[str, tuple[int, LogRows]] = {}
        self._open: dict[str, OpenRows] = {}
        self.refresh()

    def num_chunks(self, name: str) -> int:
        """Return the closed chunks of a stream."""
        return len(self._journal.chunks[name])

    def refresh(self) -> None:
        """Read the tail that the last commit names; a writer may replace it meanwhile.

        Raises:
            LogError: it is damaged or missing, and damage is not skipped.
        """
        for _ in range(NUM_TRIES):
            spans = {name: (self._journal.first_open_row(name), rows) for name, rows in self._journal.rows.items()}
            try:
                self._open, self.rows = self._tail_reader.read(self._journal.tail, spans), dict(self._journal.rows)
                return
            except FileNotFoundError:
                if self._journal.refresh():
                    continue
                error = LogError(f"{self._tail_reader.path} is missing; --skip-corrupt leaves its rows out")
            except LogError as damage:
                error = damage
            break
        else:
            error = LogError(f"{self.path}: the tail file is replaced faster than it can be read")
        if not self._journal.skip_corrupt:
            raise error
        self._leave_out(str(error))

    def _leave_out(self, why: str) -> None:
        journal = self._journal
        self.rows = {name: journal.first_open_row(name) for name in journal.rows}
        lost = sum(journal.rows.values()) - sum(self.rows.values())
        self.lost_tail = f"{lost:,} rows of open chunks are left out: {why}"
        self._open = {stream.name: OpenRows.none_of(stream) for stream in journal.streams}

    def parts(self, name: str, start: int, stop: int) -> Iterator[tuple[int, slice]]:
        """Yield the number of every chunk, the open one included, and its rows from ``start`` to ``stop``."""
        size = self._journal.chunk_rows[name]
        for number in range(start // size, -(-stop // size)):
            if (begin := max(start - number * size, 0)) < (end := min(stop - number * size, size)):
                yield number, slice(begin, end)

    def copy(self, stream: LogStream, number: int, part: slice, data: np.ndarray, index: np.ndarray) -> None:
        """Copy rows ``part`` of a chunk to data ``(n, *shape)`` and index ``(5, n)``; a whole one is decoded there."""
        name = stream.name
        if number < self.num_chunks(name) and part == slice(0, self._journal.chunk_rows[name]):
            index[:] = self.index(stream, number)
            self._array(stream, "data", number, data)
        else:
            rows = self._chunk(stream, number)
            data[:], index[:] = rows.data[part], rows.index[:, part]

    def index(self, stream: LogStream, number: int) -> np.ndarray:
        """Return the index ``(5, rows)`` of a chunk, not to be written to."""
        if number >= self.num_chunks(stream.name):
            return self._open[stream.name].index
        return self._array(stream, "index", number)

    def check(self, stream: LogStream, number: int) -> None:
        """Raise LogError when a chunk cannot be read."""
        self._chunk(stream, number)

    def _chunk(self, stream: LogStream, number: int) -> OpenRows | LogRows:
        """Return a chunk with index ``(5, rows)``; the one that was last decoded is kept."""
        if number >= self.num_chunks(stream.name):
            return self._open[stream.name]
        held = self._decoded.get(stream.name)
        if held is None or held[0] != number:
            data = self._array(stream, "data", number)
            held = self._decoded[stream.name] = (number, LogRows(data, self._array(stream, "index", number)))
        return held[1]

    def _array(self, stream: LogStream, array: str, number: int, out: np.ndarray | None = None) -> np.ndarray:
        journal, name = self._journal, stream.name
        shards = journal.shard_chunks[name]
        kind = ArrayFormat.of(stream, array, journal.chunk_rows[name], shards)
        path = layout.chunk_path(self.path, name, array, number // max(1, shards), len(stream.sensor.shape))
        crcs = journal.chunks[name][number]
        if crcs is None:
            raise LogError(f"{path}: its checksum stood in a damaged line of {journal.path}")
        try:
            if shards:
                encoded = read_from_shard(path, number % shards, shards, kind.max_encoded_bytes)
            else:
                encoded = layout.read_file(path, kind.max_encoded_bytes)
            return kind.decode(encoded, crcs[layout.ARRAYS.index(array)], path, out)
        except FileNotFoundError:
            error = LogError(f"{path} is missing though it was committed; --skip-corrupt leaves it out")
        except LogError as damage:
            error = damage
        if journal.is_replaced():
            raise LogError(f"{self.path} was replaced by another one, as by compact; open the log again")
        raise error
