"""Recording: rows are gathered in memory, whole chunks are written behind the caller's back, commits make them count.

Within ``flush_s`` seconds, or at `flush`, everything appended is committed: first the chunk files, then the rows of the
open chunks in the tail file, then one line in ``commit.jsonl``, each made durable before the next. A process killed at
any moment leaves the last commit; what came after it is invisible.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunks import ArrayFormat, crc_of
from embodied_ssl.logs.journal import Journal, sealed
from embodied_ssl.logs.open_chunk import ClosedChunk, OpenChunk
from embodied_ssl.logs.schema import END_KINDS, LogStream
from embodied_ssl.logs.store import drop_uncommitted, write_shapes
from embodied_ssl.logs.tail import TailFile

FLUSH_S = 1.0
"""Seconds after which appended rows are committed: the most that a killed process loses."""
NUM_THREADS = 2
MAX_CHUNKS_IN_FLIGHT = 16
"""Back-pressure: `LogWriter.append` waits while so many chunks are being written."""


class LogWriter:
    """Writes one log; get it from `StreamLog.create` or `StreamLog.append_to`. Safe to call from several threads."""

    def __init__(self, root: Path, flush_s: float = FLUSH_S, fsync: bool = True) -> None:
        """Take the lock of a log, drop what a killed writer left uncommitted, and go on after the last commit.

        Args:
            root: folder of the log.
            flush_s: seconds between commits.
            fsync: force data to disk at each commit; without it a power cut may lose commits, a killed process not.

        Raises:
            LogError: another process writes it, or it is damaged.
        """
        self.root, self._fsync = root, fsync
        self._cleanup = contextlib.ExitStack()
        self._cleanup.enter_context(layout.writer_lock(root))
        try:
            self._journal = Journal(root)
            self._journal.refresh()
            self.streams = {stream.name: stream for stream in self._journal.streams}
            self._open = self._reopen()
            self._tail = TailFile(root, self._journal.tail, fsync)
            self._commit_file = self._open_commit_file()
        except BaseException:
            self._cleanup.close()
            raise
        self._events: list[list[Any]] = []
        self._running = self._running_episodes()
        self._num_commits = self._journal.num_commits
        self._lock, self._commit_lock = threading.Lock(), threading.Lock()
        self._slots = threading.Semaphore(MAX_CHUNKS_IN_FLIGHT)
        self._error: Exception | None = None
        self._closed = False
        self._pool = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="log")
        self._stop = threading.Event()
        self._timer = threading.Thread(
            target=self._commit_now_and_then, args=(flush_s,), daemon=True, name="log-commit"
        )
        self._timer.start()

    # --- recording ----------------------------------------------------------------------------------------------

    def append(
        self,
        name: str,
        data: Any,
        t_ns: Any,
        t_recv_ns: Any = None,
        seq: Any = None,
        lane: Any = 0,
        tick: Any = None,
    ) -> None:
        """Take in rows of one stream, in the order in which they arrived.

        Args:
            name: the stream.
            data: ``(n, *shape)`` in the stream's dtype.
            t_ns: ``(n,)`` capture times.
            t_recv_ns: ``(n,)`` arrival times; None: the same.
            seq: ``(n,)`` the source's numbers; None: it has none.
            lane: ``(n,)`` or one number.
            tick: ``(n,)`` per-lane tick numbers; None: packets.

        Raises:
            LogError: rows do not fit the stream, or an earlier commit failed (what was committed is intact).
        """
        stream = self._stream(name)
        values = np.asarray(data)
        if values.shape[1:] != stream.sensor.shape or values.ndim == 0 or values.dtype != np.dtype(stream.sensor.dtype):
            raise LogError(
                f"stream {name!r} got {values.dtype} {values.shape}, expected {stream.sensor.dtype} "
                f"(rows, {', '.join(map(str, stream.sensor.shape))})"
            )
        columns = (t_ns, t_ns if t_recv_ns is None else t_recv_ns, -1 if seq is None else seq, lane)
        index = _index(name, (*columns, -1 if tick is None else tick), len(values))
        with self._lock:
            self._check()
            opened = self._open[name]
            done = 0
            while done < len(values):
                done += opened.fill(values[done:], index[:, done:])
                if opened.is_full:
                    self._hand_over(opened)

    def begin_episode(self, t_ns: int, lane: int = 0, tick: int = -1, **facts: Any) -> None:
        """Note that an episode of ``lane`` begins; a running one is ended as ``unknown``."""
        with self._lock:
            self._check()
            if lane in self._running:
                self._events.append(["end", lane, int(t_ns), -1, {}, "unknown"])
            self._running.add(lane)
            self._events.append(["begin", int(lane), int(t_ns), int(tick), _json(facts)])

    def end_episode(self, t_ns: int, lane: int = 0, tick: int = -1, kind: str = "unknown", **facts: Any) -> None:
        """Note that the running episode of ``lane`` has ended.

        Raises:
            LogError: none runs, or the kind of end is not known.
        """
        if kind not in END_KINDS:
            raise LogError(f"unknown kind of end {kind!r}; {nearest(kind, END_KINDS)}")
        with self._lock:
            self._check()
            if lane not in self._running:
                raise LogError(f"end_episode: no episode of lane {lane} runs; call begin_episode first")
            self._running.discard(lane)
            self._events.append(["end", int(lane), int(t_ns), int(tick), _json(facts), kind])

    def num_rows(self, name: str) -> int:
        """Return the rows appended to a stream so far, committed or not."""
        with self._lock:
            return self._open[self._stream(name).name].num_rows

    # --- committing ---------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Commit everything appended so far.

        Raises:
            LogError: the disk refuses; what was committed before is intact.
        """
        with self._commit_lock:
            with self._lock:
                self._check()
            try:
                self._commit()
            except OSError as error:
                self._error = LogError(
                    f"{self.root}: {error.strerror or error}; its {self._num_commits} commits are intact, "
                    "mend the cause and go on with StreamLog.append_to"
                )
                raise self._error from error

    def _commit(self) -> None:
        """Make one commit of what is there now; nothing new, no commit."""
        with self._lock:
            chunks = {name: opened.take_closed() for name, opened in self._open.items()}
            events, self._events = self._events, []
            rotate = self._tail.wants_rotation
            parts = {name: opened.part_for_tail(everything=rotate) for name, opened in self._open.items()}
            rows = {name: opened.num_rows for name, opened in self._open.items()}
        crcs = {name: [closed.future.result() for closed in some] for name, some in chunks.items() if some}
        if not (crcs or events or any(part.num_rows for part in parts.values())):
            return
        if self._fsync:
            for name in crcs:
                for array in layout.ARRAYS:
                    layout.sync_folder(layout.stream_folder(self.root, name) / array)
        tail = self._tail.write(list(parts.values()), rotate)
        record = {"n": self._num_commits, "t_ns": time.time_ns(), "chunks": crcs, "rows": rows}
        self._write_line(sealed(record | {"tail": tail, "events": events}))
        self._num_commits += 1
        self._tail.drop_old()

    def _write_line(self, line: bytes) -> None:
        layout.append_whole(self._commit_file, line, self._fsync)

    def _commit_now_and_then(self, flush_s: float) -> None:
        while not self._stop.wait(flush_s):
            with contextlib.suppress(LogError):  # kept, and raised to whoever appends next
                self.flush()

    def _hand_over(self, opened: OpenChunk) -> None:
        """Give a full chunk to the pool; waits while too many are under way."""
        self._slots.acquire()
        number, data, index = opened.close()
        future = self._pool.submit(self._write_chunk, opened.stream, opened.chunk_rows, number, data, index)
        future.add_done_callback(lambda _: self._slots.release())
        opened.closed.append(ClosedChunk(number, future))

    def _write_chunk(
        self, stream: LogStream, chunk_rows: int, number: int, data: np.ndarray, index: np.ndarray
    ) -> tuple[int, int]:
        """Write data and index of a chunk; return their CRC32C."""
        crcs = []
        for array, values in zip(layout.ARRAYS, (data, index), strict=True):
            encoded = ArrayFormat.of(stream, array, chunk_rows).encode(values)
            path = layout.chunk_path(self.root, stream.name, array, number, len(stream.sensor.shape))
            layout.write_aside(path, encoded, self._fsync)
            crcs.append(crc_of(encoded))
        return crcs[0], crcs[1]

    # --- closing ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit, make the log readable for any zarr library, and give up the lock.

        The last chunk of a stream is then written with zeros behind its rows; the tail stays what counts, and a
        writer that goes on replaces that one chunk when it is full.

        Raises:
            LogError: the last commit failed.
        """
        if self._closed:
            return
        try:
            self._stop.set()
            self._timer.join()
            if self._error is None:
                self.flush()
                with layout.named_errors(self.root):
                    self._finish_arrays()
        finally:
            self._closed = True
            self._pool.shutdown()
            self._commit_file.close()
            self._tail.close()
            self._cleanup.close()

    def _finish_arrays(self) -> None:
        for opened in self._open.values():
            if opened.num_open:
                self._write_chunk(opened.stream, opened.chunk_rows, *opened.padded())
            write_shapes(self.root, opened.stream, opened.chunk_rows, opened.num_rows, self._fsync)

    def __enter__(self) -> LogWriter:
        """Record inside the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close; what was committed stays whatever happened."""
        self.close()

    # --- beginning ----------------------------------------------------------------------------------------------

    def _reopen(self) -> dict[str, OpenChunk]:
        """Return the open chunk of every stream with its committed rows; delete what was never committed."""
        with layout.named_errors(self.root):
            drop_uncommitted(self._journal)
            tail = self._journal.read_tail()
        opened = {}
        for number, (name, stream) in enumerate(self.streams.items()):
            chunk = OpenChunk(number, stream, self._journal.chunk_rows[name], len(self._journal.chunks[name]))
            index, data = tail[name]
            chunk.fill(data, index)
            chunk.in_tail = chunk.num_rows
            opened[name] = chunk
        return opened

    def _open_commit_file(self) -> Any:
        """Open the commit file for appending, cut back to its last whole line."""
        file = self._journal.path.open("r+b", buffering=0)
        file.truncate(self._journal.read_bytes)
        file.seek(self._journal.read_bytes)
        return self._cleanup.enter_context(file)

    def _running_episodes(self) -> set[int]:
        return {episode.lane for episode in self._journal.episodes() if episode.end_kind == "open"}

    def _stream(self, name: str) -> LogStream:
        if name not in self.streams:
            raise LogError(f"the log has no stream {name!r}; {nearest(name, self.streams)}")
        return self.streams[name]

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise LogError(f"{self.root} is closed; go on with StreamLog.append_to")


def _index(name: str, columns: tuple[Any, ...], count: int) -> np.ndarray:
    """Return the index columns ``(5, n)`` int64 of ``n`` rows."""
    index = np.empty((len(columns), count), np.int64)
    for row, values in zip(index, columns, strict=True):
        array = np.asarray(values)
        if array.dtype.kind not in "iu" or array.shape not in ((), (count,)):
            raise LogError(
                f"stream {name!r}: times, numbers and lanes are integers, one a row ({count}); "
                f"got {array.dtype} {array.shape}"
            )
        row[:] = array
    return index


def _json(facts: dict[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(facts, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise LogError(f"facts of an episode must be JSON ({error}): {str(facts)[:120]}") from None
