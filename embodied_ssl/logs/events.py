"""What the commit record says beside rows: episodes that begin and end, and notes for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied_ssl.logs.schema import Episode

_TEXT = {"note"}


def check_events(events: Sequence[Any]) -> None:
    """Raise ValueError, TypeError or LogError for an event that could not be read later."""
    for kind, *fields in events:
        if kind in _TEXT:
            if len(fields) != 1 or not isinstance(fields[0], str):
                raise TypeError("a note")
            continue
        lane, t_ns, tick, facts, *end_kind = fields
        if kind not in ("begin", "end") or not all(type(number) is int for number in (lane, t_ns, tick)):
            raise ValueError(f"event {kind!r}")
        if not isinstance(facts, dict) or len(end_kind) != (kind == "end"):
            raise TypeError(f"event {kind!r}")
        Episode(lane, t_ns, end_kind=end_kind[0] if end_kind else "open")


def episodes_of(events: Sequence[list[Any]]) -> list[Episode]:
    """Return the episodes in the order in which they began; one that was never closed has kind ``open``."""
    episodes: list[Episode] = []
    running: dict[int, int] = {}
    for kind, *fields in events:
        if kind in _TEXT:
            continue
        lane, t_ns, tick, facts, *end_kind = fields
        if kind == "begin":
            running[lane] = len(episodes)
            episodes.append(Episode(lane, t_ns, start_tick=tick, facts=facts))
        elif lane in running:
            number = running.pop(lane)
            begun = episodes[number]
            facts = {**begun.facts, **facts}
            episodes[number] = Episode(lane, begun.start_ns, t_ns, end_kind[0], begun.start_tick, tick, facts)
    return episodes


def notes_of(events: Sequence[list[Any]]) -> list[str]:
    """Return the notes in order."""
    return [event[1] for event in events if event[0] == "note"]
