"""The cameras of a LeRobot dataset: videos and pictures in tables, each frame laid beside its row and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers import video
from embodied_ssl.logs.importers.array_rows import BLOCK_BYTES, Appender
from embodied_ssl.logs.importers.encoded_image import decode_image
from embodied_ssl.logs.importers.lerobot_columns import first_picture_size, picture_bytes
from embodied_ssl.logs.importers.lerobot_episode import EpisodeTimes
from embodied_ssl.logs.importers.lerobot_layout import Layout
from embodied_ssl.logs.importers.lerobot_parquet import EpisodeRows, batches
from embodied_ssl.logs.importers.lerobot_tables import Tables

ALIASES = {"avc": "h264", "h265": "hevc", "mp4v": "mpeg4", "libsvtav1": "av1"}
"""Names that info.json uses for what the stream calls otherwise."""


class Cameras:
    """Reads frames; what the streams and pictures themselves say counts, not info.json."""

    def __init__(
        self, layout: Layout, tables: Tables, stored: Mapping[str, tuple[int, int]], size: tuple[int, int] | None
    ) -> None:
        """Hold what `open` found: per camera (height, width) as stored, and the size to shrink to."""
        self.layout, self.tables, self.stored, self.size = layout, tables, dict(stored), size
        self.notes: list[str] = []
        self._times: dict[str, tuple[Path, video.FrameTimes]] = {}

    @classmethod
    def open(cls, layout: Layout, tables: Tables, names: Sequence[str], size: tuple[int, int] | None) -> Cameras:
        """Find the size of each camera from its first frames.

        Raises:
            LogError: files are missing or damaged.
        """
        cameras = cls(layout, tables, {}, size)
        for name in names:
            if layout.features[name].get("dtype") == "image":
                cameras.stored[name] = cameras._first_picture(name)
            else:
                header = video.probe(layout.video(tables.rows[0].episode, name).path)
                cameras.stored[name] = (header.height, header.width)
                cameras._compare(name, header)
        return cameras

    @property
    def in_tables(self) -> list[str]:
        """Cameras whose pictures are in the tables."""
        return [name for name in self.stored if self.layout.features[name].get("dtype") == "image"]

    @property
    def in_videos(self) -> list[str]:
        """Cameras whose frames are in videos."""
        return [name for name in self.stored if name not in self.in_tables]

    @property
    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """Shape of a frame in the log, by camera."""
        return {name: (*(self.size or stored), 3) for name, stored in self.stored.items()}

    def check_counts(self) -> None:
        """Compare the number of frames with the number of rows, for every episode, before anything is written.

        Raises:
            LogError: they differ; names the episode and both counts.
        """
        for name in self.in_videos:
            for rows in self.tables.rows:
                self._window(name, rows)

    def write(self, appender: Appender, times: EpisodeTimes) -> None:
        """Append the frames of an episode from its videos.

        Raises:
            LogError: a frame is damaged, or not at its row's time.
        """
        for name in self.in_videos:
            path, window = self._window(name, times.rows)
            self._check_times(name, path, window, times)
            what, done = f"{name} of episode {times.rows.episode}", 0
            frames = video.decode(path, window, self.stored[name], self.size, what)
            for block in video.blocks_of(frames, BLOCK_BYTES):
                span = slice(done, done + len(block))
                appender.append(name, block, times.t_ns[span], times.seq[span])
                done += len(block)

    def write_pictures(
        self, appender: Appender, rows: EpisodeRows, first: int, batch: Any, t_ns: np.ndarray, seq: np.ndarray
    ) -> None:
        """Append the pictures that a batch of rows, from row ``first`` of its episode on, holds.

        Raises:
            LogError: a picture is damaged or of another size.
        """
        for name in self.in_tables:
            for number, data in enumerate(picture_bytes(batch.column(name), name, rows.path)):
                what = f"{rows.path}: {name} of episode {rows.episode}, frame {first + number}"
                picture = decode_image(data, self.stored[name], self.size, what)
                span = slice(number, number + 1)
                appender.append(name, picture[None], t_ns[span], seq[span])

    def _first_picture(self, name: str) -> tuple[int, int]:
        rows = self.tables.rows[0]
        if name not in self.tables.names[rows.path]:
            raise LogError(f"{rows.path}: has no column {name}, which info.json calls an image")
        _, _, batch = next(iter(batches(rows.path, [rows], [name], 1)))
        return first_picture_size(batch.column(name), name, rows.path)

    def _compare(self, name: str, header: video.VideoHeader) -> None:
        feature = self.layout.features[name]
        says = {**(feature.get("video_info") or {}), **(feature.get("info") or {})}.get("video.codec")
        if says and ALIASES.get(says, says) != header.codec:
            self.notes.append(f"{name}: info.json says codec {says}, the stream is {header.codec}; the stream counts")
        shape = feature.get("shape") or []
        if not {header.height, header.width} <= set(shape):
            self.notes.append(f"{name}: info.json says {shape}, the stream is {header.height} x {header.width}")

    def _window(self, name: str, rows: EpisodeRows) -> tuple[Path, video.FrameTimes]:
        """Return the file and the frames of an episode, as many as it has rows."""
        span = self.layout.video(rows.episode, name)
        path, times = self._times.get(name, (None, None))
        if path != span.path or times is None:
            times = video.frame_times(span.path)
            self._times[name] = (span.path, times)
        half = 0.5 / self.layout.fps
        window = times if span.to_s is None else times.between(span.from_s - half, span.to_s - half)
        if len(window.pts) != rows.count:
            raise LogError(
                f"{span.path}: {name} of episode {rows.episode} has {len(window.pts)} frames, "
                f"its table {rows.path.name} has {rows.count} rows; leave it out with option episodes or cameras"
            )
        return span.path, window

    def _check_times(self, name: str, path: Path, window: video.FrameTimes, times: EpisodeTimes) -> None:
        off = np.abs(window.seconds - window.seconds[0] - times.seconds)
        late = np.flatnonzero(off > 0.5 / self.layout.fps)
        if len(late):
            raise LogError(
                f"{path}: {name} of episode {times.rows.episode}, frame {late[0]} is {off[late[0]]:.3f} s "
                "from its row's time; leave it out with option episodes or cameras"
            )
