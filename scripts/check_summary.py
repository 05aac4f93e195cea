"""Check that a run left a whole summary: python scripts/check_summary.py runs/NAME/summary.json."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

POSITIVE = ("env_steps", "updates", "agent_updates", "env_steps_per_s", "updates_per_s", "effective_rank")
PRESENT = ("forward_skill_over_persistence", "camera_backend", "versions", "seed")
LABELS = ("64", "256", "1024", "all")
SYSTEMS = ("learned", "frozen_random", "raw_tick", "raw_window", "raw_window_pca", "supervised")


def problems(summary: dict[str, Any]) -> Iterator[str]:
    """Yield what is missing or impossible in a summary, one sentence each."""
    for key in POSITIVE:
        if not (_number(summary.get(key)) and summary[key] > 0):
            yield f"{key} is {summary.get(key)!r}, expected a positive number"
    for key in PRESENT:
        if summary.get(key) is None:
            yield f"{key} is missing"
    if not summary.get("forward_skill"):
        yield "forward_skill is missing"
    for labels in LABELS:
        for system in SYSTEMS:
            value = summary.get("probe_r2", {}).get(labels, {}).get(system)
            if not _number(value):
                yield f"probe_r2.{labels}.{system} is {value!r}, expected a number"
    for arm in ("policy", "random"):
        if not _number(summary.get("return", {}).get(arm)):
            yield f"return.{arm} is {summary.get('return', {}).get(arm)!r}, expected a number"


def _number(value: Any) -> bool:
    value = value.get("mean") if isinstance(value, dict) else value
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def main() -> int:
    """Print the problems of the summary named on the command line; return 1 if there are any."""
    path = Path(sys.argv[1])
    found = list(problems(json.loads(path.read_text(encoding="utf-8"))))
    print("\n".join(found) or f"{path.name} is whole")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
