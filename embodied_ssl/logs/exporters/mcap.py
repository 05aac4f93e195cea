"""Export a log as MCAP with ROS 2 messages, which Foxglove, rosbag tools and our own importer read."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.aside import made_aside
from embodied_ssl.logs.exporters.base import EXPORTERS, ExportReport, epoch_notes
from embodied_ssl.logs.exporters.cdr_rows import RowType
from embodied_ssl.logs.importers.base import need
from embodied_ssl.logs.importers.int_option import positive_int
from embodied_ssl.logs.importers.mcap import OWN_LANE, OWN_LOG, OWN_STREAM
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import LogStream

_SEQUENCE_LIMIT = 1 << 32
_Row = tuple[int, str, np.ndarray, np.ndarray]


@EXPORTERS.register("mcap")
class McapExporter:
    """Every stream a topic (``name/laneN`` for lanes other than 0), rows merged in order of arrival.

    ``log_time`` is the arrival time, ``publish_time`` and the header's stamp the capture time, all exact. Names,
    roles, shapes, episodes and facts lie in the file as metadata, so that importing it gives the same log; per-lane
    tick numbers do not.
    """

    extra: ClassVar[str] = "mcap"

    def __init__(self, *, chunk_kb: int = 1024) -> None:
        """Set the size of the file's chunks in 2**10 bytes: what a reader loads at once."""
        self._chunk_bytes = positive_int(chunk_kb, "chunk_kb") << 10

    def write(self, log: StreamLog, out: Path, progress: Callable[[int], None]) -> ExportReport:
        """Write the log; see `Exporter`."""
        library = need("mcap.writer", self.extra)
        with made_aside(out, "exporting") as path, path.open("wb") as file:
            writer = library.Writer(file, chunk_size=self._chunk_bytes)
            writer.start(profile="ros2", library="embodied_ssl")
            export = _McapFile(writer)
            for row in heapq.merge(*(_rows(log, name) for name in log.streams), key=lambda row: row[0]):
                export.add(log.streams[row[1]], row)
                progress(1)
            episodes = [asdict(episode) for episode in log.episodes]
            writer.add_metadata(OWN_LOG, {"json": json.dumps({"facts": log.facts, "episodes": episodes})})
            writer.finish()
        rows = {name: export.rows.get(name, 0) for name in log.streams}
        return ExportReport(rows, [*epoch_notes(log), *export.notes()])


def _rows(log: StreamLog, name: str) -> Iterator[_Row]:
    """Yield the rows of a stream as (arrival time, stream, data, index), one chunk in memory at a time."""
    for block in log.blocks(name):
        for data, index in zip(block.data, block.index, strict=True):
            yield int(index[1]), name, data, index


@dataclass
class _McapFile:
    """Channels and counts of a file being written.

    Attributes:
        writer: of the mcap package.
        rows: by stream.
    """

    writer: Any
    rows: dict[str, int] = field(default_factory=dict)
    _types: dict[str, tuple[RowType, int]] = field(default_factory=dict)
    _channels: dict[tuple[str, int], int] = field(default_factory=dict)
    _ticks: int = 0
    _unnumbered: int = 0
    _seen: dict[str, set[int]] = field(default_factory=dict)

    def add(self, stream: LogStream, row: _Row) -> None:
        """Write one row."""
        _, name, data, index = row
        t_ns, t_recv_ns, seq, lane, tick = (int(value) for value in index)
        if min(t_ns, t_recv_ns) < 0:
            raise LogError(f"stream {name!r} has a time before 0 ({min(t_ns, t_recv_ns)} ns), which MCAP cannot hold")
        channel = self._channel(stream, lane)
        fits = 0 <= seq < _SEQUENCE_LIMIT
        self._ticks += tick >= 0
        self._unnumbered += seq >= 0 and not fits
        self._seen.setdefault(name, set()).add(-1 if seq < 0 else min(seq, 1))
        message = self._types[name][0].encode(data, t_ns)
        self.writer.add_message(channel, t_recv_ns, message, t_ns, seq if fits else 0)
        self.rows[name] = self.rows.get(name, 0) + 1

    def _channel(self, stream: LogStream, lane: int) -> int:
        key = stream.name, lane
        if key not in self._channels:
            if stream.name not in self._types:
                kind = RowType(stream)
                schema = self.writer.register_schema(kind.name, "ros2msg", kind.definition.encode())
                self._types[stream.name] = kind, schema
            topic = stream.name if lane == 0 else f"{stream.name}/lane{lane}"
            metadata = {OWN_STREAM: json.dumps(stream.to_json()), OWN_LANE: str(lane)}
            self._channels[key] = self.writer.register_channel(topic, "cdr", self._types[stream.name][1], metadata)
        return self._channels[key]

    def notes(self) -> list[str]:
        """Return what the file cannot hold."""
        lines = []
        if self._ticks:
            lines.append(f"the tick numbers of {self._ticks} rows were left out: MCAP has no place for them")
        if self._unnumbered:
            lines.append(f"{self._unnumbered} sequence numbers beyond 32 bits were written as 0")
        for name, kinds in self._seen.items():  # MCAP knows no "none": an importer takes all zeros for none
            if kinds == {0}:
                lines.append(f"{name}: its sequence numbers are all 0, which MCAP cannot tell from none")
            elif -1 in kinds and len(kinds) > 1:
                lines.append(f"{name}: rows without a sequence number were written as 0 among numbered ones")
        for name, (kind, _) in self._types.items():
            if kind.undecodable:
                lines.append(f"{name}: {kind.undecodable} rows of text were no UTF-8: written with replacement letters")
        return lines
