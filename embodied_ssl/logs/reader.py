"""Reading a log: committed rows only, while it is being written or after; and the doors to writing one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunk_reader import ChunkReader
from embodied_ssl.logs.epochs import epoch_folders, schema_change
from embodied_ssl.logs.events import notes_of
from embodied_ssl.logs.lock import writer_lock
from embodied_ssl.logs.reopening import readable_journal
from embodied_ssl.logs.schema import INDEX_COLUMNS, Episode, LogRows, LogStream
from embodied_ssl.logs.store import make_store
from embodied_ssl.logs.told import cut_notes
from embodied_ssl.logs.writer import FLUSH_S, LogWriter


class StreamLog:
    """A log on disk, read-only; ``journal`` is what its commit record says.

    Example:
        >>> with StreamLog.create("run.zarr", streams) as writer:
        ...     writer.append("imu", readings, t_ns)
        >>> log = StreamLog.open("run.zarr")
        >>> log.read("imu", 0, 100).data
    """

    def __init__(self, path: Path | str, skip_corrupt: bool = False) -> None:
        """Open a log; see `open`."""
        self.path, self.skip_corrupt = Path(path), skip_corrupt
        self.corrupt: dict[str, list[int]] = {}
        with layout.named_errors(self.path):
            self.journal = readable_journal(self.path, skip_corrupt)
            self._reader = ChunkReader(self.path, self.journal)
        self._streams = {stream.name: stream for stream in self.journal.streams}

    @classmethod
    def open(cls, path: Path | str, skip_corrupt: bool = False) -> StreamLog:
        """Open a log for reading; no lock, whether or not it is being written.

        Args:
            path: folder of the log.
            skip_corrupt: leave damaged chunks out and count them in ``corrupt``, all damage in
                ``damage``, instead of raising.

        Raises:
            LogError: there is none, it is damaged, or it holds symbolic links.
        """
        return cls(path, skip_corrupt)

    @staticmethod
    def create(
        path: Path | str,
        streams: Sequence[LogStream],
        facts: Mapping[str, Any] | None = None,
        flush_s: float = FLUSH_S,
        fsync: bool = True,
        chunk_rows: Mapping[str, int] | None = None,
    ) -> LogWriter:
        """Make an empty log and return its writer.

        Args:
            path: a folder that does not exist or is empty.
            streams: what will be recorded.
            facts: JSON: what people and readers should know.
            flush_s: seconds between commits: the most that a killed process loses.
            fsync: make each commit durable against power cuts.
            chunk_rows: rows of a chunk, by stream; by default about 4 MiB of data.

        Raises:
            LogError: the folder is taken, or a stream is not possible.
        """
        path = Path(path)
        make_store(path, streams, facts or {}, chunk_rows or {})
        return LogWriter(path, flush_s, fsync)

    @staticmethod
    def append_to(
        path: Path | str,
        streams: Sequence[LogStream] | None = None,
        on_change: str = "refuse",
        flush_s: float = FLUSH_S,
        fsync: bool = True,
    ) -> LogWriter:
        """Go on with a log after its last commit.

        Args:
            path: folder of the log.
            streams: what will be recorded now; None: what the log has.
            on_change: ``refuse`` other streams by name, or open an ``epoch``: a log of its own inside this one.
            flush_s: seconds between commits.
            fsync: make each commit durable against power cuts.

        Raises:
            LogError: there is no log, another process writes it, or the streams changed.
        """
        if on_change not in ("refuse", "epoch"):
            raise LogError(f"on_change is {on_change!r}, expected refuse or epoch")
        newest = StreamLog(path).epochs[-1]
        change = schema_change(list(newest.streams.values()), streams) if streams is not None else None
        if change is None and not (newest.is_compacted and on_change == "epoch"):
            return LogWriter(newest.path, flush_s, fsync)
        if on_change == "refuse":
            raise LogError(f"{path}: {change}; record to another log, or open an epoch with on_change='epoch'")
        folder = Path(path) / layout.EPOCHS_FOLDER / str(len(StreamLog(path).epochs))
        with layout.named_errors(newest.path), writer_lock(newest.path):
            folder.parent.mkdir(exist_ok=True)
            facts = {**newest.facts, "epoch": int(folder.name)}
            return StreamLog.create(folder, streams or list(newest.streams.values()), facts, flush_s, fsync)

    # --- what there is ------------------------------------------------------------------------------------------

    @property
    def streams(self) -> dict[str, LogStream]:
        """The streams by name."""
        return dict(self._streams)

    @property
    def is_compacted(self) -> bool:
        """Whether the log lies in shards, and grows no more."""
        return self.journal.is_compacted

    @property
    def facts(self) -> dict[str, Any]:
        """What the recorder said of the log."""
        return self.journal.facts

    @property
    def episodes(self) -> list[Episode]:
        """Episodes in the order in which they began."""
        return self.journal.episodes()

    @property
    def notes(self) -> list[str]:
        """Lines that people should read, such as what an import left out."""
        return notes_of(self.journal.events)

    @property
    def damage(self) -> list[str]:
        """What ``skip_corrupt`` left out, as lines for people, as far as it was met."""
        corrupt = [f"stream {name!r}: {len(some)} damaged chunks left out" for name, some in self.corrupt.items()]
        lost = filter(None, [self._reader.lost_tail])
        return [*self.journal.damage(), *cut_notes(self.journal), *lost, *corrupt]

    @property
    def num_commits(self) -> int:
        """Commits seen."""
        return self.journal.num_commits

    @property
    def epochs(self) -> list[StreamLog]:
        """This log, and the logs inside it that were opened when the streams changed, oldest first."""
        return [self, *(StreamLog(folder, self.skip_corrupt) for folder in epoch_folders(self.path))]

    def num_rows(self, name: str) -> int:
        """Return the committed rows of a stream."""
        return self._reader.rows[self._stream(name).name]

    def refresh(self) -> bool:
        """Look for newer commits; return whether there are any."""
        before = self.journal.num_commits
        with layout.named_errors(self.path):
            if self.journal.refresh():
                self._reader.refresh()
        return self.journal.num_commits > before

    # --- rows ---------------------------------------------------------------------------------------------------

    def read(self, name: str, start: int = 0, stop: int | None = None) -> LogRows:
        """Return rows ``start`` to ``stop`` of a stream; with ``skip_corrupt`` without those of damaged chunks.

        Raises:
            LogError: a chunk is damaged or missing, or rows are asked that were not committed.
        """
        start, stop = self._span(name, start, stop)
        stream = self._streams[name]
        data = np.empty((stop - start, *stream.sensor.shape), stream.sensor.dtype)
        index = np.empty((len(INDEX_COLUMNS), stop - start), np.int64)
        at = 0
        for number, part in self._reader.parts(name, start, stop):
            count = part.stop - part.start
            with self._left_out_if_corrupt(name, number):
                self._reader.copy(stream, number, part, data[at : at + count], index[:, at : at + count])
                at += count
        return LogRows(data[:at], index[:, :at].T)

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[LogRows]:
        """Yield rows ``start`` to ``stop`` chunk by chunk, in bounded memory."""
        start, stop = self._span(name, start, stop)
        for number, part in self._reader.parts(name, start, stop):
            begin = number * self.journal.chunk_rows[name]
            if len(rows := self.read(name, begin + part.start, begin + part.stop)):
                yield rows

    def index(self, name: str) -> np.ndarray:
        """Return the index columns ``(N, 5)`` int64 of all committed rows."""
        parts = [np.zeros((0, len(INDEX_COLUMNS)), np.int64)]
        for number, part in self._reader.parts(name, *self._span(name, 0, None)):
            with self._left_out_if_corrupt(name, number):
                if self.skip_corrupt:  # a chunk whose data is damaged is left out whole
                    self._reader.check(self._streams[name], number)
                parts.append(self._reader.index(self._streams[name], number)[:, part].T)
        return np.concatenate(parts)

    def num_chunks(self, name: str) -> int:
        """Return the committed chunks of a stream; rows behind them are in the tail file."""
        return self._reader.num_chunks(self._stream(name).name)

    def try_chunk(self, name: str, number: int) -> list[str]:
        """Return why a chunk cannot be read, one line; nothing when it can."""
        try:
            self._reader.check(self._stream(name), number)
        except LogError as error:
            return [str(error)]
        return []

    def _span(self, name: str, start: int, stop: int | None) -> tuple[int, int]:
        committed = self.num_rows(name)
        stop = committed if stop is None else stop
        if not 0 <= start <= stop <= committed:
            raise LogError(
                f"{self.path}: rows {start} to {stop} of stream {name!r} are not there; {committed} are committed"
            )
        return start, stop

    @contextlib.contextmanager
    def _left_out_if_corrupt(self, name: str, number: int) -> Iterator[None]:
        try:
            with layout.named_errors(self.path):
                yield
        except LogError:
            if not self.skip_corrupt:
                raise
            if number not in (numbers := self.corrupt.setdefault(name, [])):
                numbers.append(number)

    def _stream(self, name: str) -> LogStream:
        if name not in self._streams:
            raise LogError(f"{self.path} has no stream {name!r}; {nearest(name, self._streams)}")
        return self._streams[name]
