"""Appends and windows a second of our buffer beside a bare ring, TorchRL, tianshou and flashbax.

    python scripts/bench/buffer.py [--json] [--peer-python PATH] [--rounds 3] [--seconds 1.0] [--quick]

Two workloads (buffer_workload.py). Every measurement is a process of its own, systems by turns; medians over rounds.
`append_per_s` are lane-steps into a full ring, `append_first_fill_per_s` into a new one. `windows_per_s` includes the
draw. `legal_fraction` is over at least 100,000 windows of a ring that has wrapped and is being written.
`cost_ratio_20x_capacity` is the cost of a window over its cost in a buffer a twentieth the size.

Peers live in an environment of their own, whose Python `--peer-python` names:

    python -m venv .venv-peers && .venv-peers/bin/pip install torch==2.13.0 torchrl==0.14.1 tensordict==0.14.3 \
        jax==0.10.2 flashbax==0.1.3 tianshou==2.0.1

Pixels: 4 consecutive ticks and the one 5 later. TorchRL and flashbax read all 9 of the span; tianshou delivers the
action of the stack and the reward of its last tick only.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from measure import Line, show, unavailable

BENCH = "buffer"
WORKER = Path(__file__).parent / "buffer_worker.py"
OWN, PEERS = ("ours", "bare_ring"), ("torchrl", "tianshou", "flashbax")
UNITS = {
    "append_per_s": "1/s",
    "append_first_fill_per_s": "1/s",
    "windows_per_s": "1/s",
    "legal_fraction": "",
    "peak_memory_ratio": "",
    "cost_ratio_20x_capacity": "",
}


@dataclass
class Options:
    """What to measure, and how long."""

    json: bool = False
    cases: tuple[str, ...] = ("pixels", "vectors")
    systems: tuple[str, ...] = (*OWN, *PEERS)
    peer_python: str | None = None
    rounds: int = 3
    seconds: float = 1.0
    windows: int = 100_000
    quick: bool = False


def measure_once(system: str, case: str, turn: int, options: Options) -> dict[str, Any] | str:
    """Run one process; return what it printed, or why it printed nothing."""
    python = sys.executable if system in OWN else options.peer_python
    if python is None:
        return "no --peer-python was given"
    command = [python, str(WORKER), "--system", system, "--case", case, "--seed", str(turn)]
    command += ["--seconds", str(options.seconds), "--windows", str(options.windows)]
    if options.quick:
        command += ["--shrink", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def case_lines(case: str, options: Options) -> Iterator[Line]:
    """Measure all systems of a case by turns."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    missing: dict[str, str] = {}
    for turn in range(options.rounds):
        for system in options.systems:
            result = measure_once(system, case, turn, options)
            if isinstance(result, str):
                missing[system] = result
            else:
                found[system].append(result)
    for system in options.systems:
        for metric, unit in UNITS.items():
            if system in missing:
                yield unavailable(BENCH, case, system, metric, unit, missing[system])
            else:
                yield _line(case, system, metric, unit, found[system])


def _line(case: str, system: str, metric: str, unit: str, results: list[dict[str, Any]]) -> Line:
    values = [float(result[metric]) for result in results]
    line = Line(BENCH, case, system, metric, round(statistics.median(values), 4), unit, len(values))
    spread = (round(min(values), 4), round(max(values), 4))
    return Line(**vars(line) | {"spread": spread, "versions": line.versions | results[0]["versions"]})


def measure(options: Options) -> Iterator[Line]:
    """Yield every line."""
    for case in options.cases:
        yield from case_lines(case, options)


if __name__ == "__main__":
    chosen = tyro.cli(Options, description=__doc__)
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.windows = 1, 0.01, 2000
    for result in measure(chosen):
        show(result, chosen.json)
