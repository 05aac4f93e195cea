"""Reading a log: committed rows only, while it is being written or after; and the doors to writing one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunks import ArrayFormat
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.schema import INDEX_COLUMNS, Episode, LogRows, LogStream
from embodied_ssl.logs.store import make_store
from embodied_ssl.logs.writer import FLUSH_S, LogWriter

NUM_TRIES = 20
"""How often a reader looks again when a writer replaces the tail under it."""


class StreamLog:
    """A log on disk, read-only.

    Example:
        >>> with StreamLog.create("run.zarr", streams) as writer:
        ...     writer.append("imu", readings, t_ns)
        >>> log = StreamLog.open("run.zarr")
        >>> log.read("imu", 0, 100).data
    """

    def __init__(self, path: Path | str, skip_corrupt: bool = False) -> None:
        """Open a log; see `open`."""
        self.path, self.skip_corrupt = Path(path), skip_corrupt
        if not layout.is_log(self.path):
            raise LogError(
                f"{path} is no log of embodied_ssl (it has no {layout.COMMIT_FILE}); make one with "
                "`embodied-ssl record` or `embodied-ssl import`"
            )
        layout.refuse_links(self.path)
        self._journal = Journal(self.path)
        self.corrupt: dict[str, list[int]] = {}
        self._decoded: dict[str, tuple[int, LogRows]] = {}
        with layout.named_errors(self.path):
            self._read_state()

    @classmethod
    def open(cls, path: Path | str, skip_corrupt: bool = False) -> StreamLog:
        """Open a log for reading; no lock, whether or not it is being written.

        Args:
            path: folder of the log.
            skip_corrupt: leave damaged chunks out and count them in ``corrupt``, instead of raising.

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
            chunk_rows: rows of a chunk, by stream; by default about 2 MiB of data.

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
        if change is None or streams is None:
            return LogWriter(newest.path, flush_s, fsync)
        if on_change == "refuse":
            raise LogError(f"{path}: {change}; record to another log, or open an epoch with on_change='epoch'")
        number = len(StreamLog(path).epochs)
        folder = Path(path) / layout.EPOCHS_FOLDER / str(number)
        folder.parent.mkdir(exist_ok=True)
        return StreamLog.create(folder, streams, {**newest.facts, "epoch": number}, flush_s, fsync)

    # --- what there is ------------------------------------------------------------------------------------------

    @property
    def streams(self) -> dict[str, LogStream]:
        """The streams by name."""
        return {stream.name: stream for stream in self._journal.streams}

    @property
    def facts(self) -> dict[str, Any]:
        """What the recorder said of the log."""
        return self._journal.facts

    @property
    def episodes(self) -> list[Episode]:
        """Episodes in the order in which they began."""
        return self._journal.episodes()

    @property
    def num_commits(self) -> int:
        """Commits seen."""
        return self._journal.num_commits

    @property
    def epochs(self) -> list[StreamLog]:
        """This log, and the logs inside it that were opened when the streams changed, oldest first."""
        folder = self.path / layout.EPOCHS_FOLDER
        numbers = sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit()) if folder.is_dir() else []
        return [self, *(StreamLog(folder / str(number), self.skip_corrupt) for number in numbers)]

    def num_rows(self, name: str) -> int:
        """Return the committed rows of a stream."""
        return self._journal.rows[self._stream(name).name]

    def refresh(self) -> bool:
        """Look for newer commits; return whether there are any."""
        before = self._journal.num_commits
        with layout.named_errors(self.path):
            self._read_state()
        return self._journal.num_commits > before

    def _read_state(self) -> None:
        """Read commits and the tail that the last one names; a writer may replace the tail meanwhile."""
        for attempt in range(NUM_TRIES):
            self._journal.refresh()
            try:
                self._tail = self._journal.read_tail()
                break
            except FileNotFoundError:
                if attempt == NUM_TRIES - 1:
                    number, _ = self._journal.tail
                    raise LogError(f"{layout.tail_path(self.path, number)} is missing; its rows are lost") from None
        if not self._journal.streams:
            raise LogError(f"{self._journal.path} has no header; the log was never begun")

    # --- rows ---------------------------------------------------------------------------------------------------

    def read(self, name: str, start: int = 0, stop: int | None = None) -> LogRows:
        """Return rows ``start`` to ``stop`` of a stream; with ``skip_corrupt`` without those of damaged chunks.

        Raises:
            LogError: a chunk is damaged or missing, or rows are asked that were not committed.
        """
        stop = self.num_rows(name) if stop is None else stop
        if not 0 <= start <= stop <= self.num_rows(name):
            raise LogError(
                f"{self.path}: rows {start} to {stop} of stream {name!r} are not there; it has "
                f"{self.num_rows(name)} committed rows"
            )
        parts = list(self.blocks(name, start, stop))
        if len(parts) == 1:
            return parts[0]
        empty = self._tail[name][1][:0]
        data = [part.data for part in parts] or [empty]
        index = [part.index for part in parts] or [np.zeros((0, len(INDEX_COLUMNS)), np.int64)]
        return LogRows(np.concatenate(data), np.concatenate(index))

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[LogRows]:
        """Yield rows ``start`` to ``stop`` chunk by chunk, in bounded memory."""
        stop = self.num_rows(name) if stop is None else stop
        size = self._journal.chunk_rows[self._stream(name).name]
        first_open = self._journal.first_open_row(name)
        for number in range(start // size, -(-min(stop, first_open) // size)):
            with self._left_out_if_corrupt(name, number):
                rows = self._chunk(name, number)
                part = slice(max(start - number * size, 0), min(stop - number * size, size))
                yield LogRows(rows.data[part], rows.index[part])
        if stop > first_open:
            index, data = self._tail[name]
            part = slice(max(start - first_open, 0), stop - first_open)
            yield LogRows(data[part], index[:, part].T)

    def index(self, name: str) -> np.ndarray:
        """Return the index columns ``(N, 5)`` int64 of all committed rows."""
        parts = []
        for number in range(len(self._journal.chunks[self._stream(name).name])):
            with self._left_out_if_corrupt(name, number):
                if self.skip_corrupt:  # a chunk whose data is damaged is left out whole
                    self._chunk(name, number)
                parts.append(self._array(name, "index", number).T)
        return np.concatenate([*parts, self._tail[name][0].T])

    def _chunk(self, name: str, number: int) -> LogRows:
        held = self._decoded.get(name)
        if held is None or held[0] != number:
            rows = LogRows(self._array(name, "data", number), self._array(name, "index", number).T)
            held = self._decoded[name] = (number, rows)
        return held[1]

    def _array(self, name: str, array: str, number: int) -> np.ndarray:
        stream = self._stream(name)
        kind = ArrayFormat.of(stream, array, self._journal.chunk_rows[name])
        path = layout.chunk_path(self.path, name, array, number, len(stream.sensor.shape))
        crc = self._journal.chunks[name][number][layout.ARRAYS.index(array)]
        try:
            encoded = layout.read_file(path, kind.max_encoded_bytes)
        except FileNotFoundError:
            raise LogError(f"{path} is missing though it was committed; --skip-corrupt leaves it out") from None
        return kind.decode(encoded, crc, path)

    @contextlib.contextmanager
    def _left_out_if_corrupt(self, name: str, number: int) -> Iterator[None]:
        try:
            yield
        except LogError:
            if not self.skip_corrupt:
                raise
            if number not in (numbers := self.corrupt.setdefault(name, [])):
                numbers.append(number)

    def _stream(self, name: str) -> LogStream:
        if name not in self._journal.rows:
            raise LogError(f"{self.path} has no stream {name!r}; {nearest(name, self._journal.rows)}")
        return self.streams[name]


def schema_change(before: Sequence[LogStream], now: Sequence[LogStream]) -> str | None:
    """Return what differs between two sets of streams, by name; None when they are the same."""
    old, new = ({stream.name: stream for stream in some} for some in (before, now))
    for name in [*old, *new]:
        if name not in new:
            return f"stream {name!r} is gone"
        if name not in old:
            return f"stream {name!r} is new"
        if old[name] != new[name]:
            return f"stream {name!r} was {_brief(old[name])}, now {_brief(new[name])}"
    return None


def _brief(stream: LogStream) -> str:
    sensor = stream.sensor
    return f"{stream.role} {sensor.dtype} {sensor.shape} at {sensor.rate_hz:g} Hz"
