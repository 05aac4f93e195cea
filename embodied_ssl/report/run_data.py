"""Everything a run folder holds for its report, read once; what is missing or damaged is listed, never fatal."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

Array = NDArray[np.float64]


class NotRecordedError(LookupError):
    """A figure has nothing to show; the text says which record is missing."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; NaN where unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def read(cls, record: object) -> Estimate:
        """Read a number, a `{"mean"|"median"|"value", "interval": [low, high]}` or a `[value, low, high]`."""
        if isinstance(record, dict):
            value = next((record[k] for k in ("mean", "median", "value", "iqm") if k in record), None)
            low, high = record.get("interval") or (record.get("low"), record.get("high"))
            return cls(_number(value), _number(low), _number(high))
        if isinstance(record, list | tuple):
            return cls(*(_number(v) for v in record[:3]))
        return cls(_number(record))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


@dataclass(frozen=True)
class RunData:
    """The records of a run.

    Attributes:
        name: name of the run folder.
        config: parsed `config.yaml`; {} when missing.
        config_text: the same file as written.
        rows: the rows of `metrics.jsonl`.
        summary: `summary.json`.
        evaluation: `evaluation.json`.
        arrays: `evaluation.safetensors`.
        problems: one line for each file that is missing or damaged.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield the metric rows of a kind, in file order."""
        return (row for row in self.rows if row.get("kind") == kind)

    def keys(self, kind: str) -> list[str]:
        """Return the numeric keys of a kind, in order of first appearance."""
        fixed = {"wall_s", "env_steps", "updates"} if kind != "loop" else {"wall_s"}
        found = {k: None for row in self.of_kind(kind) for k, v in row.items() if not math.isnan(_number(v))}
        return [k for k in found if k not in fixed and k != "kind"]

    def curve(self, kind: str, key: str, x: str = "updates") -> tuple[Array, Array]:
        """Return one metric against `x`, in rising `x`.

        Args:
            kind: kind of row.
            key: name of the metric.
            x: `updates`, `env_steps` or `wall_s`.

        Returns:
            `(x, y)`, each of shape (n,); n is 0 where nothing was recorded. Values may be NaN, places not.
        """
        pairs = [(_number(row.get(x)), _number(row[key])) for row in self.of_kind(kind) if key in row]
        table = np.array([p for p in pairs if math.isfinite(p[0])], dtype=np.float64).reshape(-1, 2)
        table = table[np.argsort(table[:, 0], kind="stable")]
        return table[:, 0], table[:, 1]

    def last(self, kind: str, key: str) -> Any:
        """Return the newest value of a metric, of any type; None when it was never recorded."""
        values = [row[key] for row in self.of_kind(kind) if key in row]
        return values[-1] if values else None

    def return_of(self, arm: str) -> Estimate:
        """Return the mean return of `policy` or `random`, with its interval where the evaluation has one."""
        for source in (self.evaluation, self.summary):
            record = source.get("return")
            if isinstance(record, dict) and arm in record:
                return Estimate.read(record[arm])
        return Estimate(math.nan)

    def setting(self, path: str) -> Any:
        """Return a config value by its dotted path; None when absent."""
        node: Any = self.config
        for part in path.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node


def read_run(path: Path) -> RunData:
    """Read what a run folder holds.

    Args:
        path: the run folder.

    Returns:
        The records, with a line in `problems` for each file that could not be used.
    """
    problems: list[str] = []
    text = _read(path / "config.yaml", Path.read_text, problems) or ""
    config = _read(path / "config.yaml", lambda p: yaml.safe_load(p.read_text()), problems if text else [])
    lines = (_read(path / "metrics.jsonl", Path.read_text, problems) or "").splitlines()
    rows = [row for row in map(_row, lines) if row is not None]
    if len(rows) < len(lines):
        problems.append(f"metrics.jsonl: {len(lines) - len(rows)} of {len(lines)} lines could not be read")
    summary, evaluation = (_read(path / f"{n}.json", _json, problems) for n in ("summary", "evaluation"))
    arrays = _read(path / "evaluation.safetensors", load_file, problems)
    tables = (_table(config), text, rows, _table(summary), _table(evaluation), _table(arrays))
    return RunData(path.name, *tables, tuple(problems))


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _row(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _read(path: Path, reader: Any, problems: list[str]) -> Any:
    try:
        return reader(path)
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
    except (OSError, ValueError, yaml.YAMLError, SafetensorError) as error:
        problems.append(f"{path.name} could not be read: {str(error).splitlines()[0] if str(error) else 'damaged'}")
    return None


def by_place(x: Array, y: Array, bins: int) -> tuple[Array, Array, Array, Array]:
    """Summarise scattered values like `smooth`, in groups of equal width, so that values at one place stay together."""
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if not len(x):
        return x, y, y, y
    width, starts = max(x[-1] - x[0], 1e-9) / bins, [x[0]]
    for place in x:
        if place - starts[-1] >= width:
            starts.append(place)
    group = np.searchsorted(starts, x, side="right")
    stats = [(x[group == g].mean(), *np.quantile(y[group == g], (0.5, 0.1, 0.9))) for g in np.unique(group)]
    places, middle, low, high = np.array(stats, dtype=np.float64).T
    return places, middle, low, high


def smooth(x: Array, y: Array, bins: int = 120) -> tuple[Array, Array, Array, Array]:
    """Shorten a long curve: median and 10 to 90 % band of equal groups of neighbours.

    Args:
        x: places, rising, shape (n,).
        y: values, shape (n,); NaN is left out.
        bins: groups at most.

    Returns:
        `(x, median, low, high)`, each of shape (min(n, bins),).
    """
    keep = np.isfinite(y)
    x, y = x[keep], y[keep]
    parts = [p for p in np.array_split(np.arange(len(x)), min(bins, max(len(x), 1))) if len(p)]
    stats = [(x[p].mean(), *np.quantile(y[p], (0.5, 0.1, 0.9))) for p in parts]
    table = np.array(stats, dtype=np.float64).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]
