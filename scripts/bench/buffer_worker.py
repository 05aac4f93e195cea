"""Measure one buffer on one workload in a process of its own and print one JSON object; buffer.py calls it.

    python scripts/bench/buffer_worker.py --system ours --case pixels

It needs this project only for ``ours``; peers run it with the Python of their own environment.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from buffer_workload import CASES, Case, Flow, num_legal

SYSTEMS = {
    "ours": "buffer_ours",
    "bare_ring": "buffer_bare",
    "torchrl": "peers.torchrl_buffer",
    "tianshou": "peers.tianshou_buffer",
    "flashbax": "peers.flashbax_buffer",
}


def peak_bytes() -> int:
    """Return the largest resident size since `reset_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def reset_peak() -> int:
    """Forget the peak so far and return the resident size."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def append_rate(system: Any, flow: Flow, num_ticks: int) -> float:
    """Return lane-steps a second, the time to make the ticks not counted."""
    spare = copy.copy(flow)  # the same work, left out of the windows
    start = time.perf_counter()
    for _ in range(num_ticks):
        spare.next()
    making = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(num_ticks):
        system.add(*flow.next())
    system.sync()
    return num_ticks * flow.case.lanes / max(time.perf_counter() - start - making, 1e-9)


def sample_rate(sample: Callable[[], Any], windows: int, seconds: float) -> float:
    """Return windows a second, the median of three after two that do not count."""
    for _ in range(2):
        sample()
    rates = []
    for _ in range(3):
        start, calls = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            sample()
            calls += 1
        rates.append(calls * windows / (time.perf_counter() - start))
    return statistics.median(rates)


def legal_fraction(system: Any, flow: Flow, num_windows: int) -> float:
    """Return the share of good windows among many, while the ring goes on being written."""
    good = seen = 0
    while seen < num_windows:
        marks = system.marks(system.sample())
        good, seen = good + num_legal(flow.case, marks), seen + len(marks)
        system.add(*flow.next())
    return good / seen


def rates(system: Any, case: Case, seconds: float) -> float:
    """Return the rate of the system's best kernel."""
    return max(sample_rate(kernel, case.batch, seconds) for kernel in system.kernels())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", choices=list(SYSTEMS), required=True)
    parser.add_argument("--case", choices=list(CASES), required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--shrink", type=int, default=1, help="divide the capacity by this")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    case = CASES[options.case]
    case = replace(case, capacity_ticks=max(2 * case.span, case.capacity_ticks // options.shrink))
    kind = importlib.import_module(SYSTEMS[options.system]).System
    flow = Flow(case, options.seed)
    small = replace(case, capacity_ticks=max(2 * case.span, case.capacity_ticks // 20))
    first = kind(small)
    append_rate(first, flow, small.capacity_ticks + small.capacity_ticks // 4)
    small_rate = rates(first, small, options.seconds)
    del first
    before = reset_peak()
    system = kind(case)
    result = {"append_first_fill_per_s": append_rate(system, flow, case.capacity_ticks)}
    result["append_per_s"] = append_rate(system, flow, max(20, case.capacity_ticks // 4))
    result["windows_per_s"] = rates(system, case, options.seconds)
    result["peak_memory_ratio"] = (peak_bytes() - before) / (case.capacity_ticks * case.lanes * case.step_bytes)
    result["cost_ratio_20x_capacity"] = small_rate / result["windows_per_s"]
    result["legal_fraction"] = legal_fraction(system, flow, options.windows)
    print(json.dumps(result | {"versions": system.versions(), "numpy": np.__version__}))


if __name__ == "__main__":
    main()
