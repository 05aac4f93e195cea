"""Write benchmark lines as tables.

    python scripts/bench/sim.py --json > docs/results/bench_sim.jsonl
    python scripts/bench/render.py --json > docs/results/bench_render.jsonl
    python scripts/bench/table.py            # docs/results/bench_*.jsonl -> docs/results/benchmarks.md

Every figure of another system has beside it how many times it ours is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
PAGE = RESULTS / "benchmarks.md"
OURS = "ours"

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """Return the lines of one benchmark."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def section(records: list[Record]) -> list[str]:
    """Return one benchmark's table: a row a case and system, and how many times its figure ours is."""
    metrics = list(dict.fromkeys(record["metric"] for record in records))
    cells = {(r["case"], r["system"], r["metric"]): r for r in records}
    rows = list(dict.fromkeys((r["case"], r["system"]) for r in records))
    lines = [
        f"## {records[0]['bench']}",
        f"{records[0]['machine']}; medians of {_rounds(records)} rounds, all systems of a case by turns.",
        "",
        "| case | system | " + " | ".join(f"{metric} | ours / this" for metric in metrics) + " |",
        "|---|---|" + "---:|---:|" * len(metrics),
    ]
    for case, system in rows:
        values = [_cells(cells, case, system, metric) for metric in metrics]
        lines.append(f"| {case} | {system} | " + " | ".join(values) + " |")
    reasons = dict.fromkeys(f"{r['system']}: {r['reason']}" for r in records if r["value"] is None)
    return [*lines, "", *(f"- not measured: {reason}" for reason in reasons), ""]


def _rounds(records: list[Record]) -> int:
    return max(record["repeats"] for record in records)


def _cells(cells: dict[tuple, Record], case: str, system: str, metric: str) -> str:
    value = (cells.get((case, system, metric)) or {}).get("value")
    if value is None:
        return "- | -"
    ours = (cells.get((case, _counterpart(cells, case, system, metric), metric)) or {}).get("value")
    ratio = f"{ours / value:.2f}" if ours and value and not system.startswith(OURS) else ""
    return f"{value:,.3g} | {ratio}" if abs(value) < 10 else f"{value:,.1f} | {ratio}"


def _counterpart(cells: dict[tuple, Record], case: str, system: str, metric: str) -> str:
    """Return which of our systems to compare with: the one under the same fsync policy, or the only one measured."""
    alike = f"{OURS}_fsync" if system.endswith("_fsync") else OURS
    if (case, alike, metric) in cells:
        return alike
    return next((name for c, name, m in cells if (c, m) == (case, metric) and name.startswith(OURS)), OURS)


def main() -> None:
    """Write the page."""
    lines = ["<!-- written by scripts/bench/table.py; do not edit -->", "# Benchmarks", ""]
    for path in sorted(RESULTS.glob("bench_*.jsonl")):
        lines += section(read(path))
    PAGE.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
