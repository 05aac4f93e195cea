"""What a run remembers of its logs: enough to tell that they are the same, and what became of their packets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.sources.logged_ticks import LoggedTicks

Identity = Mapping[str, Any]

HARMLESS = ("received", "in_order", "delivered", "superseded", "missing_is_estimate")
"""Counts of what is in order."""


def identities(logs: LogSet) -> list[dict[str, Any]]:
    """Return per log, JSON-able, what the split stands on: a log that has grown or was replaced has another one."""
    return [_identity(logs, number, logged) for number, logged in enumerate(logs.logs)]


def _identity(logs: LogSet, number: int, logged: LoggedTicks) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps(logged.spec.to_json(), sort_keys=True).encode())
    for stretches in (logs.learned, logs.held_out):
        digest.update(json.dumps([[s.lane, s.start, s.stop] for s in stretches if s.log == number]).encode())
    for lane in logged.lanes:
        digest.update(lane.time_ns.astype("<i8").tobytes() + lane.is_first.tobytes())
    rows = {name: logged.log.num_rows(name) for name in logged.log.streams}
    return {"path": str(logged.log.path), "rows": rows, "split": digest.hexdigest()}


def check_identities(logs: LogSet, known: Sequence[Identity]) -> None:
    """Refuse logs that are not those of ``known``: what was held out may have been learned, and the other way round.

    Args:
        logs: as they are now.
        known: `identities` of the logs that a run learned from.

    Raises:
        LogError: naming the log and what to do.
    """
    if len(known) != len(logs.logs):
        raise LogError(f"the run learned from {len(known)} logs, there are {len(logs.logs)} now; give it the same ones")
    for was, now in zip(known, identities(logs), strict=True):
        if was["rows"] != now["rows"]:
            raise LogError(
                f"{now['path']} has {_rows(now)} rows, but {_rows(was)} when the run learned from it, so other ticks "
                "would be held out; put the log back as it was, or pretrain anew"
            )
        if was["split"] != now["split"]:
            raise LogError(
                f"{now['path']} gives other ticks or holds out others than when the run learned from it; put back the "
                "log, and the settings of log, encoder.context_ticks and learner.horizon_ticks, or pretrain anew"
            )


def _rows(identity: Identity) -> str:
    return f"{sum(identity['rows'].values()):,}"


def log_facts(logs: LogSet) -> dict[str, Any]:
    """Return, JSON-able and by log, what became of packets (counts that are not 0) and what actions are scaled by."""
    counted = {str(logged.log.path): _counted(logged) for logged in logs.logs if logged.counts}
    bounds = {str(logged.log.path): logged.bounds.to_json() for logged in logs.logs if logged.bounds is not None}
    return {"packets": counted, "action_bounds": bounds}


def _counted(logged: LoggedTicks) -> dict[str, dict[str, Any]]:
    return {name: {k: v for k, v in asdict(counts).items() if v} for name, counts in logged.counts.items()}


def packet_notes(logs: LogSet) -> list[str]:
    """Return a line for every stream of packets of which not all was in order."""
    notes = []
    for logged in logs.logs:
        for name, counts in _counted(logged).items():
            odd = ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in counts.items() if k not in HARMLESS)
            if odd:
                notes.append(f"{logged.log.path}: packets of {name!r}: {counts['received']:,} received, of them {odd}")
    return notes
