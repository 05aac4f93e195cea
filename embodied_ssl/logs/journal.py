"""The commit record: what makes rows count.

``commit.jsonl`` begins with a header line (format, streams, facts). Each further line is one commit: ``n`` its number,
``chunks`` the chunks that are new as ``[stream, first chunk, CRC32Cs of data, CRC32Cs of index]``, ``rows`` the rows of
every stream, ``tail`` the number of the tail file with the rows of the open chunks and how many of its bytes count,
``events`` episodes and notes. Every line carries a CRC of its own. A line without its end was never committed; a whole
line that does not fit its CRC is damage, and is said.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.chunks import ArrayFormat
from embodied_ssl.logs.events import check_events, episodes_of
from embodied_ssl.logs.layout import COMMIT_FILE, opened, read_at
from embodied_ssl.logs.schema import Episode, LogStream
from embodied_ssl.logs.sealing import unsealed

FORMAT = 1
MAX_LINE_BYTES = 64 << 20
"""Longest line that is believed."""
_READ_BYTES = 4 << 20
_MAX_MISSING_CHUNKS = 1 << 20
_Crcs = tuple[int, int] | None
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)


@dataclass
class Journal:
    """What has been committed, as far as it was read.

    Attributes:
        root: the log.
        skip_corrupt: go on behind damaged lines, and note them, instead of raising.
        streams: the streams, in the order of the header.
        facts: of the header.
        chunk_rows: rows of a chunk, by stream.
        shard_chunks: chunks of a shard, by stream; 0: chunks are files of their own, as in every log that grows.
        chunks: per stream the CRC32C of data and index of every committed chunk; None: its line was damaged.
        rows: committed rows, by stream.
        tail: number of the tail file and its committed bytes.
        events: episode events and notes in order.
        num_commits: commits made.
        read_bytes: how much of the file was read.
        damaged_lines: numbers of the lines that were left out.
        missing_commits: how many commits were left out.
    """

    root: Path
    skip_corrupt: bool = False
    streams: list[LogStream] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    chunk_rows: dict[str, int] = field(default_factory=dict)
    shard_chunks: dict[str, int] = field(default_factory=dict)
    chunks: dict[str, list[_Crcs]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    tail: tuple[int, int] = (0, 0)
    events: list[list[Any]] = field(default_factory=list)
    num_commits: int = 0
    read_bytes: int = 0
    damaged_lines: list[int] = field(default_factory=list)
    missing_commits: int = 0
    _lines: int = 0
    _inode: int = 0

    @property
    def path(self) -> Path:
        """The commit file."""
        return self.root / COMMIT_FILE

    @property
    def is_compacted(self) -> bool:
        """Whether the log lies in shards, and cannot grow."""
        return any(self.shard_chunks.values())

    def refresh(self) -> bool:
        """Read the lines that are new; return whether there were any.

        Raises:
            LogError: a line is damaged, or the file is no commit record.
            FileNotFoundError: it is gone.
        """
        before = self._lines
        with opened(self.path) as handle:
            status = os.fstat(handle)
            if status.st_size < self.read_bytes or self._inode not in (0, status.st_ino):
                raise LogError(f"{self.path} was replaced by another one, as by compact; open the log again")
            self._inode = status.st_ino
            rest = b""
            while part := read_at(handle, self.read_bytes + len(rest), _READ_BYTES):
                rest = self._take_lines(rest + part)
        self._refuse_damaged_end(rest)
        return self._lines > before

    def is_replaced(self) -> bool:
        """Return whether the commit file on disk is another one than was read."""
        try:
            return os.stat(self.path).st_ino != self._inode
        except OSError:
            return True

    def _take_lines(self, content: bytes) -> bytes:
        """Take in all whole lines; return what is left."""
        *lines, rest = content.split(b"\n")
        for line in lines:
            self._take(line)
            self.read_bytes += len(line) + 1
            self._lines += 1
        if len(rest) > MAX_LINE_BYTES:
            raise LogError(
                f"{self.path}: line {self._lines + 1} is longer than {MAX_LINE_BYTES:,} bytes; it is damaged"
            )
        return rest

    def _refuse_damaged_end(self, rest: bytes) -> None:
        """A torn line lacks its last bytes; one that is whole but for its newline was damaged later."""
        whole = rest.rfind(b'"}')
        if whole > 0 and len(rest) > whole + 2 and unsealed(rest[: whole + 2]) is not None:
            self._damaged("its end")

    def _damaged(self, what: str) -> None:
        number = self._lines + 1
        if number == 1 or not self.skip_corrupt:
            raise LogError(
                f"{self.path}: line {number} is damaged ({what}); copy the log from a backup, or read what else was "
                "committed with --skip-corrupt"
                if number > 1
                else f"{self.path}: line 1, the header, is damaged ({what}); copy the log from a backup"
            )
        if number not in self.damaged_lines:
            self.damaged_lines.append(number)

    def _take(self, line: bytes) -> None:
        record = unsealed(line)
        if record is None:
            self._damaged("it does not fit its checksum")
            return
        try:
            if self._lines == 0:
                self._take_header(record)
            else:
                self._take_commit(record)
        except _MALFORMED as error:
            self._damaged(f"it says what no log says, {type(error).__name__}: {str(error)[:80]}")

    def _take_header(self, record: dict[str, Any]) -> None:
        if record.get("log") != FORMAT:
            raise LogError(f"{self.path} has format {record.get('log')!r}, expected {FORMAT}; use a newer embodied_ssl")
        self.facts = dict(record["facts"])
        streams = [LogStream.from_json(entry) for entry in record["streams"]]
        if not streams or len({stream.name for stream in streams}) != len(streams):
            raise ValueError("no streams, or one name twice")
        for stream, entry in zip(streams, record["streams"], strict=True):
            self.chunk_rows[stream.name] = int(entry["chunk_rows"])
            self.shard_chunks[stream.name] = int(entry.get("shard_chunks", 0))
            ArrayFormat.of(stream, "data", self.chunk_rows[stream.name], self.shard_chunks[stream.name])
            self.chunks[stream.name], self.rows[stream.name] = [], 0
        self.streams = streams

    def _take_commit(self, record: dict[str, Any]) -> None:
        number = int(record["n"])
        if number < self.num_commits or (number > self.num_commits and not self.skip_corrupt):
            raise ValueError(f"it is commit {number}, expected {self.num_commits}")
        rows = [int(count) for count in record["rows"]]
        chunks = self._new_chunks(record["chunks"], rows)
        tail, events = record["tail"], list(record["events"])
        check_events(events)
        if tail[0] < 0 or tail[1] < 0:
            raise ValueError("the tail's place")
        self.missing_commits += number - self.num_commits
        for name, (first, crcs) in chunks.items():
            self.chunks[name] += [None] * (first - len(self.chunks[name]))
            self.chunks[name] += crcs
        self.rows = dict(zip(self.rows, rows, strict=True))
        self.tail, self.num_commits = (int(tail[0]), int(tail[1])), number + 1
        self.events += events

    def _new_chunks(self, listed: Any, rows: list[int]) -> dict[str, tuple[int, list[_Crcs]]]:
        """Return by stream the first new chunk and the checksums, after a check that rows and chunks fit together."""
        new: dict[str, tuple[int, list[_Crcs]]] = {s.name: (len(self.chunks[s.name]), []) for s in self.streams}
        for stream, first, data, index in listed:
            name = self.streams[stream].name
            pairs: list[_Crcs] = [(int(a), int(b)) for a, b in zip(data, index, strict=True)]
            if first < new[name][0] or (first > new[name][0] and not self.skip_corrupt) or new[name][1]:
                raise ValueError(f"chunk {first} of stream {name!r} is out of turn")
            new[name] = (int(first), pairs)
        for stream, count in zip(self.streams, rows, strict=True):
            name, size = stream.name, self.chunk_rows[stream.name]
            num_chunks = new[name][0] + len(new[name][1])
            if self.skip_corrupt and not new[name][1]:  # chunks of damaged lines: as many as the rows say
                num_chunks = max(num_chunks, count // size)
                new[name] = (num_chunks, [])
            if num_chunks - len(self.chunks[name]) - len(new[name][1]) > _MAX_MISSING_CHUNKS:
                raise ValueError(f"{count} rows of stream {name!r}")
            fewest = (num_chunks - 1) * size if self.is_compacted else num_chunks * size
            if not max(fewest, self.rows[name]) <= count <= (num_chunks + 1) * size:
                raise ValueError(f"{count} rows in {num_chunks} chunks of stream {name!r}")
        return new

    def first_open_row(self, name: str) -> int:
        """Return the number of the first row that lies in no committed chunk."""
        return min(self.rows[name], len(self.chunks[name]) * self.chunk_rows[name])

    def episodes(self) -> list[Episode]:
        """Return the episodes in the order in which they began."""
        return episodes_of(self.events)

    def damage(self) -> list[str]:
        """Return what is not known because lines are damaged, as lines for people."""
        if not self.damaged_lines:
            return [f"{self.path}: {self.missing_commits} commits are missing"] if self.missing_commits else []
        lost = sum(crcs is None for chunks in self.chunks.values() for crcs in chunks)
        return [
            f"{self.path}: damaged lines {', '.join(map(str, self.damaged_lines))}; {lost} chunks without a checksum "
            "are left out, and episodes and notes of those lines are not known"
        ]
