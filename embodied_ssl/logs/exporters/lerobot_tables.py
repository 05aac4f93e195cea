# pyright: reportMissingTypeStubs=false
# pyarrow ships no types.
"""The parquet and JSON files of a LeRobot v3.0 dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.logs.exporters.lerobot_features import Feature
from embodied_ssl.logs.exporters.lerobot_stats import Stats
from embodied_ssl.logs.exporters.lerobot_video import CODECS
from embodied_ssl.logs.importers.base import need

VERSION = "v3.0"
FILES_IN_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
_INDEX = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
_PANDAS = [
    {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": stored, "metadata": None}
    for name, kind, stored in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
]
"""What pandas, with which LeRobot reads the tasks, wants to know of a table whose index is the text."""
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


class DatasetTables:
    """One dataset being written; videos are one file an episode, the table is one file of many row groups.

    Attributes:
        features: columns and cameras.
        fps: ticks a second.
        encoder: of videos; empty when pictures lie in the table.
    """

    def __init__(self, root: Path, features: list[Feature], fps: int, encoder: str) -> None:
        """Make the folder."""
        self._root, self.features, self.fps, self.encoder = root, features, fps, encoder
        self._episodes: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._stats = {feature.name: Stats(feature.is_camera) for feature in features}
        self._num_rows, self._file = 0, 0
        self._writer: Any = None
        self._task = 0
        (root / "meta" / "episodes" / "chunk-000").mkdir(parents=True)

    def __enter__(self) -> DatasetTables:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the open file."""
        self._close_data()

    @property
    def cameras(self) -> list[Feature]:
        """The features that are pictures."""
        return [feature for feature in self.features if feature.is_camera]

    @property
    def columns(self) -> list[Feature]:
        """The features that are columns of the table."""
        return [feature for feature in self.features if not (feature.is_camera and self.encoder)]

    def _place(self) -> tuple[int, int]:
        """Return chunk and file number of the running episode's videos."""
        return divmod(len(self._episodes), FILES_IN_CHUNK)

    def video_path(self, feature: Feature) -> Path:
        """Return where the video of the running episode goes."""
        chunk, file = self._place()
        return self._root / _VIDEO.format(video_key=feature.name, chunk_index=chunk, file_index=file)

    def add_rows(self, columns: Mapping[str, Any], start: int, stop: int) -> None:
        """Write ticks ``start`` to ``stop`` of the running episode: per column ``(n, size)`` or PNG bytes."""
        pa = need("pyarrow", "lerobot")
        frames = np.arange(start, stop)
        arrays = {f.name: _array(pa, f, columns[f.name]) for f in self.columns}
        episode, first = len(self._episodes), self._num_rows
        task = np.full_like(frames, self._task)
        index = (frames / self.fps, frames, np.full_like(frames, episode), first + frames, task)
        arrays |= {n: pa.array(v.astype(d)) for (n, d), v in zip(_INDEX.items(), index, strict=True)}
        table = pa.table(arrays)
        self._writer = self._writer or self._open_data(table.schema)
        self._writer.write_table(table)

    def _open_data(self, schema: Any) -> Any:
        path = self._data_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        return need("pyarrow.parquet", "lerobot").ParquetWriter(path, schema, compression="snappy")

    def _data_path(self) -> Path:
        chunk, file = divmod(self._file, FILES_IN_CHUNK)
        return self._root / _DATA.format(chunk_index=chunk, file_index=file)

    def _close_data(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def begin_episode(self, tasks: list[str]) -> None:
        """Take the tasks of the episode that comes; its rows name the first."""
        for task in tasks:
            self._tasks.setdefault(task, len(self._tasks))
        self._task = self._tasks[tasks[0]]

    def end_episode(self, length: int, tasks: list[str], stats: Mapping[str, Stats]) -> None:
        """Note an episode whose rows are written, and begin another file when this one is large."""
        data_chunk, data_file = divmod(self._file, FILES_IN_CHUNK)
        record = {"episode_index": len(self._episodes), "tasks": tasks, "length": length}
        record |= {"data/chunk_index": data_chunk, "data/file_index": data_file}
        record |= {"dataset_from_index": self._num_rows, "dataset_to_index": self._num_rows + length}
        chunk, file = self._place()
        for camera in self.cameras if self.encoder else []:
            where = {"chunk_index": chunk, "file_index": file, "from_timestamp": 0.0}
            where["to_timestamp"] = length / self.fps
            record |= {f"videos/{camera.name}/{key}": value for key, value in where.items()}
        for name, stat in stats.items():
            self._stats[name].merge(stat)
            record |= {f"stats/{name}/{key}": value for key, value in stat.to_json().items()}
        self._episodes.append({**record, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        self._num_rows += length
        if self._data_path().stat().st_size > DATA_FILE_MB << 20:
            self._close_data()
            self._file += 1

    def finish(self) -> None:
        """Write all metadata."""
        pa, parquet = need("pyarrow", "lerobot"), need("pyarrow.parquet", "lerobot")
        self._close_data()
        meta = self._root / "meta"
        parquet.write_table(pa.Table.from_pylist(self._episodes), meta / "episodes" / "chunk-000" / "file-000.parquet")
        tasks = pa.table({"task_index": list(self._tasks.values()), "task": list(self._tasks)})
        pandas = {"index_columns": ["task"], "column_indexes": [], "columns": _PANDAS, "pandas_version": "2.2.0"}
        parquet.write_table(tasks.replace_schema_metadata({"pandas": json.dumps(pandas)}), meta / "tasks.parquet")
        stats = {name: stat.to_json() for name, stat in self._stats.items()}
        (meta / "stats.json").write_text(json.dumps(stats, indent=1))
        (meta / "info.json").write_text(json.dumps(self._info(), indent=1))

    def _info(self) -> dict[str, Any]:
        video = {"video.codec": CODECS[self.encoder], "video.pix_fmt": "yuv420p"} if self.encoder else None
        features = {feature.name: feature.to_json(self.fps, video) for feature in self.features}
        features |= {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in _INDEX.items()}
        return {
            "codebase_version": VERSION,
            "robot_type": None,
            "total_episodes": len(self._episodes),
            "total_frames": self._num_rows,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_IN_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": self.fps,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": _DATA,
            "video_path": _VIDEO if self.encoder else None,
            "features": features,
        }


def _array(pa: Any, feature: Feature, column: Any) -> Any:
    """Return a column: PNG pictures as ``{bytes, path}``, single values plain, others as lists of fixed size."""
    if feature.is_camera:
        return pa.array(
            [{"bytes": png, "path": None} for png in column], pa.struct({"bytes": pa.binary(), "path": pa.string()})
        )
    flat = pa.array(column.reshape(-1))
    return flat if column.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
