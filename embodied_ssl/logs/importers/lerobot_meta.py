"""Reads the episodes and tasks of a LeRobot dataset: JSON lines in v2.x, parquet in v3.0."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.lerobot_layout import EpisodeMeta, Layout, read_info
from embodied_ssl.logs.importers.lerobot_parquet import open_parquet
from embodied_ssl.logs.importers.safe_paths import inside, parse_json, read_text


def read_layout(root: Path) -> Layout:
    """Read ``meta``; the files that are there decide between v2 and v3, not the declared version.

    Raises:
        LogError: it is damaged or of another version.
    """
    info = read_info(root)
    many = (root / "meta" / "episodes").is_dir()
    if not many and not (root / "meta" / "episodes.jsonl").is_file():
        raise LogError(f"{root / 'meta'}: has neither episodes.jsonl (v2) nor episodes/ (v3)")
    notes = []
    if many != str(info["codebase_version"]).startswith("v3"):
        notes.append(f"info.json says {info['codebase_version']}, the files are those of v{3 if many else 2}")
    tasks = _tasks_v3(root) if many else _tasks_v2(root)
    episodes = _episodes_v3(root) if many else _episodes_v2(root)
    return Layout(root, info, float(info["fps"]), info["features"], episodes, tasks, many, notes)


def _json_lines(root: Path, path: Path) -> list[dict[str, Any]]:
    lines = [line for line in read_text(root, path).splitlines() if line.strip()]
    records = [parse_json(line, f"{path}:{number + 1}") for number, line in enumerate(lines)]
    if not all(isinstance(record, dict) for record in records):
        raise LogError(f"{path}: expected one JSON object a line")
    return records


def _whole(record: dict[str, Any], key: str, where: Path) -> int:
    value = record.get(key)
    if isinstance(value, int) and value >= 0:
        return value
    raise LogError(f"{where}: {key} is {value!r}, expected a whole number")


def _tasks_v2(root: Path) -> dict[int, str]:
    path = root / "meta" / "tasks.jsonl"
    if not path.is_file():
        return {}
    return {_whole(record, "task_index", path): str(record.get("task")) for record in _json_lines(root, path)}


def _episodes_v2(root: Path) -> dict[int, EpisodeMeta]:
    path = root / "meta" / "episodes.jsonl"
    found = {}
    for record in _json_lines(root, path):
        tasks = tuple(str(task) for task in record.get("tasks") or ())
        found[_whole(record, "episode_index", path)] = EpisodeMeta(tasks, _whole(record, "length", path))
    return found


def _tasks_v3(root: Path) -> dict[int, str]:
    path = root / "meta" / "tasks.parquet"
    if not path.is_file():
        return _tasks_v2(root)
    with open_parquet(inside(root, path)) as file:
        names = file.schema_arrow.names
        # pandas stores the texts as the table's index, which parquet names so when it had no name
        text = next((name for name in ("task", "__index_level_0__") if name in names), None)
        if text is None or "task_index" not in names:
            raise LogError(f"{path}: columns are {', '.join(names)}, expected task and task_index")
        rows = file.read(columns=[text, "task_index"]).to_pylist()
    return {_whole(row, "task_index", path): str(row[text]) for row in rows}


def _episodes_v3(root: Path) -> dict[int, EpisodeMeta]:
    found: dict[int, EpisodeMeta] = {}
    for path in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        with open_parquet(inside(root, path)) as file:
            names = [name for name in file.schema_arrow.names if not name.startswith("stats/")]
            for batch in file.iter_batches(batch_size=1024, columns=names):
                found |= {_whole(row, "episode_index", path): _episode_v3(row, path) for row in batch.to_pylist()}
    return found


def _episode_v3(row: dict[str, Any], path: Path) -> EpisodeMeta:
    videos: dict[str, dict[str, float]] = defaultdict(dict)
    for name, value in row.items():
        if name.startswith("videos/") and name.count("/") >= 2 and isinstance(value, (int, float)):
            _, camera = name.rsplit("/", 1)[0].split("/", 1)
            videos[camera][name.rsplit("/", 1)[1]] = value
    tasks = row.get("tasks") or ()
    tasks = (tasks,) if isinstance(tasks, str) else tuple(str(task) for task in tasks)
    return EpisodeMeta(tasks, _whole(row, "length", path), dict(videos))
