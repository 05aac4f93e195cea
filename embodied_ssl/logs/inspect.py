"""What is in a log: rates, gaps, drops, broken sensors, sizes, episodes. Data, no words for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embodied_ssl.logs import layout
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import Episode, LogStream
from embodied_ssl.logs.stream_facts import TimeFacts, ValueFacts, ValueGatherer, time_facts

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StreamReport:
    """One stream of a log.

    Attributes:
        stream: its description.
        num_rows: committed rows.
        times: rates, gaps, drops.
        values: broken and constant readings; None when values were not looked at.
        raw_bytes: rows without compression, index columns included.
        disk_bytes: its chunks on disk; rows in the tail are not in it.
    """

    stream: LogStream
    num_rows: int
    times: TimeFacts
    values: ValueFacts | None
    raw_bytes: int
    disk_bytes: int

    @property
    def ratio(self) -> float:
        """Raw bytes over bytes on disk; 0 with nothing on disk."""
        return self.raw_bytes / self.disk_bytes if self.disk_bytes else 0.0


@dataclass(frozen=True)
class LogReport:
    """A log, one epoch of it.

    Attributes:
        path: its folder.
        streams: by name.
        episodes: in order.
        facts: what the recorder said.
        notes: what an import left out, and the like.
        damage: what could not be read.
        num_commits: commits.
        is_compacted: it lies in shards.
        disk_bytes: everything in the folder, tail and commit record included.
        epochs: reports of the logs inside this one, opened when the streams changed.
    """

    path: Path
    streams: dict[str, StreamReport]
    episodes: list[Episode]
    facts: dict[str, Any]
    notes: list[str]
    damage: list[str]
    num_commits: int
    is_compacted: bool
    disk_bytes: int
    epochs: list[LogReport] = field(default_factory=list)

    @property
    def span_ns(self) -> tuple[int, int]:
        """Earliest and latest capture of all streams; zeros without any row."""
        filled = [report.times for report in self.streams.values() if report.num_rows]
        if not filled:
            return 0, 0
        return min(times.first_ns for times in filled), max(times.last_ns for times in filled)


def inspect_log(path: Path | str, values: bool = True, progress: Progress | None = None) -> LogReport:
    """Look at all rows of a log, block by block; only the index columns of one stream are in memory at once.

    Damaged chunks are left out and told of.

    Args:
        path: folder of the log.
        values: look at the values too, not only at times and numbers.
        progress: called with chunks done and in all.

    Raises:
        LogError: it is no log.
    """
    first, *others = StreamLog.open(path, skip_corrupt=True).epochs
    total = sum(log.num_chunks(name) + 1 for log in (first, *others) for name in log.streams)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done, total), total)

    return _inspect(first, values, step, [_inspect(log, values, step, []) for log in others])


def _inspect(log: StreamLog, values: bool, step: Callable[[], None], epochs: list[LogReport]) -> LogReport:
    streams = {name: _inspect_stream(log, name, values, step) for name in log.streams}
    disk = sum(file.lstat().st_size for file in log.path.rglob("*") if file.is_file())
    return LogReport(
        log.path,
        streams,
        log.episodes,
        log.facts,
        log.notes,
        log.damage,
        log.num_commits,
        log.is_compacted,
        disk,
        epochs,
    )


def _inspect_stream(log: StreamLog, name: str, values: bool, step: Callable[[], None]) -> StreamReport:
    stream = log.streams[name]
    times = time_facts(log.index(name))
    gatherer = ValueGatherer(stream, int(1e9 / (times.measured_hz or stream.sensor.rate_hz)))
    for rows in log.blocks(name) if values else ():
        gatherer.take(rows)
        step()
    folder = layout.stream_folder(log.path, name)
    files = [file for array in layout.ARRAYS for file in (folder / array).glob("*") if file.name != "zarr.json"]
    disk = sum(file.lstat().st_size for file in files)
    raw = log.num_rows(name) * (stream.row_bytes + 40)
    return StreamReport(stream, log.num_rows(name), times, gatherer.finish() if values else None, raw, disk)
