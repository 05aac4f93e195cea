"""The thread that makes commits: within ``flush_s`` seconds of an append, and whenever somebody asks.

First the chunk files, then the rows of the open chunks in the tail file, then one line in ``commit.jsonl``, each made
durable before the next. All of it happens in one thread that no Ctrl-C reaches; the first failure ends it for good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunk_writers import ChunkWriters
from embodied_ssl.logs.commit_lines import CommitState, commit_lines
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.open_chunk import ClosedChunk, OpenChunk
from embodied_ssl.logs.tail import TailFile

_LOOK_S = 1.0
"""How often whoever closes looks whether it is over, should a Ctrl-C have swallowed the word."""


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
        self._rows, self._at = [journal.rows[name] for name in opened], journal.tail
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
        self._last: Callable[[dict[str, int]], None] | None = None
        self.has_ended, self._over = False, threading.Lock()
        self._over.acquire()
        self._thread = threading.Thread(target=self._work, daemon=True, name="log-commits")
        self._thread.start()

    def flush(self) -> None:
        """Wait until everything appended so far is committed; one that was closed meanwhile has committed it.

        Raises:
            LogError: the disk refused; what was committed before is intact.
        """
        with self._wake:
            self._asked += 1
            mine = self._asked
            self._wake.notify_all()
            while self._served < mine and not self.has_ended:
                self._wake.wait()
        self.check()

    def check(self) -> None:
        """Raise the error that ended the commits, if one did."""
        if self.error is not None:
            raise LogError(str(self.error)) from self.error.__cause__

    def finish(self, last: Callable[[dict[str, int]], None]) -> None:
        """Commit, run ``last`` with the committed rows if that went well, close all files and end the threads.

        All of it is done by the thread, which no Ctrl-C reaches; one that strikes here is raised when it is over. A
        second time only waits.
        """
        with self._wake:
            self._last = self._last or last
            self._wake.notify_all()
        struck: KeyboardInterrupt | None = None
        while not self.has_ended:
            try:
                while not self.has_ended:
                    self._over.acquire(timeout=_LOOK_S)
            except KeyboardInterrupt as interrupt:
                struck = interrupt
        if struck is not None:
            raise struck

    def abandon_after_fork(self) -> None:
        """Close the files in a forked child; they belong to the parent."""
        self._tail.close()
        self._commits.close()

    def _work(self) -> None:
        last = None
        while last is None and self.error is None:
            with self._wake:
                if self._asked == self._served and self._last is None:
                    self._wake.wait(self._flush_s)
                asked, last = self._asked, self._last
            self._do(lambda is_last=last is not None: self._commit(is_last))
            with self._wake:
                self._served = asked
                self._wake.notify_all()
        self._end(last)

    def _end(self, last: Callable[[dict[str, int]], None] | None) -> None:
        """Finish what other libraries read, close all files; the last statement frees whoever waits in `finish`."""
        self.writers.close()
        if last is not None and self.error is None:
            self._do(lambda: last(dict(zip(self._opened, self._rows, strict=True))))
        for file in (self._tail, self._commits):
            self._do(file.close)
        with self._wake:
            self.has_ended = True
            self._wake.notify_all()
        self._over.release()

    def _do(self, step: Callable[[], None]) -> None:
        """Take a step; whatever goes wrong, a commit was left undone: nothing may follow it."""
        try:
            step()
        except BaseException as error:
            self.error = self.error or self._named(error)

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
        for opened in self._opened.values():
            opened.end_views()
        before = CommitState(self._num_commits, self._rows, self._at)
        sizes = [opened.chunk_rows for opened in self._opened.values()]
        lines = commit_lines(before, CommitState(0, rows, tail), chunks, events, sizes)
        self._commits.append(lines)
        self._num_commits, self._rows, self._at = self._num_commits + len(lines), rows, tail
        if rotate:
            self._tail.drop_old()

    def _written(self, opened: OpenChunk, some: tuple[ClosedChunk, ...]) -> list[Any]:
        """Wait for chunks of one stream; return what the commit says of them."""
        crcs = [chunk.future.result() for chunk in some]
        if self._fsync:
            for array in layout.ARRAYS:
                layout.sync_folder(layout.stream_folder(self.root, opened.stream.name) / array)
        return [opened.number, some[0].number, [data for data, _ in crcs], [index for _, index in crcs]]
