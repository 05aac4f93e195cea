"""A log with every kind of stream, for the tests of exporters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.spec import SensorSpec

START_NS = 1_700_000_000_123_456_789
FPS = 20
TICKS = 12


def spec(name: str, shape: tuple[int, ...], dtype: str, rate_hz: float, role: str = "sensor") -> LogStream:
    modality = "camera" if dtype == "uint8" and len(shape) == 3 else "depth" if len(shape) == 2 else "vector"
    return LogStream(SensorSpec(name, modality, shape, dtype, rate_hz, "m", -1.0, 5.0), role)


STREAMS = [
    spec("/cam/front", (16, 24, 3), "uint8", FPS),
    spec("/cam/grey", (8, 12, 1), "uint8", FPS),
    spec("/depth", (4, 6), "uint16", FPS, "other"),
    spec("/imu", (3,), "float32", 200.0),
    spec("arm", (2, 3), "float64", FPS),
    spec("half", (5,), "float16", FPS),
    spec("cmd", (2,), "float64", FPS, "action"),
    spec("reward", (1,), "float32", FPS, "reward"),
    spec("pose", (2,), "int64", FPS, "privileged"),
    spec("flag", (3,), "bool", 4.0, "other"),
    spec("say", (12,), "uint8", 1.0, "text"),
]


def grid(start_ns: int, rate_hz: float, seconds: float) -> np.ndarray:
    """Return times ``(n,)`` that begin at ``start_ns``."""
    return start_ns + np.rint(np.arange(round(seconds * rate_hz)) * 1e9 / rate_hz).astype(np.int64)


def rows_of(stream: LogStream, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random rows, with NaN and infinities among floats and the limits of integers."""
    dtype, shape = np.dtype(stream.sensor.dtype), (count, *stream.sensor.shape)
    if stream.role == "text":
        return np.stack([np.frombuffer(f"grüß {i}".encode().ljust(12, b"\0"), np.uint8) for i in range(count)])
    if dtype.kind == "f":
        rows = rng.normal(size=shape).astype(dtype)
        rows.reshape(count, -1)[0, 0] = np.inf if stream.name == "half" else rows.reshape(count, -1)[0, 0]
        return rows
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def make_log(path: Path, lanes: int = 1, num_episodes: int = 2) -> StreamLog:
    """Write and open a log; rows arrive 3 ms after capture, a sequence number each."""
    rng = np.random.default_rng(0)
    with StreamLog.create(path, STREAMS, {"robot": "demo"}, fsync=False) as writer:
        for episode in range(num_episodes):
            start = START_NS + episode * 10 * 10**9
            for lane in range(lanes):
                writer.begin_episode(start, lane, task=f"task {episode}")
                for stream in STREAMS:
                    t_ns = grid(start, stream.sensor.rate_hz, TICKS / FPS if stream.role != "text" else 1.0)
                    rows = rows_of(stream, len(t_ns), rng)
                    seq = np.arange(len(t_ns)) + 100 * episode + 1
                    writer.append(stream.name, rows, t_ns, t_ns + 3_000_001, seq, lane)
                writer.end_episode(int(grid(start, FPS, TICKS / FPS)[-1]), lane, kind="terminated")
    return StreamLog.open(path)
