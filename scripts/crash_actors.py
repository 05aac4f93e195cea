"""Who is killed by `crash_campaign.py`, and what the rows of its logs hold."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog, tail
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.recover import recover_log
from embodied_ssl.spec import SensorSpec

__all__ = ["MAX_ROWS", "compact", "follow", "record", "recover", "wrong_rows"]

STREAMS = [
    LogStream(SensorSpec("cam", "camera", (8, 8, 3), "uint8", 30.0)),
    LogStream(SensorSpec("/imu/data", "imu", (6,), "float32", 1000.0)),
    LogStream(SensorSpec("slow", "state", (), "int64", 2.0), "other"),
]
CHUNK_ROWS = {"cam": 16, "/imu/data": 64, "slow": 8}
MOST_ROWS = {"cam": 40, "/imu/data": 300, "slow": 5}
FLUSH_S = 0.004
TAIL_BYTES = 20_000
MAX_ROWS = 60_000


def content(stream: LogStream, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return data ``(n, *shape)`` and capture times ``(n,)`` of rows ``first`` on: both follow from the row number."""
    rows = np.arange(first, first + count, dtype=np.uint64)
    salt = np.uint64(1 + sum(map(ord, stream.name)))
    values = (rows[:, None] * np.uint64(2654435761) + np.arange(stream.sensor.size, dtype=np.uint64) * salt + salt) >> 7
    data = (values % np.uint64(251) + np.uint64(1)).astype(stream.sensor.dtype)  # never 0, which is the fill value
    return data.reshape(count, *stream.sensor.shape), (rows * np.uint64(1000) + salt).astype(np.int64)


def wrong_rows(log: StreamLog, name: str, start: int = 0) -> int:
    """Return how many rows of a stream from ``start`` on are not what they must be."""
    wrong, at = 0, start
    for rows in log.blocks(name, start):
        data, times = content(log.streams[name], at, len(rows))
        same = (rows.data == data).reshape(len(rows), -1).all(1) & (rows.t_ns == times)
        wrong += int((~(same & (rows.seq == np.arange(at, at + len(rows))))).sum())
        at += len(rows)
    return wrong + log.num_rows(name) - at


def record(path: Path, seed: int, pipe: Connection) -> None:
    """Record until killed; say after each `flush` how many rows of each stream it has made safe."""
    tail.ROTATE_BYTES = TAIL_BYTES  # replaced often, under the eyes of whoever reads it
    rng = np.random.default_rng(seed)
    if path.exists():
        writer = StreamLog.append_to(path, STREAMS, flush_s=FLUSH_S)
    else:
        writer = StreamLog.create(path, STREAMS, {"campaign": True}, FLUSH_S, chunk_rows=CHUNK_ROWS)
    pipe.send({name: writer.num_rows(name) for name in CHUNK_ROWS})
    while sum(writer.num_rows(name) for name in CHUNK_ROWS) < MAX_ROWS:
        stream = STREAMS[rng.integers(len(STREAMS))]
        first, count = writer.num_rows(stream.name), int(rng.integers(1, MOST_ROWS[stream.name]))
        data, times = content(stream, first, count)
        writer.append(stream.name, data, times, seq=np.arange(first, first + count))
        if rng.random() < 0.02:
            writer.begin_episode(int(times[-1]), row=first)
        if rng.random() < 0.1:
            appended = {name: writer.num_rows(name) for name in CHUNK_ROWS}
            writer.flush()
            pipe.send(appended)
        time.sleep(float(rng.random()) * 0.002)
    writer.close()


def follow(path: Path, pipe: Connection) -> None:
    """Read the tail of a log that is being recorded until told to stop; report what was wrong."""
    report: dict[str, Any] = {"refreshes": 0, "rows": 0, "faults": []}
    log: StreamLog | None = None
    seen = dict.fromkeys(CHUNK_ROWS, 0)
    while not pipe.poll():
        try:
            if log is None:
                if not path.exists():
                    time.sleep(0.001)
                    continue
                log = StreamLog.open(path)
            log.refresh()
            for name, before in seen.items():
                if log.num_rows(name) < before:
                    report["faults"].append(f"{name} shrank from {before} to {log.num_rows(name)}")
                if wrong := wrong_rows(log, name, before):
                    report["faults"].append(f"{name}: {wrong} wrong rows behind {before}")
                report["rows"] += log.num_rows(name) - before
                seen[name] = log.num_rows(name)
            report["refreshes"] += 1
        except LogError as error:
            report["faults"].append(str(error))
            log = None
            seen = dict.fromkeys(CHUNK_ROWS, 0)
    pipe.send(report)


def compact(path: Path, pipe: Connection) -> None:
    """Compact a log."""
    pipe.send("begun")
    compact_log(path, shard_bytes=20_000)
    pipe.send("done")


def recover(path: Path, pipe: Connection) -> None:
    """Recover a log."""
    pipe.send("begun")
    recover_log(path)
    pipe.send("done")
