"""Recording and reading ticks with a camera: our log beside zarr-python, zarrs, HDF5, MCAP and memory-mapped files.

    python scripts/bench/log.py [--json] [--ticks 1024] [--repeats 3] [--cases rendered noisy] [--quick]

All systems of a case write the same ticks in turn, in blocks of 64 ticks of 8 lanes (10.9 MB). Systems with `_fsync` in
their name have each block on disk before the next; the others leave that to the system, as their users do. Reads are in
warm page cache. Random windows of ours come from what training reads, the decoded ticks in a `StreamBuffer` on
disk: that is the system ``ours_cache``, with the seconds and bytes that making it costs.
"""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from buffer_ours import System
from log_peers import Hdf5, Mcap, Memmap, Zarrs, ZarrWindows, ZarrWrite
from log_workload import BLOCK_TICKS, CASE, KEYS, Content, window_starts
from measure import Line, show, unavailable

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.spec import SensorSpec

BENCH = "log"


@dataclass
class Options:
    """What to measure, and how much."""

    json: bool = False
    ticks: int = 1024
    repeats: int = 3
    cases: tuple[str, ...] = ("rendered", "noisy")
    quick: bool = False
    folder: Path | None = None


class Ours:
    """A `StreamLog`, one stream a key, one row a lane-tick. Nothing draws random windows from it."""

    num_windows = 0

    def __init__(self, folder: Path, num_ticks: int, fsync: bool) -> None:
        """Begin recording."""
        kinds = {"rgb": "camera", "action": "action", "reward": "reward"}
        streams = [
            LogStream(SensorSpec(name, kinds.get(name, "vector"), shape, dtype))
            for name, (shape, dtype) in KEYS.items()
        ]
        self.folder, self.tick = folder, 0
        self.lanes = np.tile(np.arange(CASE.lanes), BLOCK_TICKS)
        self.writer = StreamLog.create(folder, streams, flush_s=3600.0, fsync=fsync)

    def write(self, block: dict[str, np.ndarray]) -> None:
        """Append a block and commit it."""
        ticks = self.tick + np.repeat(np.arange(BLOCK_TICKS), CASE.lanes)
        for name, values in block.items():
            rows = values.reshape(-1, *values.shape[2:])
            self.writer.append(name, rows, ticks * 50_000_000, lane=self.lanes, tick=ticks)
        self.writer.flush()
        self.tick += BLOCK_TICKS

    def close(self) -> None:
        """Close the log."""
        self.writer.close()

    def read(self) -> int:
        """Read all rows in blocks."""
        log, total = StreamLog.open(self.folder), 0
        for name in KEYS:
            for rows in log.blocks(name):
                total += int(rows.data.reshape(-1)[-1])
        return total


class OursCache(Ours):
    """The same, and its decoded ticks in a `StreamBuffer` on disk, from which pretraining draws windows."""

    num_windows = CASE.batch

    def windows(self, lanes: np.ndarray, ends: np.ndarray) -> Any:
        """Return a batch from the decoded ticks; it draws its own windows."""
        return self.cache.sample()

    def build(self) -> dict[str, float]:
        """Decode the log; return what that costs."""
        start = time.perf_counter()
        self.cache = _decoded(self.folder, self.tick)
        seconds = time.perf_counter() - start
        files = self.folder.with_suffix(".cache").rglob("*")
        return {"build_s": seconds, "build_mb": sum(file.stat().st_size for file in files if file.is_file()) / 1e6}


def _decoded(folder: Path, num_ticks: int) -> System:
    """Return the ticks of a log in a buffer on disk."""
    system = System(dataclasses.replace(CASE, capacity_ticks=max(num_ticks, 64)))
    lanes, shapes, cache = CASE.lanes, (system.shape,), folder.with_suffix(".cache")
    system.buffer = StreamBuffer(system.spec, lanes, max(num_ticks, 64), shapes, storage="disk", folder=cache)
    log, never = StreamLog.open(folder), np.zeros(CASE.lanes, bool)
    for start in range(0, num_ticks * CASE.lanes, BLOCK_TICKS * CASE.lanes):
        rows = {name: log.read(name, start, start + BLOCK_TICKS * CASE.lanes).data for name in KEYS}
        for at in range(BLOCK_TICKS):
            tick = {name: values[at * CASE.lanes : (at + 1) * CASE.lanes] for name, values in rows.items()}
            system.add(tick, tick["reward"], np.full(CASE.lanes, start == at == 0), never)
    return system


SYSTEMS: dict[str, tuple[type, bool]] = {
    "ours_fsync": (Ours, True),
    "zarr_write_fsync": (ZarrWrite, True),
    "zarr_windows_fsync": (ZarrWindows, True),
    "ours": (Ours, False),
    "ours_cache": (OursCache, False),
    "zarr_write": (ZarrWrite, False),
    "zarr_windows": (ZarrWindows, False),
    "zarrs": (Zarrs, False),
    "hdf5": (Hdf5, False),
    "mcap": (Mcap, False),
    "memmap": (Memmap, False),
}
UNITS = {"write_mb_per_s": "MB/s", "disk_ratio": "", "sequential_mb_per_s": "MB/s", "windows_per_s": "1/s"}
CACHE_UNITS = {"build_s": "s", "build_mb": "MB", "windows_per_s": "1/s"}
"""Of ``ours_cache`` only: its writing and reading are those of ``ours``."""


def one_round(kind: type, fsync: bool, content: Content, folder: Path, seconds: float) -> dict[str, float]:
    """Write, measure the size, read all, read windows; every figure of one system, once."""
    start = time.perf_counter()
    store = kind(folder, content.num_ticks, fsync)
    for number in range(content.num_blocks):
        store.write(content.block(number))
    store.close()
    if isinstance(store, OursCache):
        return store.build() | {"windows_per_s": _windows_per_s(store, content, seconds)}
    found = {"write_mb_per_s": content.nbytes / 1e6 / (time.perf_counter() - start)}
    found["disk_ratio"] = content.nbytes / sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    store.read()
    start = time.perf_counter()
    store.read()
    found["sequential_mb_per_s"] = content.nbytes / 1e6 / (time.perf_counter() - start)
    if store.num_windows:
        found["windows_per_s"] = _windows_per_s(store, content, seconds)
    return found


def _windows_per_s(store: Any, content: Content, seconds: float) -> float:
    rng, count = np.random.default_rng(0), 0

    def draw() -> None:
        store.windows(*window_starts(content.num_ticks, store.num_windows, rng))

    draw()
    start = time.perf_counter()
    while (wall := time.perf_counter() - start) < seconds:
        draw()
        count += store.num_windows
    return count / wall


def measure_case(case: str, options: Options) -> Iterator[Line]:
    """Yield the lines of all systems of a case."""
    content = Content(case, max(1, options.ticks // BLOCK_TICKS))
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    missing: dict[str, str] = {}
    for _ in range(options.repeats):
        for name, (kind, fsync) in SYSTEMS.items():
            folder = Path(tempfile.mkdtemp(prefix="bench_log_", dir=options.folder))
            try:
                figures[name].append(one_round(kind, fsync, content, folder / "run", 0.05 if options.quick else 1.0))
            except ImportError as error:
                missing[name] = str(error)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    for name, rounds in figures.items():
        for metric, unit in (CACHE_UNITS if name == "ours_cache" else UNITS).items():
            yield _line(case, name, metric, unit, [one[metric] for one in rounds if metric in one], missing.get(name))


def _line(case: str, system: str, metric: str, unit: str, values: list[float], missing: str | None) -> Line:
    if not values:
        return unavailable(BENCH, case, system, metric, unit, missing or "it has no random access")
    spread = (round(min(values), 2), round(max(values), 2))
    return Line(BENCH, case, system, metric, round(statistics.median(values), 2), unit, len(values), spread)


def measure(options: Options) -> Iterator[Line]:
    """Yield every line."""
    if options.quick:
        options = dataclasses.replace(options, ticks=BLOCK_TICKS, repeats=1, cases=("noisy",))
    for case in options.cases:
        yield from measure_case(case, options)


if __name__ == "__main__":
    chosen = tyro.cli(Options, description=__doc__)
    for result in measure(chosen):
        show(result, chosen.json)
