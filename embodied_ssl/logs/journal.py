"""The commit record and the open tail: what makes rows count.

``commit.jsonl`` begins with a header line (format, streams, facts). Each further line is one commit: the chunks that
are new since the last one with their CRC32C, the tail file that holds the rows of the open chunks and how much of it
counts, the number of rows of every stream, and episode events. Every line carries a CRC of its own. A line without its
end was never committed; a whole line that does not fit its CRC is damage, and is said.

A tail file holds records ``(stream, first row, rows, CRC32C)`` each followed by index and data of those rows.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.chunks import ArrayFormat
from embodied_ssl.logs.layout import COMMIT_FILE, read_file, tail_path
from embodied_ssl.logs.schema import INDEX_COLUMNS, Episode, LogStream

FORMAT = 1
MAX_COMMIT_BYTES = 4 << 30
MAX_TAIL_BYTES = 8 << 30
_RECORD = struct.Struct("<4sIQII")
_MAGIC = b"rows"
_CRC_KEY = ',"crc":"'


def sealed(record: dict[str, Any]) -> bytes:
    """Return a record as a line of JSON that ends in its own CRC32C."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False)
    return f'{body[:-1]}{_CRC_KEY}{google_crc32c.value(body.encode()):08x}"}}\n'.encode()


def unsealed(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line without its newline, None when it does not fit its CRC."""
    body, key, crc = line.rpartition(_CRC_KEY.encode())
    body += b"}"
    if not key or len(crc) != 10 or crc[8:] != b'"}':
        return None
    if f"{google_crc32c.value(body):08x}".encode() != crc[:8]:
        return None
    return json.loads(body)


def tail_record(stream: int, first_row: int, index: np.ndarray, data: np.ndarray) -> bytes:
    """Return rows of one open chunk as a record: index ``(5, n)`` int64, then data ``(n, *shape)``."""
    payload = np.ascontiguousarray(index).tobytes() + np.ascontiguousarray(data).tobytes()
    count = data.shape[0]
    crc = _tail_crc(stream, first_row, count, payload)
    return _RECORD.pack(_MAGIC, stream, first_row, count, crc) + payload


def _tail_crc(stream: int, first_row: int, count: int, payload: bytes) -> int:
    return google_crc32c.extend(google_crc32c.value(struct.pack("<IQI", stream, first_row, count)), payload)


@dataclass
class Journal:
    """What has been committed, as far as it was read.

    Attributes:
        streams: the streams, in the order of the header.
        chunk_rows: rows of a chunk, by stream.
        facts: of the header.
        chunks: per stream ``(crc of data, crc of index)`` of every committed chunk.
        rows: committed rows, by stream.
        tail: number of the tail file and its committed bytes.
        events: episode events in order.
        num_commits: commits read.
        read_bytes: how much of the file was read.
    """

    root: Path
    streams: list[LogStream] = field(default_factory=list)
    chunk_rows: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    chunks: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    tail: tuple[int, int] = (0, 0)
    events: list[list[Any]] = field(default_factory=list)
    num_commits: int = 0
    read_bytes: int = 0

    @property
    def path(self) -> Path:
        """The commit file."""
        return self.root / COMMIT_FILE

    def refresh(self) -> bool:
        """Read the lines that are new; return whether there were any.

        Raises:
            LogError: a line is damaged, or the file is no commit record.
        """
        content = read_file(self.path, MAX_COMMIT_BYTES)
        if len(content) < self.read_bytes:
            raise LogError(f"{self.path} has become shorter; open the log again")
        fresh = content[self.read_bytes :]
        end = fresh.rfind(b"\n") + 1
        self._refuse_damaged_end(fresh[end:])
        for line in fresh[:end].split(b"\n")[:-1]:
            self._take(line)
            self.read_bytes += len(line) + 1
        return end > 0

    def _refuse_damaged_end(self, rest: bytes) -> None:
        """A torn line lacks its last bytes; one that is whole but for its newline was damaged later."""
        whole = rest.rfind(b'"}')
        if whole > 0 and unsealed(rest[: whole + 2]) is not None and len(rest) > whole + 2:
            raise LogError(f"{self.path}: the end of line {self.num_commits + 1} is damaged")

    def _take(self, line: bytes) -> None:
        record = unsealed(line)
        if record is None:
            raise LogError(
                f"{self.path}: line {self.num_commits + bool(self.streams) + 1} is damaged; nothing after it "
                "is known; copy the log from a backup, or use --skip-corrupt to read what was committed before"
            )
        if not self.streams:
            self._take_header(record)
        else:
            self._take_commit(record)

    def _take_header(self, record: dict[str, Any]) -> None:
        if record.get("log") != FORMAT:
            raise LogError(f"{self.path} has format {record.get('log')!r}, expected {FORMAT}; use a newer embodied_ssl")
        self.facts = record["facts"]
        self.streams = [LogStream.from_json(entry) for entry in record["streams"]]
        for stream, entry in zip(self.streams, record["streams"], strict=True):
            ArrayFormat.of(stream, "data", int(entry["chunk_rows"]))  # refuses absurd sizes
            self.chunk_rows[stream.name] = int(entry["chunk_rows"])
            self.chunks[stream.name], self.rows[stream.name] = [], 0

    def _take_commit(self, record: dict[str, Any]) -> None:
        if record["n"] != self.num_commits:
            raise LogError(f"{self.path}: commit {self.num_commits} is missing, found {record['n']}")
        for name, crcs in record["chunks"].items():
            self.chunks[name] += [(pair[0], pair[1]) for pair in crcs]
        self.rows |= record["rows"]
        self.tail = (record["tail"][0], record["tail"][1])
        self.events += record["events"]
        self.num_commits += 1

    def first_open_row(self, name: str) -> int:
        """Return the number of the first row that lies in no committed chunk."""
        return len(self.chunks[name]) * self.chunk_rows[name]

    def read_tail(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the committed rows of the open chunks, by stream: index ``(5, n)`` and data ``(n, *shape)``.

        Raises:
            LogError: the tail is damaged or too short.
            FileNotFoundError: the tail was replaced by a newer one: refresh and ask again.
        """
        number, size = self.tail
        if size == 0:
            return {s.name: _no_rows(s) for s in self.streams}
        path = tail_path(self.root, number)
        content = memoryview(read_file(path, MAX_TAIL_BYTES))
        if len(content) < size:
            raise LogError(f"{path} is cut short: {len(content):,} bytes, committed were {size:,}")
        parts: dict[str, list[tuple[int, np.ndarray, np.ndarray]]] = {s.name: [] for s in self.streams}
        at = 0
        while at < size:
            at = self._read_record(path, content[:size], at, parts)
        return {stream.name: self._open_rows(path, stream, parts[stream.name]) for stream in self.streams}

    def _read_record(self, path: Path, content: memoryview, at: int, parts: dict[str, list]) -> int:
        damaged = LogError(f"{path} is damaged at byte {at:,}; the rows of open chunks since then are lost")
        if at + _RECORD.size > len(content):
            raise damaged
        magic, number, first, count, crc = _RECORD.unpack(content[at : at + _RECORD.size])
        if magic != _MAGIC or number >= len(self.streams):
            raise damaged
        stream = self.streams[number]
        index_bytes = len(INDEX_COLUMNS) * 8 * count
        end = at + _RECORD.size + index_bytes + count * stream.row_bytes
        payload = content[at + _RECORD.size : end]
        if end > len(content) or _tail_crc(number, first, count, bytes(payload)) != crc:
            raise damaged
        index = np.frombuffer(payload[:index_bytes], np.int64).reshape(len(INDEX_COLUMNS), count)
        data = np.frombuffer(payload[index_bytes:], stream.sensor.dtype).reshape(count, *stream.sensor.shape)
        parts[stream.name].append((first, index, data))
        return end

    def _open_rows(
        self, path: Path, stream: LogStream, parts: list[tuple[int, np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of one stream that no chunk holds; they must reach up to the committed count."""
        begin = self.first_open_row(stream.name)
        kept = [(first, index, data) for first, index, data in parts if first + len(data) > begin]
        indices = [index[:, max(0, begin - first) :] for first, index, _ in kept]
        blocks = [data[max(0, begin - first) :] for first, _, data in kept]
        if begin + sum(map(len, blocks)) != self.rows[stream.name]:
            raise LogError(f"{path} does not hold all committed rows of stream {stream.name!r}")
        if not blocks:
            return _no_rows(stream)
        return np.concatenate(indices, axis=1), np.concatenate(blocks)

    def episodes(self) -> list[Episode]:
        """Return the episodes in the order in which they began; one that was never closed has kind ``open``."""
        episodes: list[Episode] = []
        running: dict[int, int] = {}
        for kind, lane, t_ns, tick, facts, *end_kind in self.events:
            if kind == "begin":
                running[lane] = len(episodes)
                episodes.append(Episode(lane, t_ns, start_tick=tick, facts=facts))
            elif lane in running:
                number = running.pop(lane)
                begun = episodes[number]
                episodes[number] = Episode(
                    lane, begun.start_ns, t_ns, end_kind[0], begun.start_tick, tick, {**begun.facts, **facts}
                )
        return episodes


def _no_rows(stream: LogStream) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.zeros((len(INDEX_COLUMNS), 0), np.int64),
        np.zeros((0, *stream.sensor.shape), stream.sensor.dtype),
    )
