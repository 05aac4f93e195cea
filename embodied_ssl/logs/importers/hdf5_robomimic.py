"""The robomimic layout of HDF5, after its published description; checked on self-made files.

``data/demo_i`` holds ``obs/*``, ``actions``, ``rewards``, ``dones``, ``states``, all with the same number of rows, and
``mask/*`` lists the demos of a split. Row i is stored at i ticks, but what came of its action (``rewards``, ``dones``)
one tick later, beside the next observation. The rate is ``control_freq`` in the JSON attribute ``data/env_args``.
``next_obs`` repeats ``obs`` one row later and is left out. A demo whose last ``dones`` is not 0 ended as
``terminated``; some files set it at the end of any demo.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.hdf5_file import attributes, check_stored, datasets, groups, is_numeric, member
from embodied_ssl.logs.importers.hdf5_plan import DatasetPlan, EpisodePlan, Plan
from embodied_ssl.logs.importers.safe_paths import parse_json

ROLES = {"actions": "action", "rewards": "reward", "states": "privileged", "dones": "other"}

AFTER_ACTION = ("rewards", "dones")
"""What came of the action of its row."""


def matches(file: Any) -> bool:
    """Whether it is laid out so."""
    data = member(file, "data")
    return hasattr(data, "keys") and any(str(name).startswith("demo") for name in data or ())


def read_plan(file: Any, fps: float | None) -> Plan:
    """Plan the import.

    Args:
        file: the open file.
        fps: rows a second, None: what the file says.

    Raises:
        LogError: there is no rate, or datasets of a demo differ in length.
    """
    data, notes = member(file, "data"), []
    facts = {"env_args": _env_args(data)}
    fps = fps or _control_rate(facts["env_args"])
    if fps is None:
        raise LogError(f"{file.filename}: states no control_freq in data/env_args; give the rate with option fps")
    masks = _masks(file)
    episodes = [
        _episode(name, group, fps, [key for key, demos in masks.items() if name in demos], notes)
        for name, group in groups(data)
        if name.startswith("demo")
    ]
    return Plan(episodes, {"layout": "robomimic", "fps": fps, **facts}, notes)


def _episode(name: str, group: Any, fps: float, splits: list[str], notes: list[str]) -> EpisodePlan:
    plans, lengths = [], {}
    for path, dataset in datasets(group):
        if path.startswith("next_obs/") or not is_numeric(dataset):
            reason = "repeats obs" if path.startswith("next_obs/") else f"holds {dataset.dtype}, no rows of numbers"
            note = f"{path}: {reason}; left out"
            notes.extend([note] if note not in notes else [])
            continue
        lengths[path] = dataset.shape[0]
        plans.append(DatasetPlan(path, f"data/{name}/{path}", role_of(path), fps, delay=path in AFTER_ACTION))
    if len(set(lengths.values())) > 1:
        raise LogError(f"{group.file.filename}: datasets of data/{name} differ in length: {lengths}")
    facts = {"episode": name, "splits": splits, "attributes": attributes(group)}
    facts["attributes"].pop("model_file", None)  # the model, long and the same in every demo
    return EpisodePlan(name, tuple(plans), facts, "terminated" if _last(group, "dones") else "unknown")


def role_of(path: str) -> str:
    """Return the role of a dataset of a demo."""
    return "sensor" if path.startswith("obs/") else ROLES.get(path, "other")


def _last(group: Any, name: str) -> bool:
    dataset = member(group, name)
    if dataset is None or not is_numeric(dataset) or not dataset.shape[0]:
        return False
    check_stored(dataset)
    return bool(np.any(dataset[-1]))


def _env_args(data: Any) -> Any:
    text = data.attrs.get("env_args")
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return parse_json(text, f"{data.file.filename}: data/env_args") if isinstance(text, str) else None


def _control_rate(env_args: Any) -> float | None:
    kwargs = env_args.get("env_kwargs") if isinstance(env_args, dict) else None
    rate = kwargs.get("control_freq") if isinstance(kwargs, dict) else None
    return float(rate) if isinstance(rate, (int, float)) and 0 < rate <= 1e6 else None


def _masks(file: Any) -> dict[str, set[str]]:
    mask = member(file, "mask")
    found = {}
    for name, dataset in datasets(mask) if hasattr(mask, "keys") else ():
        if len(dataset.shape) == 1 and dataset.shape[0] <= 10_000_000 and dataset.dtype.kind in "SO":
            check_stored(dataset)
            found[name] = {one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in dataset[:]}
    return found
