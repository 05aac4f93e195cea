"""Who is killed by `crash_campaign.py`, and what the rows of its logs hold."""

from __future__ import annotations

import dataclasses
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, LogWriter, StreamLog, tail
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.recover import recover_log
from embodied_ssl.spec import SensorSpec

__all__ = ["MAX_ROWS", "compact", "follow", "record", "recover", "wrong_episodes", "wrong_rows"]

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


def columns(stream: LogStream, first: int, count: int) -> np.ndarray:
    """Return the index columns ``(n, 5)`` of rows ``first`` on, which follow from the row number too."""
    rows = np.arange(first, first + count)
    times = content(stream, first, count)[1]
    return np.stack([times, times + rows % 977, rows, rows % 5, rows // 3], axis=1)


def wrong_rows(log: StreamLog, name: str, start: int = 0) -> int:
    """Return how many rows of a stream from ``start`` on are not what they must be."""
    wrong, at = 0, start
    for rows in log.blocks(name, start):
        data, _ = content(log.streams[name], at, len(rows))
        same = (rows.data == data).reshape(len(rows), -1).all(1)
        same &= (rows.index == columns(log.streams[name], at, len(rows))).all(1)
        wrong += int((~same).sum())
        at += len(rows)
    return wrong + log.num_rows(name) - at


def wrong_episodes(log: StreamLog) -> int:
    """Return how many episodes are not what they must be: number ``n`` begins at ``n`` and ends at ``n`` + 1."""
    last = len(log.episodes) - 1
    return sum(
        (episode.start_ns, episode.start_tick, episode.lane, episode.facts) != (number, number * 7, 2, {"n": number})
        or (number < last and (episode.end_ns, episode.end_kind) != (number + 1, "unknown"))
        for number, episode in enumerate(log.episodes)
    )


def record(path: Path, seed: int, close: bool, epoch: bool, pipe: Connection) -> None:
    """Record until killed; say at the beginning, and after each `flush`, how many rows and episodes are safe.

    Args:
        path: the log.
        seed: of what is appended.
        close: close after a few appends, open again, and so on: also killed in the midst of closing.
        epoch: open an epoch first if the log has none.
        pipe: gets ``{epoch, rows by stream, episodes}``.
    """
    tail.ROTATE_BYTES = TAIL_BYTES  # replaced often, under the eyes of whoever reads it
    rng = np.random.default_rng(seed)
    while True:
        writer, number, episodes = _begun(path, epoch)
        pipe.send(_safe(writer, number, episodes))
        appends = int(rng.integers(1, 20)) if close else MAX_ROWS
        while appends and sum(writer.num_rows(name) for name in CHUNK_ROWS) < MAX_ROWS:
            appends -= 1
            episodes = _append_some(writer, rng, episodes)
            if rng.random() < 0.1:
                safe = _safe(writer, number, episodes)
                writer.flush()
                pipe.send(safe)
            time.sleep(float(rng.random()) * 0.002)
        safe = _safe(writer, number, episodes)
        writer.close()
        pipe.send(safe)
        if not close or sum(safe["rows"].values()) >= MAX_ROWS:
            return


def _begun(path: Path, epoch: bool) -> tuple[LogWriter, int, int]:
    """Return a writer, the epoch it writes, and the episodes there are."""
    if not path.exists():
        return StreamLog.create(path, STREAMS, {"campaign": True}, FLUSH_S, chunk_rows=CHUNK_ROWS), 0, 0
    logs = StreamLog.open(path).epochs
    if epoch and len(logs) == 1:
        changed = [*STREAMS[:2], dataclasses.replace(STREAMS[2], role="privileged")]
        return StreamLog.append_to(path, changed, "epoch", FLUSH_S), 1, 0
    return StreamLog.append_to(path, flush_s=FLUSH_S), len(logs) - 1, len(logs[-1].episodes)


def _safe(writer: LogWriter, number: int, episodes: int) -> dict[str, Any]:
    return {"epoch": number, "rows": {name: writer.num_rows(name) for name in CHUNK_ROWS}, "episodes": episodes}


def _append_some(writer: LogWriter, rng: np.random.Generator, episodes: int) -> int:
    """Append rows of one stream, sometimes begin an episode; return how many episodes there are then."""
    stream = STREAMS[rng.integers(len(STREAMS))]
    first, count = writer.num_rows(stream.name), int(rng.integers(1, MOST_ROWS[stream.name]))
    data, index = content(stream, first, count)[0], columns(stream, first, count)
    writer.append(stream.name, data, *index.T)
    if rng.random() < 0.05:
        writer.begin_episode(episodes, 2, episodes * 7, n=episodes)
        episodes += 1
    return episodes


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
