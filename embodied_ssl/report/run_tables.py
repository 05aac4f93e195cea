"""Tables of runs on the terminal: the one a run closes with, and the one that compares runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table

from embodied_ssl.errors import RunError
from embodied_ssl.run_folder import RunFolder

SYSTEMS = ("learned", "frozen_random", "raw_tick", "raw_window", "raw_window_pca", "supervised")
"""Columns of the probe table: the encoder, the nulls, the ceiling."""

FACTS = {
    "learned from": ("source",),
    "environment steps": ("env_steps",),
    "steps/s": ("env_steps_per_s",),
    "updates": ("updates",),
    "updates/s": ("updates_per_s",),
    "agent updates": ("agent_updates",),
    "effective rank": ("effective_rank",),
    "return, policy": ("return", "policy"),
    "return, random actions": ("return", "random"),
    "camera back end": ("camera_backend",),
}
"""Single figures of the closing table, by their place in ``summary.json``."""

COMPARED = {
    "learned from": ("source",),
    "env steps": ("env_steps",),
    "updates": ("updates",),
    "skill@5": ("forward_skill", "5"),
    "rank": ("effective_rank",),
    "R2@64": ("probe_r2", "64", "learned"),
    "random R2@64": ("probe_r2", "64", "frozen_random"),
    "R2@all": ("probe_r2", "all", "learned"),
    "return": ("return", "policy"),
    "random": ("return", "random"),
    "camera": ("camera_backend",),
}
"""Columns of the comparison, by their place in ``summary.json``."""


def closing_table(summary: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what a run came to: speeds, forward skill, returns, and probes by number of labels beside their nulls.

    Args:
        summary: contents of ``summary.json``; what it lacks (evaluation off) is left out or shown as a dash.
        console: where to print, standard output by default.
    """
    parts = [_facts(summary), _skill(summary), _probes(summary)]
    (console or Console()).print(Group(*(part for part in parts if part.row_count)))


def comparison(runs: Iterable[RunFolder]) -> Table:
    """Return a table with a row for each run and the figures of `COMPARED`; a dash for what a run does not have."""
    table = Table(title="runs", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("run", *COMPARED):
        table.add_column(column, justify="left" if column in ("run", "learned from", "camera") else "right")
    for run in runs:
        try:
            summary = run.summary()
        except RunError:
            summary = {}
        table.add_row(str(run.path), *(_text(_dig(summary, path)) for path in COMPARED.values()))
    return table


def _facts(summary: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, title="run", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for label, path in FACTS.items():
        text = _text(_dig(summary, path))
        if text != "-":
            table.add_row(label, text)
    return table


_SKILLS = {
    "over best simple predictor": "forward_skill",
    "over persistence": "forward_skill_over_persistence",
    "by change, over best": "forward_skill_by_change",
    "by change, over persistence": "forward_skill_by_change_over_persistence",
}


def _skill(summary: Mapping[str, Any]) -> Table:
    columns = {name: key for name, key in _SKILLS.items() if summary.get(key)}
    table = Table(title="forward skill, median over sensors", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("ticks ahead")
    for name in columns:
        table.add_column(name, justify="right")
    for horizon in sorted(summary.get("forward_skill") or {}, key=_as_number):
        table.add_row(str(horizon), *(_text(_dig(summary[key], (horizon,))) for key in columns.values()))
    return table


def _probes(summary: Mapping[str, Any]) -> Table:
    probes = summary.get("probe_r2") or {}
    table = Table(
        title="probe R2 by number of labels, mean over groups", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("labels")
    for system in SYSTEMS:
        words = system.split("_")
        table.add_column(" ".join(words), justify="right", min_width=max(map(len, words)))
    for labels in sorted(probes, key=_as_number):
        table.add_row(str(labels), *(_text(_dig(probes, (labels, system))) for system in SYSTEMS))
    return table


def _as_number(key: object) -> float:
    return float(str(key)) if str(key).isdigit() else math.inf


def _dig(record: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at ``path`` inside nested dicts, None where one is missing."""
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    return record


def _text(value: Any) -> str:
    """Return a figure for people; a record with ``mean`` (and ``low``, ``high``) is shown with its interval."""
    if isinstance(value, Mapping):
        low, high = value.get("low"), value.get("high")
        interval = "" if low is None or high is None else f" [{_text(low)}, {_text(high)}]"
        return _text(value.get("mean")) + interval
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"
