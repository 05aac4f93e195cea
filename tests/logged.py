"""Small logs whose rows say which row they are, and disks that fail on purpose."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.logs import LogStream, LogWriter, StreamLog
from embodied_ssl.logs.sealing import sealed, unsealed
from embodied_ssl.spec import SensorSpec

CAM = LogStream(SensorSpec("cam", "camera", (4, 5, 3), "uint8", 20.0))
IMU = LogStream(SensorSpec("/imu/data", "imu", (3,), "float32", 100.0, low=-1e4, high=1e4))
FLAG = LogStream(SensorSpec("flag", "state", (), "bool", 5.0), "other")
STREAMS = [CAM, IMU, FLAG]
CHUNK_ROWS = {"cam": 4, "/imu/data": 16, "flag": 8}


def rows_of(stream: LogStream, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return data and capture times that follow from the row numbers."""
    numbers = np.arange(first, first + count)
    data = (numbers[:, None] * 7 + np.arange(stream.sensor.size) * 3 + 1) % 251
    return data.astype(stream.sensor.dtype).reshape(count, *stream.sensor.shape), numbers * 1000 + 5


def add_rows(writer: LogWriter, name: str, count: int) -> None:
    """Append the next rows of a stream."""
    first = writer.num_rows(name)
    data, times = rows_of(writer.streams[name], first, count)
    writer.append(name, data, times, seq=np.arange(first, first + count))


def make_log(path: Path, **options: Any) -> Path:
    """Make a closed log: several chunks, commits and open rows of every stream, two episodes."""
    with StreamLog.create(path, STREAMS, {"who": "test"}, flush_s=60.0, chunk_rows=CHUNK_ROWS, **options) as writer:
        writer.begin_episode(0, task="first")
        for _ in range(3):
            add_rows(writer, "cam", 7)
            add_rows(writer, "/imu/data", 37)
            writer.flush()
        writer.end_episode(21_000, kind="terminated")
        writer.begin_episode(22_000)
        add_rows(writer, "flag", 11)
    return path


def all_right(log: StreamLog) -> bool:
    """Return whether every row of a log is the one that it must be."""
    for name, stream in log.streams.items():
        rows, (data, times) = log.read(name), rows_of(stream, 0, log.num_rows(name))
        if not (np.array_equal(rows.data, data) and np.array_equal(rows.t_ns, times)):
            return False
    return True


def edit_commits(path: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the records of a commit file and seal them anew, as somebody would on purpose."""
    file = path / "commit.jsonl"
    records: list[dict[str, Any]] = [unsealed(line) or {} for line in file.read_bytes().splitlines()]
    edit(records)
    file.write_bytes(b"".join(map(sealed, records)))


class FaultyOs:
    """The module ``os`` as a log sees it, whose n-th change of the disk fails.

    Attributes:
        calls: changes so far.
        log: their names.
    """

    CHANGES = ("open", "write", "fsync", "replace", "rename", "ftruncate", "unlink", "rmdir")

    def __init__(self, fails_at: int = -1, is_lasting: bool = True, fault: Callable[[], None] | None = None) -> None:
        self.fails_at, self.is_lasting, self.fault = fails_at, is_lasting, fault or self.disk_full
        self.calls, self.log = 0, []

    @staticmethod
    def disk_full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.CHANGES:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            if name != "open" or args[1] & os.O_CREAT:
                number, self.calls = self.calls, self.calls + 1
                self.log.append(name)
                if number == self.fails_at or (self.is_lasting and number > self.fails_at >= 0 and name != "unlink"):
                    self.fault()
            return real(*args, **kwargs)

        return call
