"""Tables of the report as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embodied_ssl.report.axes import number_text
from embodied_ssl.report.drawing import text_safe
from embodied_ssl.report.figures_evaluation import (
    encoders_of,
    label_of,
    probe_records,
    skill_at,
    skill_records,
    targets_of,
)
from embodied_ssl.report.run_data import Estimate, RunData


def html_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column names the rows; cells are escaped here."""
    head = "".join(f'<th scope="col">{text_safe(h)}</th>' for h in header)
    lines = [
        f'<tr><th scope="row">{text_safe(row[0])}</th>' + "".join(f"<td>{text_safe(c)}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    ]
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table><caption>{text_safe(title)}</caption>{body}</table></div>'


def estimate_text(estimate: Estimate, digits: int = 2) -> str:
    """Return `0.41 [0.38, 0.44]`, without brackets where there is no interval, a dash where there is no number."""
    if not np.isfinite(estimate.value):
        return "\N{EN DASH}"
    text = f"{estimate.value:.{digits}f}"
    if np.isfinite(estimate.low) and np.isfinite(estimate.high):
        text += f" [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
    return text.replace("-", "\N{MINUS SIGN}")


def probe_table(run: RunData) -> str:
    """Return probe R2 of every encoder at every number of labels; a small network's beside the ridge's if measured."""
    records = probe_records(run)
    networks = [count for count, row in records.items() if any("mlp" in r for r in row.values() if isinstance(r, dict))]
    header = ["encoder", *records, *(f"{count}, small network" for count in networks)]
    rows = []
    for name in encoders_of(records):
        scores = [row.get(name) for row in records.values()]
        beside = [(records[count].get(name) or {}).get("mlp") for count in networks]
        rows.append([label_of(name), *(estimate_text(Estimate.read(s)) for s in (*scores, *beside))])
    return html_table("Probe R2 by number of labels, 95 % interval", header, rows)


def target_table(run: RunData) -> str:
    """Return probe R2 of every group and target at the fewest and at the most labels."""
    records = probe_records(run)
    return "".join(
        _targets_at(run, records, count) for count in dict.fromkeys((next(iter(records)), list(records)[-1]))
    )


def _targets_at(run: RunData, records: dict[str, dict[str, Any]], count: str) -> str:
    found = {name: record for name, record in records[count].items() if targets_of(record)}
    if not found:
        return ""
    averaged = run.evaluation.get("probe_groups_averaged") or []
    rows = []
    for group in dict.fromkeys(g for record in found.values() for g in record.get("groups") or {}):
        note = "mean" if group in averaged or not averaged else "mean, reported only"
        rows.append([f"{group} ({note})", *(_cell(record.get("groups"), group) for record in found.values())])
    for target in dict.fromkeys(t for record in found.values() for t in targets_of(record)):
        rows.append([target, *(_cell(targets_of(record), target) for record in found.values())])
    return html_table(f"Probe R2 of groups and targets, {count} labels", ["", *map(label_of, found)], rows)


def _cell(scores: object, name: str) -> str:
    return estimate_text(Estimate.read(scores.get(name) if isinstance(scores, dict) else None))


def skill_table(run: RunData) -> str:
    """Return forward skill of every sensor, with the simple predictor it was judged against."""
    parts = []
    for name, record in skill_records(run).items():
        if name == "over_persistence" or not isinstance(sensors := record.get("sensors"), dict):
            continue
        horizons = list(record["median"])
        best = record.get("baselines") or {}
        rows = [[s, *(_skill_cell(by.get(h), best.get(s, {}).get(h)) for h in horizons)] for s, by in sensors.items()]
        title = f"Forward skill of every sensor, {name.replace('_', ' ')} readings (reference it was judged against)"
        parts.append(html_table(title, ["sensor", *(f"{h} ticks" for h in horizons)], rows))
    return "".join(parts)


def _skill_cell(value: object, reference: object) -> str:
    text = estimate_text(skill_at(value, None))
    return f"{text} ({str(reference).replace('_', ' ')})" if reference else text


def key_figures(run: RunData) -> list[tuple[str, str]]:
    """Return names and values of the strip at the top; what the run did not record is left out."""
    s = run.summary
    last_loop = {k: run.last("loop", k) for k in ("env_steps_per_s", "updates_per_s", "rss_mb")}
    wanted = {
        "learned from": s.get("source"),
        "env steps": s.get("env_steps"),
        "SSL updates": s.get("updates"),
        "agent updates": s.get("agent_updates"),
        "env steps / s": s.get("env_steps_per_s", last_loop["env_steps_per_s"]),
        "updates / s": s.get("updates_per_s", last_loop["updates_per_s"]),
        "effective rank": s.get("effective_rank", run.last("health", "effective_rank")),
        "bad updates": s.get("bad_updates", run.last("health", "bad_updates")),
        "memory, MB": last_loop["rss_mb"],
        "camera": s.get("camera_backend"),
        "seed": s.get("seed", run.setting("seed")),
    }
    return [(name, _figure_text(value)) for name, value in wanted.items() if value is not None]


def _figure_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else number_text(value, 3)


def versions_text(run: RunData) -> str:
    """Return the versions the run was made with, as one line."""
    versions = run.summary.get("versions")
    if not isinstance(versions, dict):
        return str(versions or "")
    return " \N{MIDDLE DOT} ".join(f"{name} {version}" for name, version in versions.items())
