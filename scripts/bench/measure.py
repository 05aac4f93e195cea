"""How every benchmark measures and prints: all systems of a case in turn, medians over repeats, one JSON line each."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

__all__ = ["Line", "Timing", "cpu_s", "in_turn", "show", "unavailable"]

PACKAGES = ("torch", "numpy", "mujoco", "gymnasium", "embodied-ssl", "dm_control", "mujoco-warp")


@dataclass(frozen=True)
class Line:
    """One measurement; `value` is None when it could not be made, and `reason` says why."""

    bench: str
    case: str
    system: str
    metric: str
    value: float | None
    unit: str
    repeats: int = 0
    spread: tuple[float, float] | None = None
    reason: str | None = None
    versions: dict[str, str] = field(default_factory=lambda: installed_versions())

    def to_json(self) -> str:
        """Return the line with machine and versions."""
        record = {name: value for name, value in vars(self).items() if value is not None or name == "value"}
        return json.dumps(record | {"machine": machine()})


@dataclass(frozen=True)
class Timing:
    """Units of work a second of wall time, and process CPU microseconds per unit, of every repeat."""

    per_s: list[float]
    cpu_us: list[float]

    def lines(self, bench: str, case: str, system: str, rate_metric: str, cpu_metric: str | None) -> Iterator[Line]:
        """Yield the medians as lines."""
        yield _median_line(bench, case, system, rate_metric, self.per_s, "1/s")
        if cpu_metric:
            yield _median_line(bench, case, system, cpu_metric, self.cpu_us, "us")


def _median_line(bench: str, case: str, system: str, metric: str, values: list[float], unit: str) -> Line:
    spread = (round(min(values), 2), round(max(values), 2))
    return Line(bench, case, system, metric, round(statistics.median(values), 2), unit, len(values), spread)


def unavailable(bench: str, case: str, system: str, metric: str, unit: str, reason: str) -> Line:
    """Return the line of a peer that is not here."""
    return Line(bench, case, system, metric, None, unit, reason=" ".join(reason.split()))


def in_turn(systems: Mapping[str, tuple[Callable[[], object], int]], repeats: int, seconds: float) -> dict[str, Timing]:
    """Time all systems in turn, `repeats` rounds after one that is thrown away.

    Args:
        systems: name -> (what to call, units of work of one call).
        repeats: rounds that count.
        seconds: least wall time of one system in one round.
    """
    timings = {name: Timing([], []) for name in systems}
    for round_number in range(repeats + 1):
        for name, (call, units) in systems.items():
            per_s, cpu_us = _time(call, units, seconds)
            if round_number:
                timings[name].per_s.append(per_s)
                timings[name].cpu_us.append(cpu_us)
    return timings


def _time(call: Callable[[], object], units: int, seconds: float) -> tuple[float, float]:
    calls, cpu_before, start = 0, cpu_s(), time.perf_counter()
    while True:
        call()
        calls += 1
        wall = time.perf_counter() - start
        if wall >= seconds:
            return calls * units / wall, (cpu_s() - cpu_before) / (calls * units) * 1e6


def cpu_s() -> float:
    """Return CPU seconds used so far by this process, its threads, and its living worker processes."""
    tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
    workers = 0.0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        workers += (int(fields[11]) + int(fields[12])) * tick_s
    return time.process_time() + workers


def machine() -> str:
    """Return processor and number of cores."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores"


def installed_versions() -> dict[str, str]:
    """Return Python's version and those of the packages that matter and are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def show(line: Line, as_json: bool) -> None:
    """Print a line: JSON, or words for people."""
    if as_json:
        print(line.to_json(), flush=True)
        return
    value = "-" if line.value is None else f"{line.value:,.1f} {line.unit}"
    note = f"  ({line.reason})" if line.reason else ""
    print(f"{line.bench}  {line.case:24} {line.system:16} {line.metric:16} {value:>16}{note}", flush=True)


if __name__ == "__main__":
    sys.exit("measure.py is what the benchmarks import; run sim.py or render.py")
