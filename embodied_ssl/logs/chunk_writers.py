"""The threads that compress closed chunks and write them, behind the recorder's back."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import wait
from pathlib import Path
from queue import SimpleQueue

from embodied_ssl.logs import layout
from embodied_ssl.logs.chunks import ArrayFormat, crc_of
from embodied_ssl.logs.open_chunk import ClosedChunk

NUM_THREADS = 2
MAX_BYTES_IN_FLIGHT = 64 << 20
"""Back-pressure: a recorder waits while chunks of so many raw bytes are being written."""


def write_chunk(root: Path, closed: ClosedChunk, chunk_rows: int, fsync: bool) -> tuple[int, int]:
    """Write data and index of a chunk; return their CRC32C."""
    crcs = []
    for array, values in zip(layout.ARRAYS, closed.buffers, strict=True):
        pieces = ArrayFormat.of(closed.stream, array, chunk_rows).encode(values)
        path = layout.chunk_path(root, closed.stream.name, array, closed.number, len(closed.stream.sensor.shape))
        layout.write_aside(path, pieces, fsync)
        crcs.append(crc_of(pieces))
    return crcs[0], crcs[1]


class ChunkWriters:
    """A few threads and the chunks they work on."""

    def __init__(self, root: Path, fsync: bool) -> None:
        """Start them."""
        self._root, self._fsync = root, fsync
        self._queue: SimpleQueue[ClosedChunk | None] = SimpleQueue()
        self._in_flight: deque[ClosedChunk] = deque()
        self._threads = [
            threading.Thread(target=self._work, daemon=True, name=f"log-chunks-{number}")
            for number in range(NUM_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, closed: ClosedChunk) -> None:
        """Have a chunk written; asking twice does no harm."""
        if not closed.is_queued:
            self._in_flight.append(closed)
            self._queue.put(closed)
            closed.is_queued = True

    def wait_for_room(self) -> None:
        """Wait while too much is under way."""
        while self._in_flight and self._in_flight[0].future.done():
            self._in_flight.popleft()
        while self._in_flight and sum(closed.nbytes for closed in self._in_flight) > MAX_BYTES_IN_FLIGHT:
            wait([self._in_flight[0].future])
            self._in_flight.popleft()

    def _work(self) -> None:
        while (closed := self._queue.get()) is not None:
            if closed.claim():
                try:
                    crcs = write_chunk(self._root, closed, len(closed.buffers[0]), self._fsync)
                    closed.give_back()
                except BaseException as error:  # whatever it is, it reaches whoever commits
                    closed.future.set_exception(error)
                else:
                    closed.future.set_result(crcs)
            del closed

    def close(self) -> None:
        """Finish what was asked for and end."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
