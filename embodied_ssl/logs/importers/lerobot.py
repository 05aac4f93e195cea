"""Importer of LeRobot datasets v2.0, v2.1 and v3.0: own reader on pyarrow and PyAV.

v2.1 was checked on a real recording (a Unitree G1 with an AV1 camera), v3.0 on self-made files after the published
format. Times: a row whose ``timestamp`` lies within `TIMESTAMP_TOLERANCE_S` of ``frame_index / fps`` is put exactly
there (the column is float32, which at an hour is 0.2 ms wide); any other keeps its timestamp. Episodes follow one
another in lane 0 (`EpisodeClock`). ``seq`` is ``frame_index``, going on from episode to episode, so that a jump in it
is a row that the recorder lost. What is called ``next.*`` (``next.reward``, ``next.done``) came of its row's action: it
is stored one period later, beside the observation that came with it, and the last one of an episode behind its last
observation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.importers.array_rows import Appender, stream_of
from embodied_ssl.logs.importers.base import IMPORTERS, ImportReport
from embodied_ssl.logs.importers.episode_clock import EpisodeClock
from embodied_ssl.logs.importers.lerobot_cameras import Cameras
from embodied_ssl.logs.importers.lerobot_columns import Column, to_rows
from embodied_ssl.logs.importers.lerobot_episode import EpisodeTimes, end_kind
from embodied_ssl.logs.importers.lerobot_layout import Layout
from embodied_ssl.logs.importers.lerobot_meta import read_layout
from embodied_ssl.logs.importers.lerobot_parquet import EpisodeRows, batches
from embodied_ssl.logs.importers.lerobot_tables import Tables
from embodied_ssl.logs.importers.options import image_size as size_option
from embodied_ssl.logs.importers.options import int_list, name_list, role_map
from embodied_ssl.logs.importers.safe_paths import parse_json, read_licence, read_text
from embodied_ssl.logs.schema import LogStream

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

AFTER_ACTION = "next."
"""How names of columns begin that hold what came of the row's action."""

BATCH_ROWS = 4096
PICTURE_BATCH_ROWS = 32
"""Rows read at once where rows hold encoded pictures."""


def default_role(name: str) -> str:
    """Return the role of a feature by its name."""
    if name.startswith("observation"):
        return "sensor"
    if name == "action" or name.startswith("action."):
        return "action"
    return "reward" if name in ("reward", "next.reward") else "other"


@IMPORTERS.register("lerobot")
class LeRobotImporter:
    """A LeRobot dataset folder as a log."""

    extra: ClassVar[str] = "lerobot"

    def __init__(
        self,
        path: Path,
        *,
        episodes: list[int] | str | None = None,
        cameras: list[str] | str | None = None,
        image_size: tuple[int, int] | str | None = None,
        roles: Mapping[str, str] | str | None = None,
    ) -> None:
        """Bind.

        Args:
            path: the folder that holds ``meta/info.json``.
            episodes: episode indices to take; None: all that are there.
            cameras: full names such as ``observation.images.front``; None: all, ``"none"``: none.
            image_size: (height, width) that frames are shrunk to by area averaging; None: as stored. The log
                compresses without loss, so full frames take far more room than the videos did.
            roles: stream name to role, over the roles that follow from the names.

        Raises:
            LogError: an option is wrong.
        """
        self.path, self.roles = Path(path), roles
        self.episodes = int_list(episodes, "episodes")
        self.camera_names = name_list(cameras, "cameras")
        self.image_size = size_option(image_size)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether there is a ``meta/info.json`` that states a ``codebase_version``."""
        info = path / "meta" / "info.json"
        try:
            return "codebase_version" in parse_json(read_text(path, info), "info.json")
        except (LogError, TypeError):
            return False

    @cached_property
    def layout(self) -> Layout:
        """What ``meta`` says."""
        return read_layout(self.path)

    @cached_property
    def tables(self) -> Tables:
        """The rows there are."""
        return Tables.read(self.layout, self.episodes)

    @cached_property
    def cameras(self) -> Cameras:
        """The cameras that are imported."""
        known = self.layout.cameras
        names = known if self.camera_names is None else self.camera_names
        for name in names:
            if name not in known:
                raise LogError(f"option cameras: no camera {name!r}; {nearest(name, known)}")
        return Cameras.open(self.layout, self.tables, names, self.image_size)

    @property
    def columns(self) -> list[Column]:
        """The columns of numbers that become streams."""
        return list(self.tables.columns.values())

    def streams(self) -> list[LogStream]:
        """Return a stream for each column of numbers and each camera.

        Raises:
            LogError: the dataset is damaged or unsafe, or an option names what is not there.
        """
        shapes = {column.name: (column.shape, column.dtype) for column in self.columns}
        shapes |= {name: (shape, "uint8") for name, shape in self.cameras.shapes.items()}
        given = role_map(self.roles, shapes)
        return [
            stream_of(name, shape, dtype, self.layout.fps, given.get(name, default_role(name)))
            for name, (shape, dtype) in shapes.items()
        ]

    def facts(self) -> dict[str, Any]:
        """Return format, version, robot, rate, tasks, names of values and licence."""
        info = self.layout.info
        facts = {
            "format": "lerobot",
            "version": info["codebase_version"],
            "source": self.path.name,
            "robot_type": info.get("robot_type"),
            "fps": self.layout.fps,
            "tasks": list(self.layout.tasks.values()),
            "names": {c.name: self.layout.features.get(c.name, {}).get("names") for c in self.columns},
        }
        licence = read_licence(self.path)
        return facts | ({"licence": licence} if licence else {})

    def total(self) -> int:
        """Return the rows of all streams."""
        return self.tables.num_rows * (len(self.columns) + len(self.cameras.shapes))

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write the episodes in the order of their files; videos are counted before anything is written.

        Raises:
            LogError: a file is damaged, or a video does not fit its rows.
        """
        streams = self.streams()
        self.cameras.check_counts()
        appender, clock, next_seq = Appender(writer, progress, streams), EpisodeClock(self.layout.fps), 0
        pictures = self.cameras.in_tables
        batch_rows = PICTURE_BATCH_ROWS if pictures else BATCH_ROWS
        for path, wanted in itertools.groupby(self.tables.rows, key=lambda rows: rows.path):
            columns = self.tables.to_read(path, pictures)
            times: EpisodeTimes | None = None
            for rows, first, batch in batches(path, list(wanted), columns, batch_rows):
                if times is None or first == 0:
                    times = EpisodeTimes(rows, self.layout, clock.start_ns, next_seq)
                    writer.begin_episode(clock.start_ns, facts=self._episode_facts(rows))
                self._append(appender, times, first, batch)
                if first + batch.num_rows == rows.count:
                    self.cameras.write(appender, times)
                    end_ns = times.last_ns + self._delay_ns(*batch.schema.names)
                    writer.end_episode(end_ns, kind=end_kind(batch))
                    clock.end(end_ns)
                    next_seq = times.next_seq
                    self.layout.notes.extend(times.notes())
        return ImportReport(appender.rows, self.notes())

    def notes(self) -> list[str]:
        """Return what people should know, as far as it was read."""
        return [*self.layout.notes, *self.tables.notes, *self.cameras.notes]

    def _append(self, appender: Appender, times: EpisodeTimes, first: int, batch: Any) -> None:
        t_ns, seq = times.add(batch, first)
        for name in batch.schema.names:
            if name in self.tables.columns:
                rows = to_rows(batch.column(name), self.tables.columns[name], times.rows.path)
                appender.append(name, rows, t_ns + self._delay_ns(name), seq)
        self.cameras.write_pictures(appender, times.rows, first, batch, t_ns, seq)

    def _delay_ns(self, *names: str) -> int:
        """Return how long after its row a column counts, the longest of several."""
        came_after = any(name.startswith(AFTER_ACTION) and name in self.tables.columns for name in names)
        return round(1e9 / self.layout.fps) if came_after else 0

    def _episode_facts(self, rows: EpisodeRows) -> dict[str, Any]:
        meta = self.layout.episodes.get(rows.episode)
        return {
            "episode_index": rows.episode,
            "length": rows.count,
            "tasks": list(meta.tasks) if meta else [],
            "source": str(rows.path.relative_to(self.path)),
        }
