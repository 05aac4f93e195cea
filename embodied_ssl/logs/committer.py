"""The thread that makes commits: within ``flush_s`` seconds of an append, and whenever somebody asks.

First the chunk files, then the rows of the open chunks in the tail file, then one line in ``commit.jsonl``, each made
durable before the next. All of it happens in one thread that no Ctrl-C reaches; the first failure ends it for good.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunk_writers import ChunkWriters
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.open_chunk import ClosedChunk, OpenChunk
from embodied_ssl.logs.sealing import sealed
from embodied_ssl.logs.tail import TailFile


class Committer:
    """Commits what a writer holds."""

    def __init__(
        self, journal: Journal, opened: dict[str, OpenChunk], lock: threading.Lock, flush_s: float, fsync: bool
    ) -> None:
        """Open the files for writing and start the threads.

        Args:
            journal: the log's state at the last commit.
            opened: the open chunks, which ``lock`` guards.
            lock: held while rows are taken in.
            flush_s: seconds between commits.
            fsync: make each step durable.
        """
        self.root, self._opened, self._lock, self._fsync = journal.root, opened, lock, fsync
        self._num_commits = journal.num_commits
        self.events: list[list[Any]] = []
        self.error: LogError | None = None
        self._tail = TailFile(journal.root, journal.tail, fsync)
        try:
            self._commits = layout.AppendFile(journal.path, journal.read_bytes, fsync)
        except BaseException:
            self._tail.close()
            raise
        self.writers = ChunkWriters(journal.root, fsync)
        self._flush_s = min(flush_s, threading.TIMEOUT_MAX)
        self._wake = threading.Condition()
        self._asked = self._served = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="log-commits")
        self._thread.start()

    def flush(self) -> None:
        """Wait until everything appended so far is committed.

        Raises:
            LogError: the disk refused; what was committed before is intact.
        """
        with self._wake:
            self._asked += 1
            mine = self._asked
            self._wake.notify_all()
            while self._served < mine and self.error is None:
                self._wake.wait()
        self.check()

    def check(self) -> None:
        """Raise the error that ended the commits, if one did."""
        if self.error is not None:
            raise LogError(str(self.error)) from self.error.__cause__

    def finish(self, last: Callable[[], None]) -> None:
        """Commit, run ``last`` if that went well, and end the threads; a second time does nothing."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._thread.join()
        self.writers.close()
        try:
            if self.error is None:
                last()
        finally:
            self._tail.close()
            self._commits.close()

    def abandon_after_fork(self) -> None:
        """Close the files in a forked child; they belong to the parent."""
        self._tail.close()
        self._commits.close()

    def _work(self) -> None:
        while True:
            with self._wake:
                if self._asked == self._served and not self._stopping:
                    self._wake.wait(self._flush_s)
                asked, stopping = self._asked, self._stopping
            try:
                self._commit(stopping)
            except BaseException as error:  # whatever it is, a commit was left undone: nothing may follow it
                self.error = self._named(error)
            with self._wake:
                self._served = asked
                self._wake.notify_all()
                if stopping or self.error is not None:
                    return

    def _named(self, error: BaseException) -> LogError:
        what = (
            f"{error.filename or self.root}: {error.strerror or error}" if isinstance(error, OSError) else repr(error)
        )
        named = LogError(
            f"{what}; recording to {self.root} has ended, its {self._num_commits} commits are intact; mend the cause "
            "and go on with StreamLog.append_to"
        )
        named.__cause__ = error
        return named

    def _commit(self, is_last: bool) -> None:
        """Make one commit of what is there now; nothing new, no commit."""
        rotate = self._tail.wants_rotation(is_last)
        with self._lock:
            closed = {name: opened.take_closed() for name, opened in self._opened.items()}
            events, self.events = self.events, []
            parts = [(opened.number, *opened.part_for_tail(rotate)) for opened in self._opened.values()]
            rows = [opened.num_rows for opened in self._opened.values()]
            for some in closed.values():
                for chunk in some:
                    self.writers.put(chunk)  # already done, unless a Ctrl-C came between
        if not (rotate or events or any(closed.values()) or any(len(data) for *_, data in parts)):
            return
        chunks = [self._written(self._opened[name], some) for name, some in closed.items() if some]
        tail = self._tail.write(parts, rotate)
        record = {"n": self._num_commits, "t_ns": time.time_ns(), "rows": rows, "chunks": chunks}
        self._commits.append([sealed(record | {"tail": tail, "events": events})])
        self._num_commits += 1
        if rotate:
            self._tail.drop_old()
        for name, some in closed.items():
            for chunk in some:
                self._opened[name].recycle(chunk)

    def _written(self, opened: OpenChunk, some: tuple[ClosedChunk, ...]) -> list[Any]:
        """Wait for chunks of one stream; return what the commit says of them."""
        crcs = [chunk.future.result() for chunk in some]
        if self._fsync:
            for array in layout.ARRAYS:
                layout.sync_folder(layout.stream_folder(self.root, opened.stream.name) / array)
        return [opened.number, some[0].number, [data for data, _ in crcs], [index for _, index in crcs]]
