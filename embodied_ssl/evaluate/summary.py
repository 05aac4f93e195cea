"""The headline figures of an evaluation, as `summary.json` keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def summary_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headline figures of an evaluation record, plain numbers, as ``summary.json`` keeps them."""
    skill = record["skill"]
    by_change = skill.get("by_change", {})
    headline = skill.get("clean") or skill.get("noisy") or {"median": {}}
    probes = record["probes"]
    return {
        "effective_rank": record["effective_rank"],
        "forward_skill": headline["median"],
        "forward_skill_by_change": (by_change.get("clean") or by_change.get("noisy") or {"median": {}})["median"],
        "forward_skill_by_change_over_persistence": by_change.get("over_persistence", {"median": {}})["median"],
        "forward_skill_over_persistence": skill.get("over_persistence", {"median": {}})["median"],
        "probe_r2": {count: {name: score["mean"] for name, score in row.items()} for count, row in probes.items()},
        "probe_r2_per_target": {
            count: {name: score["targets"] for name, score in row.items()} for count, row in probes.items()
        },
        "return": {name: arm["mean"] for name, arm in record["return"].items()},
        "camera_backend": record["camera_backend"],
        "probe_set_sha256": record["probe_set"]["sha256"],
        "evaluation_s": record["wall_s"],
    }


def finite(value: Any) -> Any:
    """Return ``value`` with None for numbers that JSON has not."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
