"""The tables of a LeRobot dataset: which files there are, which episodes they hold, which columns become streams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.lerobot_columns import Column, describe
from embodied_ssl.logs.importers.lerobot_layout import BOOKKEEPING, Layout, declared_shape
from embodied_ssl.logs.importers.lerobot_parquet import EpisodeRows, inventory, open_parquet
from embodied_ssl.logs.importers.natural_order import natural_key
from embodied_ssl.logs.importers.safe_paths import inside

_EPISODE_FILE = re.compile(r"episode_(\d+)\.parquet")


@dataclass(frozen=True)
class Tables:
    """The rows that are imported.

    Attributes:
        rows: the episodes, in the order of files and of rows in them.
        columns: those that become streams, by name.
        names: by file, the names of its columns.
        notes: oddities found.
    """

    rows: Sequence[EpisodeRows]
    columns: dict[str, Column]
    names: dict[Path, list[str]]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, layout: Layout, episodes: Sequence[int] | None) -> Tables:
        """Look through all tables; of their data only the column ``episode_index`` is read.

        Raises:
            LogError: a file is damaged, files contradict each other, or a wanted episode is not there.
        """
        files = _files(layout)
        schemas = {path: _schema(path) for path in files}
        notes: list[str] = []
        columns = _columns(layout, schemas, notes)
        found = _inventories(layout, files)
        notes += _missing(layout, found) + _lengths(layout, found.values())
        rows = [one for one in found.values() if episodes is None or one.episode in episodes]
        absent = sorted(set(episodes or ()) - set(found))
        if absent or not rows:
            there = _ranges(found) or "none"
            first = absent[0] if absent else 0
            raise LogError(f"{layout.root}: no rows of episode {first}; episodes with rows: {there}")
        return cls(rows, columns, {path: schema.names for path, schema in schemas.items()}, notes)

    @property
    def num_rows(self) -> int:
        """Rows of all wanted episodes."""
        return sum(one.count for one in self.rows)

    def to_read(self, path: Path, pictures: Sequence[str]) -> list[str]:
        """Return the columns of a file that are needed."""
        needed = {*BOOKKEEPING, *self.columns, *pictures}
        return [name for name in self.names[path] if name in needed]


def _files(layout: Layout) -> list[Path]:
    folder = str(layout.info.get("data_path") or "data/").split("/")[0]
    inside(layout.root, layout.root / folder)
    files = sorted((layout.root / folder).rglob("*.parquet"), key=lambda path: natural_key(str(path)))
    if not files:
        raise LogError(f"{layout.root / folder}: holds no parquet file")
    return [inside(layout.root, path) for path in files]


def _schema(path: Path) -> Any:
    with open_parquet(path) as file:
        return file.schema_arrow


def _inventories(layout: Layout, files: Iterable[Path]) -> dict[int, EpisodeRows]:
    found: dict[int, EpisodeRows] = {}
    for path in files:
        rows = inventory(path)
        named = None if layout.many else _EPISODE_FILE.fullmatch(path.name)
        if named and len(rows) == 1 and rows[0].episode != int(named[1]):
            raise LogError(f"{path}: holds episode {rows[0].episode}, not the one in its name")
        for one in rows:
            if one.episode in found:
                raise LogError(f"{path}: rows of episode {one.episode} are also in {found[one.episode].path.name}")
            found[one.episode] = one
    return found


def _columns(layout: Layout, schemas: dict[Path, Any], notes: list[str]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for path, schema in schemas.items():
        for name in schema.names:
            if name in BOOKKEEPING or name in layout.cameras:
                continue
            shape = declared_shape(layout.features.get(name, {}), name)
            column = describe(name, schema.field(name).type, shape)
            if isinstance(column, str):
                notes.extend([column] if column not in notes else [])
            elif name in columns and columns[name].shape != column.shape:
                raise LogError(f"{path}: {name} has rows of {column.shape}, other files of {columns[name].shape}")
            else:
                columns[name] = columns[name].widened(column) if name in columns else column
    for path, schema in schemas.items():
        lacking = sorted(set(columns) - set(schema.names))
        if lacking:
            raise LogError(f"{path}: has no column {lacking[0]}, which other files of the dataset have")
    notes += _against_info(layout, columns)
    return columns


def _against_info(layout: Layout, columns: dict[str, Column]) -> list[str]:
    notes = []
    for name, feature in layout.features.items():
        if name in columns:
            says, column = f"{feature.get('dtype')} {declared_shape(feature, name)}", columns[name]
            holds = f"{column.dtype} {column.shape}"
            if says != holds:
                notes.append(f"{name}: info.json says {says}, the tables hold {holds}")
        elif name not in BOOKKEEPING and name not in layout.cameras:
            notes.append(f"{name}: is in info.json, but no stream could be made of it")
    return notes


def _missing(layout: Layout, found: dict[int, EpisodeRows]) -> list[str]:
    notes = []
    total = layout.info.get("total_episodes") or 0
    if type(total) is not int:
        notes.append(f"info.json: total_episodes is {total!r}, no whole number")
        total = 0
    told = {*layout.episodes, *range(min(total, 1_000_000))}
    absent, unknown = told - set(found), set(found) - set(layout.episodes)
    if absent:
        notes.append(f"meta counts {len(told)} episodes, {len(found)} have rows; without rows: {_ranges(absent)}")
    if unknown:
        notes.append(f"episodes with rows that meta does not list: {_ranges(unknown)}")
    return notes


def _lengths(layout: Layout, found: Iterable[EpisodeRows]) -> list[str]:
    notes = []
    for one in found:
        meta = layout.episodes.get(one.episode)
        if meta and meta.length is not None and meta.length != one.count:
            notes.append(f"episode {one.episode}: meta says {meta.length} rows, the table holds {one.count}")
    return notes


def _ranges(numbers: Iterable[int]) -> str:
    """Return ``0-28, 31`` for people."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans[:20])
    return shown + (", ..." if len(spans) > 20 else "")
