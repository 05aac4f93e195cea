"""HDF5 files of any other layout, by a small mapping from datasets to streams.

A pattern names the groups that are episodes with ``{episode}``, one part of a path: ``"{episode}"`` are all groups of
the root, ``"clips/take_{episode}"`` those of ``clips`` whose names begin with ``take_``. All datasets of numbers in
such a group become streams, called by their paths in it. The two motion-capture clips that dm_control ships (their
time is the last axis, their groups state ``dt``) import with ``mapping="{episode}"`` and ``time_axis=-1``.

For single datasets, names, roles and units, a table instead, in YAML or Python::

    joints: {dataset: "{episode}/walkers/walker_0/joints", time_axis: -1, unit: rad}
    root: {dataset: "{episode}/walkers/walker_0/position", time_axis: -1, unit: m, role: privileged}

The rate is the stream's ``rate_hz``, else option ``fps``, else an attribute ``dt`` (seconds), ``fps`` or ``rate_hz``
of the episode's group or of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied_ssl.config_yaml import read_yaml
from embodied_ssl.errors import ConfigError, LogError, nearest
from embodied_ssl.logs.importers.hdf5_file import attributes, datasets, groups, is_numeric, member, num_rows
from embodied_ssl.logs.importers.hdf5_plan import DatasetPlan, EpisodePlan, Plan
from embodied_ssl.logs.importers.options import parsed, rate
from embodied_ssl.logs.importers.safe_paths import read_text
from embodied_ssl.logs.schema import ROLES

KEYS = ("dataset", "time_axis", "role", "rate_hz", "unit")
EPISODE = "{episode}"


@dataclass(frozen=True)
class StreamRule:
    """Where a stream is.

    Attributes:
        group: pattern of the groups that are episodes.
        dataset: path in such a group; empty: all datasets, each a stream of its own.
        time_axis: which axis is time.
        role: of the stream.
        rate_hz: rows a second, None: from elsewhere.
        unit: for people.
    """

    group: str
    dataset: str = ""
    time_axis: int = 0
    role: str = "sensor"
    rate_hz: float | None = None
    unit: str = ""


def read_rules(mapping: Any, time_axis: int) -> dict[str, StreamRule]:
    """Read the option ``mapping``.

    Args:
        mapping: a pattern, a table, or the path of a YAML file with one of them.
        time_axis: what rules use that do not say.

    Returns:
        Rules by stream; for a pattern one rule called ``""``.

    Raises:
        LogError: it is none of these; names the entry.
    """
    if isinstance(mapping, (str, Path)) and str(mapping).endswith((".yaml", ".yml")):
        path = Path(mapping)
        mapping = read_mapping_file(path)
    if isinstance(mapping, str) and mapping.strip().startswith("{") and ":" in mapping:
        mapping = parsed(mapping, "mapping")
    if mapping == {"episode": None}:  # what a command line that reads values as YAML makes of {episode}
        mapping = EPISODE
    if isinstance(mapping, str):
        return {"": StreamRule(_pattern(mapping, "mapping"), time_axis=time_axis)}
    if not isinstance(mapping, Mapping) or not mapping:
        raise LogError(f"option mapping is {mapping!r}, expected a pattern such as {EPISODE!r} or a table of streams")
    return {str(name): _rule(str(name), entry, time_axis) for name, entry in mapping.items()}


def read_mapping_file(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        LogError: it is missing or no YAML.
    """
    try:
        return read_yaml(read_text(path.parent, path), str(path))[0]
    except ConfigError as error:
        raise LogError(str(error)) from None


def _rule(name: str, entry: Any, time_axis: int) -> StreamRule:
    entry = {"dataset": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, Mapping) or not isinstance(entry.get("dataset"), str):
        raise LogError(f"mapping: {name} is {entry!r}, expected dataset: 'path/with/{EPISODE}/in/it'")
    for key in entry:
        if key not in KEYS:
            raise LogError(f"mapping: {name} has an unknown key {key!r}; {nearest(str(key), KEYS)}")
    axis, role = entry.get("time_axis", time_axis), entry.get("role", "sensor")
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise LogError(f"mapping: time_axis of {name} is {axis!r}, expected a whole number, -1 for the last axis")
    if role not in ROLES:
        raise LogError(f"mapping: role of {name} is {role!r}; {nearest(str(role), ROLES)}")
    parts = _pattern(entry["dataset"], name).split("/")
    cut = next(number for number, part in enumerate(parts) if EPISODE in part) + 1
    if cut == len(parts):
        raise LogError(f"mapping: dataset of {name} ends with its episode; expected a path below {EPISODE}")
    hz = rate(entry.get("rate_hz"), f"rate_hz of {name}")
    return StreamRule("/".join(parts[:cut]), "/".join(parts[cut:]), axis, role, hz, str(entry.get("unit", "")))


def _pattern(text: str, name: str) -> str:
    text = text.strip("/")
    if text.count(EPISODE) != 1 or ".." in text.split("/"):
        raise LogError(f"mapping: {name} is {text!r}, expected {EPISODE} once in it")
    return text


def read_plan(file: Any, rules: Mapping[str, StreamRule], fps: float | None) -> Plan:
    """Plan the import.

    Raises:
        LogError: no group fits, there is no rate, or a rule names what is nowhere.
    """
    patterns = sorted({rule.group for rule in rules.values()})
    if len(patterns) > 1:
        raise LogError(f"mapping: all datasets need the same path up to {EPISODE}, these differ: {', '.join(patterns)}")
    notes: list[str] = []
    episodes = [_episode(path, group, rules, fps, notes) for path, group in _matching(file, patterns[0])]
    if not episodes:
        raise LogError(f"{file.filename}: no group fits {patterns[0]!r}; it holds {', '.join(list(file)[:10])}")
    used = {one.stream for episode in episodes for one in episode.datasets}
    for name, rule in rules.items():
        if name and name not in used:
            there = [path for path, _ in datasets(member(file, episodes[0].name))]
            raise LogError(f"mapping: {name}: no episode has {rule.dataset!r}; {nearest(rule.dataset, there)}")
    rates = sorted({one.rate_hz for episode in episodes for one in episode.datasets})
    return Plan(episodes, {"layout": "mapping", "rates_hz": rates, "attributes": attributes(file)}, notes)


def _matching(file: Any, pattern: str) -> Iterator[tuple[str, Any]]:
    *above, last = pattern.split("/")
    holder = member(file, "/".join(above)) if above else file
    if not hasattr(holder, "keys"):
        return
    regex = re.compile(re.escape(last).replace(re.escape(EPISODE), ".+"))
    for name, group in groups(holder):
        if regex.fullmatch(name):
            yield "/".join((*above, name)), group


def _episode(
    path: str, group: Any, rules: Mapping[str, StreamRule], fps: float | None, notes: list[str]
) -> EpisodePlan:
    plans = []
    for name, rule in rules.items():
        found = datasets(group) if not rule.dataset else [(rule.dataset, member(group, rule.dataset))]
        for below, dataset in found:
            note = _why_not(path, below, dataset, rule)
            if note:
                notes.append(note)
                continue
            hz = rule.rate_hz or fps or _stated_rate(group) or _stated_rate(group.file)
            if hz is None:
                raise LogError(
                    f"{group.file.filename}: neither {path} nor the file states a rate (attributes dt, fps, rate_hz); "
                    "give it with option fps"
                )
            plans.append(DatasetPlan(name or below, f"{path}/{below}", rule.role, hz, rule.time_axis, unit=rule.unit))
    return EpisodePlan(path, tuple(plans), {"episode": path, "attributes": attributes(group)})


def _why_not(path: str, below: str, dataset: Any, rule: StreamRule) -> str | None:
    if dataset is None or not hasattr(dataset, "dtype"):
        return f"{path}: has no dataset {below}"
    if not is_numeric(dataset):
        return f"{path}/{below}: holds {dataset.dtype}, no rows of numbers; left out"
    if num_rows(dataset, rule.time_axis) == 0:
        return f"{path}/{below}: has no rows"
    return None


def _stated_rate(group: Any) -> float | None:
    found = attributes(group)
    dt = found.get("dt")
    value = 1 / dt if isinstance(dt, (int, float)) and dt > 0 else found.get("fps", found.get("rate_hz"))
    return float(value) if isinstance(value, (int, float)) and 0 < value <= 1e6 else None
