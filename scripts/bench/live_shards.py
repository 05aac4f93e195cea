"""Should a recorder write whole shards, or chunks that are files of their own? Both, under the same durability.

    python scripts/bench/live_shards.py [--json] [--repeats 5]

One stream of 84-pixel frames, encoded ahead, so that only the disk's part is timed: 64 chunks of 64 frames as 64 files,
or as 8 files of 8 chunks with an index at their end. What is in no chunk or shard yet lies in the raw tail, so a shard
also means that eight times as many rows are written twice; `tail_mb` is the most that is there.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro
from log_workload import Content
from measure import Line, show

from embodied_ssl.logs.chunks import ArrayFormat
from embodied_ssl.logs.layout import sync_folder, write_aside
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.logs.shards import shard_pieces
from embodied_ssl.spec import SensorSpec

BENCH = "live_shards"
CHUNK_ROWS, SHARD_CHUNKS, NUM_CHUNKS = 64, 8, 64


@dataclass
class Options:
    """How often."""

    json: bool = False
    repeats: int = 5


def as_chunks(folder: Path, chunks: list[tuple[bytes, bytes]], fsync: bool) -> None:
    """Write every chunk to a file; names are made durable once in `SHARD_CHUNKS`, as by one commit."""
    for number, pieces in enumerate(chunks):
        write_aside(folder / str(number), pieces, fsync)
        if fsync and number % SHARD_CHUNKS == SHARD_CHUNKS - 1:
            sync_folder(folder)


def as_shards(folder: Path, chunks: list[tuple[bytes, bytes]], fsync: bool) -> None:
    """Write whole shards, one commit each."""
    for start in range(0, len(chunks), SHARD_CHUNKS):
        write_aside(folder / str(start), shard_pieces(chunks[start : start + SHARD_CHUNKS], SHARD_CHUNKS), fsync)
        if fsync:
            sync_folder(folder)


def mb_per_s(write: Callable[[Path, list, bool], None], chunks: list, fsync: bool, raw_bytes: int) -> float:
    """Return raw MB/s of one way."""
    folder = Path(tempfile.mkdtemp(prefix="live_shards_"))
    try:
        start = time.perf_counter()
        write(folder, chunks, fsync)
        return raw_bytes / 1e6 / (time.perf_counter() - start)
    finally:
        shutil.rmtree(folder)


def measure(options: Options) -> Iterator[Line]:
    """Yield every line."""
    stream = LogStream(SensorSpec("rgb", "camera", (84, 84, 3), "uint8"))
    kind = ArrayFormat.of(stream, "data", CHUNK_ROWS)
    for case in ("rendered", "noisy"):
        frames = Content(case, 1).block(0)["rgb"].reshape(-1, CHUNK_ROWS, 84, 84, 3)
        chunks = [kind.encode(frames[number % len(frames)]) for number in range(NUM_CHUNKS)]
        for fsync in (True, False):
            ways = {"chunks": as_chunks, "shards": as_shards}
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(options.repeats):
                for name, write in ways.items():
                    found[name].append(mb_per_s(write, chunks, fsync, NUM_CHUNKS * kind.nbytes))
            for name, values in found.items():
                system = name + ("_fsync" if fsync else "")
                spread = (round(min(values), 1), round(max(values), 1))
                median = round(statistics.median(values), 1)
                yield Line(BENCH, case, system, "write_mb_per_s", median, "MB/s", len(values), spread)
    for name, size in (("chunks", 1), ("shards", SHARD_CHUNKS)):
        yield Line(BENCH, "both", name, "tail_mb", round(size * kind.nbytes / 1e6, 2), "MB", 1)
        yield Line(BENCH, "both", name, "files", float(NUM_CHUNKS // size), "", 1)


if __name__ == "__main__":
    chosen = tyro.cli(Options, description=__doc__)
    for result in measure(chosen):
        show(result, chosen.json)
