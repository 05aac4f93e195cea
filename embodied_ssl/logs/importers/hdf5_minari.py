"""The Minari layout of HDF5, after its published dataset standard; checked on self-made files.

``episode_i`` holds ``observations`` (one row more than steps; a dataset, or groups of them), ``actions``, ``rewards``,
``terminations``, ``truncations`` and ``infos``. Observation i is at i ticks, action i beside the observation it was
chosen from, and what came of it (reward, termination, truncation) one tick later, beside the next observation. The
format states no rate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.hdf5_file import attributes, check_stored, datasets, groups, is_numeric, member
from embodied_ssl.logs.importers.hdf5_plan import DatasetPlan, EpisodePlan, Plan

ROLES = {"observations": "sensor", "actions": "action", "rewards": "reward", "infos": "privileged"}
"""By the first part of the path; ``infos`` hold simulators' truths, only ever probe targets."""


def matches(file: Any) -> bool:
    """Whether it is laid out so."""
    return any(_is_episode(name, group) for name, group in groups(file))


def _is_episode(name: str, group: Any) -> bool:
    return name.startswith("episode_") and "observations" in group and "actions" in group


def read_plan(file: Any, fps: float | None) -> Plan:
    """Plan the import.

    Args:
        file: the open file.
        fps: steps a second.

    Raises:
        LogError: no rate is given, or lengths do not fit each other.
    """
    if fps is None:
        raise LogError(f"{file.filename}: the Minari layout states no rate; give it with option fps")
    notes: list[str] = []
    episodes = [_episode(name, group, fps, notes) for name, group in groups(file) if _is_episode(name, group)]
    return Plan(episodes, {"layout": "minari", "fps": fps, "attributes": attributes(file)}, notes)


def _episode(name: str, group: Any, fps: float, notes: list[str]) -> EpisodePlan:
    found = dict(datasets(group))
    steps = _steps(group, found)
    plans = []
    for path, dataset in found.items():
        if not is_numeric(dataset):
            note = f"{path}: holds {dataset.dtype}, no rows of numbers; left out"
            notes.extend([note] if note not in notes else [])
            continue
        kind = path.split("/")[0]
        delay = _delay(group, path, kind, dataset.shape[0], steps)
        plans.append(DatasetPlan(path, f"{name}/{path}", ROLES.get(kind, "other"), fps, delay=delay))
    facts = {"episode": name, "steps": steps, "attributes": attributes(group)}
    return EpisodePlan(name, tuple(plans), facts, _end_kind(group))


def _steps(group: Any, found: dict[str, Any]) -> int:
    lengths = {dataset.shape[0] for path, dataset in found.items() if path.split("/")[0] == "actions" and dataset.shape}
    if len(lengths) != 1:
        raise LogError(f"{group.file.filename}:{group.name}: actions have {sorted(lengths)} rows, expected one length")
    return lengths.pop()


def _delay(group: Any, path: str, kind: str, rows: int, steps: int) -> int:
    """Return how many ticks after the start row 0 is, from which lengths are legal for it."""
    legal = {"observations": {steps + 1: 0}, "actions": {steps: 0}, "infos": {steps + 1: 0, steps: 1}}
    delays = legal.get(kind, {steps: 1})
    if rows not in delays:
        raise LogError(
            f"{group.file.filename}:{group.name}/{path}: {rows} rows, expected {min(delays)} "
            f"for an episode of {steps} steps"
        )
    return delays[rows]


def _end_kind(group: Any) -> str:
    kinds = []
    for kind in ("terminated", "truncated"):
        flags = member(group, {"terminated": "terminations", "truncated": "truncations"}[kind])
        if flags is not None and is_numeric(flags) and flags.shape[0]:
            check_stored(flags)
            kinds += [kind] if np.any(flags[-1]) else []
    return "+".join(kinds) or "unknown"
