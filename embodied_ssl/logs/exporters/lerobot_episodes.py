"""Write the episodes of a LeRobot dataset one by one, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from embodied_ssl.logs.exporters.lerobot_features import Feature
from embodied_ssl.logs.exporters.lerobot_stats import MAX_PICTURES, Stats
from embodied_ssl.logs.exporters.lerobot_tables import DatasetTables
from embodied_ssl.logs.exporters.lerobot_video import as_rgb, encode_png, write_video
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import Episode

BATCH_TICKS = 4096
BATCH_BYTES = 32 << 20
MAX_SPAN_BYTES = 128 << 20
"""Longest stretch of a stream that is read at once."""


class EpisodeWriter:
    """Brings the rows that were chosen for each tick into the tables and videos."""

    def __init__(self, log: StreamLog, tables: DatasetTables, progress: Callable[[int], None]) -> None:
        """Bind to a log and a dataset."""
        self._log, self._tables, self._progress = log, tables, progress
        self._missing: dict[str, int] = {}

    def write(self, episode: Episode, num_ticks: int, chosen: Mapping[str, np.ndarray]) -> None:
        """Write one episode.

        Args:
            episode: for its task.
            num_ticks: length.
            chosen: per feature ``(T,)`` row numbers in the log; -1: none.
        """
        stats = {feature.name: Stats(feature.is_camera) for feature in self._tables.features}
        for feature in self._tables.features:
            missing = int((chosen[feature.name] < 0).sum())
            self._missing[feature.name] = self._missing.get(feature.name, 0) + missing
        self._tables.begin_episode(_tasks(episode))
        if self._tables.encoder:
            for feature in self._tables.cameras:
                pictures = self._watched(feature, chosen[feature.name], stats[feature.name])
                write_video(self._tables.video_path(feature), pictures, self._tables.fps, self._tables.encoder)
        for start in range(0, num_ticks, self._batch_ticks):
            part = slice(start, min(start + self._batch_ticks, num_ticks))
            columns = {f.name: self._column(f, chosen[f.name][part], stats[f.name]) for f in self._tables.columns}
            self._tables.add_rows(columns, part.start, part.stop)
            self._progress(part.stop - part.start)
        self._tables.end_episode(num_ticks, _tasks(episode), stats)

    @property
    def _batch_ticks(self) -> int:
        """Ticks that go to the table at once."""
        return max(1, min(BATCH_TICKS, BATCH_BYTES // sum(one.stream.row_bytes for one in self._tables.features)))

    def _column(self, feature: Feature, rows: np.ndarray, stats: Stats) -> list[bytes] | np.ndarray:
        if feature.is_camera:
            return [encode_png(picture) for picture in self._watched(feature, rows, stats)]
        values = self._values(feature, rows)
        stats.add(values)
        return values

    def _values(self, feature: Feature, rows: np.ndarray) -> np.ndarray:
        """Return ``(n, size)`` rows of numbers, read at once where they lie close together."""
        first, stop = int(rows.min()), int(rows.max()) + 1
        if first < 0 or (stop - first) * feature.stream.row_bytes > MAX_SPAN_BYTES:
            return np.concatenate([row.reshape(1, -1) for row in self._rows(feature, rows)])
        return self._log.read(feature.stream.name, first, stop).data[rows - first].reshape(len(rows), -1)

    def _watched(self, feature: Feature, rows: np.ndarray, stats: Stats) -> Iterator[np.ndarray]:
        """Yield pictures as RGB, taking some of them into the statistics."""
        step = -(-len(rows) // MAX_PICTURES)
        for number, row in enumerate(self._rows(feature, rows)):
            picture = as_rgb(row)
            if number % step == 0:
                stats.add(picture[None])
            yield picture

    def _rows(self, feature: Feature, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the row of each tick; the log keeps the chunk that was read last."""
        sensor, last, held = feature.stream.sensor, -2, np.zeros(0)
        fill = np.nan if sensor.dtype.startswith("float") else 0
        for row in rows.tolist():
            if row != last:
                blank = np.full(sensor.shape, fill, sensor.dtype)
                held, last = blank if row < 0 else self._log.read(feature.stream.name, row, row + 1).data[0], row
            yield held

    def notes(self) -> list[str]:
        """Return where rows were missing."""
        return [
            f"{name}: {count} ticks before its first row hold NaN, or 0 for whole numbers and pictures"
            for name, count in self._missing.items()
            if count
        ]


def _tasks(episode: Episode) -> list[str]:
    """Return what an episode's facts call its task."""
    tasks = episode.facts.get("tasks") or episode.facts.get("task") or []
    return [str(task) for task in ([tasks] if isinstance(tasks, str) else tasks)] or ["unspecified"]
