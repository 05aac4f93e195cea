"""Recording: rows are gathered in memory, whole chunks are written behind the caller's back, commits make them count.

A process killed at any moment leaves the last commit; what came after it is invisible. The threads do not survive a
fork: in a forked child the writer is closed, and the parent goes on with it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs import forks, layout
from embodied_ssl.logs.chunk_writers import write_chunk
from embodied_ssl.logs.commit_lines import episode_facts, short_enough
from embodied_ssl.logs.committer import Committer
from embodied_ssl.logs.index_rows import index_rows
from embodied_ssl.logs.lock import WriterLock
from embodied_ssl.logs.reopening import growing_journal, reopen_chunks
from embodied_ssl.logs.schema import END_KINDS
from embodied_ssl.logs.told import write_shapes

FLUSH_S = 1.0
"""Seconds after which appended rows are committed: the most that a killed process loses."""
_NO_NUMBER = -1


class LogWriter:
    """Writes one log; get it from `StreamLog.create` or `StreamLog.append_to`. Safe to call from several threads."""

    def __init__(self, root: Path, flush_s: float = FLUSH_S, fsync: bool = True) -> None:
        """Take the lock of a log, drop what a killed writer left uncommitted, and go on after the last commit.

        Args:
            root: folder of the log.
            flush_s: seconds between commits.
            fsync: force data to disk at each commit; without it a power cut may lose commits, a killed process not.

        Raises:
            LogError: another process writes it, it is damaged, compacted, or may not be written.
        """
        if not flush_s > 0:
            raise LogError(f"flush_s is {flush_s}, expected seconds above 0")
        self.root, self._fsync = root, fsync
        self._closing, self._closed, self._forked = False, False, False
        self._lock = threading.Lock()
        with layout.named_errors(root):
            self._writer_lock = WriterLock(root)
            try:
                journal = growing_journal(root)
                self.streams = {stream.name: stream for stream in journal.streams}
                self._open = reopen_chunks(journal)
                self._running = {e.lane for e in journal.episodes() if e.end_kind == "open"}
                self._committer = Committer(journal, self._open, self._lock, flush_s, fsync)
            except BaseException:
                self._writer_lock.release()
                raise
        forks.watch(self)

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

        A Ctrl-C inside leaves the log sound; of a call with many rows the first may have been taken.

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
        opened = self._open.get(name)
        values = np.asarray(data)
        if opened is None or values.dtype != opened.dtype or not values.ndim or values.shape[1:] != opened.row_shape:
            raise self._misfit(name, values)
        seq = _NO_NUMBER if seq is None else seq
        tick = _NO_NUMBER if tick is None else tick
        index = index_rows(name, (t_ns, t_ns if t_recv_ns is None else t_recv_ns, seq, lane, tick), len(values))
        with self._lock:
            self._check()
            done = opened.fill(values, index)
            while opened.is_full:  # also when a Ctrl-C left it full
                self._committer.writers.put(opened.close())
                self._committer.writers.wait_for_room()
                done += opened.fill(values[done:], index[:, done:])

    def begin_episode(
        self, t_ns: int, lane: int = 0, tick: int = -1, facts: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        """Note that an episode of ``lane`` begins; a running one is ended as ``unknown``.

        Args:
            t_ns: when.
            lane: whose.
            tick: its first tick.
            facts: what is known of it, at most 64 KiB of JSON, under any names.
            more: the same, by keyword.

        Raises:
            LogError: the facts are no JSON or too long, or an earlier commit failed.
        """
        event = ["begin", int(lane), int(t_ns), int(tick), episode_facts(facts, more)]
        with self._lock:
            self._check()
            if lane in self._running:
                self._committer.events.append(["end", int(lane), int(t_ns), -1, {}, "unknown"])
            self._running.add(int(lane))
            self._committer.events.append(event)

    def end_episode(
        self,
        t_ns: int,
        lane: int = 0,
        tick: int = -1,
        kind: str = "unknown",
        facts: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Note that the running episode of ``lane`` has ended.

        Raises:
            LogError: none runs, the kind of end is not known, or the facts are no JSON or too long.
        """
        if kind not in END_KINDS or kind == "open":
            ends = [one for one in END_KINDS if one != "open"]
            raise LogError(f"unknown kind of end {kind!r}; {nearest(kind, ends)}")
        event = ["end", int(lane), int(t_ns), int(tick), episode_facts(facts, more), kind]
        with self._lock:
            self._check()
            if lane not in self._running:
                raise LogError(f"end_episode: no episode of lane {lane} runs; call begin_episode first")
            self._running.discard(lane)
            self._committer.events.append(event)

    def note(self, *notes: str) -> None:
        """Keep lines that people should read, such as what an import left out; see `StreamLog.notes`.

        Raises:
            LogError: one is longer than 64 KiB, or an earlier commit failed.
        """
        events = [["note", short_enough("a note", str(note))] for note in notes]
        with self._lock:
            self._check()
            self._committer.events += events

    def num_rows(self, name: str) -> int:
        """Return the rows appended to a stream so far, committed or not."""
        if name not in self._open:
            raise self._unknown(name)
        return self._open[name].num_rows

    # --- committing ---------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Commit everything appended so far.

        Raises:
            LogError: the disk refuses; what was committed before is intact.
        """
        self._check()
        self._committer.flush()

    def close(self) -> None:
        """Commit, make the log readable for any zarr library, and give up the lock.

        The last chunk of a stream is then written with zeros behind its rows; the tail stays what counts, and a
        writer that goes on replaces that one chunk when it is full. Other threads are refused from the beginning. A
        Ctrl-C is raised when all is done: the lock is not given up while anything is still written.

        Raises:
            LogError: a commit failed, this last one or an earlier one; what was committed is intact.
        """
        if self._closed:
            return
        with self._lock:
            self._closing = True
        try:
            self._committer.finish(self._finish_arrays)
        finally:
            if self._committer.has_ended:
                self._closed = True
                self._writer_lock.release()
        self._committer.check()

    def _finish_arrays(self, committed: dict[str, int]) -> None:
        for name, opened in self._open.items():
            if opened.num_open:
                write_chunk(self.root, opened.padded(), opened.chunk_rows, self._fsync)
            write_shapes(self.root, opened.stream, opened.chunk_rows, committed[name], self._fsync)

    def __enter__(self) -> LogWriter:
        """Record inside the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Close; what was committed stays whatever happened, and an error of the block is not hidden by one of ours."""
        try:
            self.close()
        except LogError:
            if kind is None:
                raise

    def _check(self) -> None:
        if self._committer.error is not None:
            self._committer.check()
        if self._forked:
            raise LogError(f"{self.root} is written by the process that was forked; a log has one writer")
        if self._closing or self._closed:
            raise LogError(f"{self.root} is closed; go on with StreamLog.append_to")

    def _misfit(self, name: str, values: np.ndarray) -> LogError:
        if name not in self._open:
            return self._unknown(name)
        sensor = self.streams[name].sensor
        return LogError(
            f"stream {name!r} got {values.dtype} {values.shape}, expected {sensor.dtype} "
            f"(rows, {', '.join(map(str, sensor.shape))})"
        )

    def _unknown(self, name: str) -> LogError:
        return LogError(f"the log has no stream {name!r}; {nearest(name, self.streams)}")

    def abandon_after_fork(self) -> None:
        """Close the files, and with them this child's hold on the lock; the parent keeps its own."""
        if not self._closed:
            self._forked = self._closed = True
            self._lock = threading.Lock()
            self._committer.abandon_after_fork()
            self._writer_lock.release()
