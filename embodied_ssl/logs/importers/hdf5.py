"""Importer of HDF5 files: the robomimic and Minari layouts, and any other by a small mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.importers import hdf5_mapping, hdf5_minari, hdf5_robomimic
from embodied_ssl.logs.importers.array_rows import Appender
from embodied_ssl.logs.importers.base import IMPORTERS, ImportReport
from embodied_ssl.logs.importers.episode_clock import EpisodeClock, tick_times
from embodied_ssl.logs.importers.hdf5_file import MAGIC, dataset_at, num_rows, open_hdf5, read_blocks
from embodied_ssl.logs.importers.hdf5_plan import DatasetPlan, EpisodePlan, Plan, plan_streams
from embodied_ssl.logs.importers.options import parsed, rate, role_map
from embodied_ssl.logs.importers.safe_paths import inside
from embodied_ssl.logs.schema import LogStream

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

LAYOUTS = ("auto", "robomimic", "minari", "mapping")


@IMPORTERS.register("hdf5")
class Hdf5Importer:
    """An HDF5 file as a log; a Minari dataset's folder stands for its ``data/main_data.hdf5``.

    Rows are put on a regular clock, and episodes one after another (`EpisodeClock`): these layouts keep no times.
    """

    extra: ClassVar[str] = "hdf5"

    def __init__(
        self,
        path: Path,
        *,
        layout: str = "auto",
        mapping: Mapping[str, Any] | str | None = None,
        time_axis: int | str = 0,
        fps: float | str | None = None,
        roles: Mapping[str, str] | str | None = None,
    ) -> None:
        """Bind.

        Args:
            path: the file.
            layout: one of `LAYOUTS`; ``auto`` is ``mapping`` where one is given.
            mapping: which datasets become which streams, see `hdf5_mapping`.
            time_axis: which axis is time where the mapping does not say; -1: the last one.
            fps: rows a second, over what the file states.
            roles: stream name to role, over those of the layout or the mapping.

        Raises:
            LogError: an option is wrong.
        """
        if layout not in LAYOUTS:
            raise LogError(f"option layout is {layout!r}; {nearest(str(layout), LAYOUTS)}")
        if (mapping is None) != (layout != "mapping") and layout != "auto":
            raise LogError(f"option layout is {layout!r}, mapping is {mapping!r}; give a mapping with layout mapping")
        axis = parsed(time_axis, "time_axis")
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise LogError(f"option time_axis is {time_axis!r}, expected a whole number, -1 for the last axis")
        self.path, self.fps, self.roles = main_file(Path(path)), rate(fps), roles
        self.layout = "mapping" if mapping is not None else layout
        self.rules = None if mapping is None else hdf5_mapping.read_rules(mapping, axis)
        self._notes: list[str] = []

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether it begins as an HDF5 file does, or is a folder with ``data/main_data.hdf5``."""
        try:
            with main_file(path).open("rb") as file:
                return file.read(len(MAGIC)) == MAGIC
        except (OSError, LogError):
            return False

    @cached_property
    def plan(self) -> Plan:
        """What is taken from the file.

        Raises:
            LogError: the layout is not known, or the file does not fit it.
        """
        with open_hdf5(self.path) as file:
            layout = self._found_layout(file) if self.layout == "auto" else self.layout
            if self.rules is not None:
                plan = hdf5_mapping.read_plan(file, self.rules, self.fps)
            else:
                plan = {"robomimic": hdf5_robomimic, "minari": hdf5_minari}[layout].read_plan(file, self.fps)
        if not any(episode.datasets for episode in plan.episodes):
            raise LogError(f"{self.path}: no episodes with data were found in layout {layout}")
        return plan

    def _found_layout(self, file: Any) -> str:
        if hdf5_robomimic.matches(file):
            return "robomimic"
        if hdf5_minari.matches(file):
            return "minari"
        raise LogError(
            f"{self.path}: is laid out neither as robomimic nor as Minari (it holds {', '.join(list(file)[:5])}); "
            "say what it holds with option mapping, such as '{episode}' when each group is an episode"
        )

    @cached_property
    def _streams(self) -> list[LogStream]:
        names = {one.stream for one in self.plan.datasets()}
        with open_hdf5(self.path) as file:
            return plan_streams(file, self.plan, role_map(self.roles, names), self._notes)

    def streams(self) -> list[LogStream]:
        """Return the streams; pictures of floating point numbers are read through once to see whether uint8 holds them.

        Raises:
            LogError: the file is damaged or unsafe, or does not fit its layout.
        """
        return self._streams

    def facts(self) -> dict[str, Any]:
        """Return format, source, layout, and what the file says of itself."""
        return {"format": "hdf5", "source": self.path.name, **self.plan.facts}

    def total(self) -> int:
        """Return the rows of all streams."""
        with open_hdf5(self.path) as file:
            return sum(num_rows(dataset_at(file, one.dataset), one.time_axis) for one in self.plan.datasets())

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write the episodes in order, block by block.

        Raises:
            LogError: data is damaged.
        """
        appender = Appender(writer, progress, self.streams())
        clock = EpisodeClock(min(one.rate_hz for one in self.plan.datasets()))
        with open_hdf5(self.path) as file:
            for episode in self.plan.episodes:
                if episode.datasets:
                    writer.begin_episode(clock.start_ns, facts=episode.facts)
                    last_ns = _write_episode(file, episode, appender, clock.start_ns)
                    writer.end_episode(last_ns, kind=episode.end_kind)
                    clock.end(last_ns)
        return ImportReport(appender.rows, [*self.plan.notes, *self._notes])


def _write_episode(file: Any, episode: EpisodePlan, appender: Appender, start_ns: int) -> int:
    return max(_write_dataset(file, one, appender, start_ns) for one in episode.datasets)


def _write_dataset(file: Any, one: DatasetPlan, appender: Appender, start_ns: int) -> int:
    """Append a dataset; return the time of its last row."""
    done, last_ns = one.delay, start_ns
    for block in read_blocks(dataset_at(file, one.dataset), one.time_axis):
        t_ns = tick_times(start_ns, done, len(block), one.rate_hz)
        appender.append(one.stream, block, t_ns)
        done, last_ns = done + len(block), int(t_ns[-1])
    return last_ns


def main_file(path: Path) -> Path:
    """Return the HDF5 file that a path means: itself, or that of a Minari dataset's folder."""
    return inside(path, path / "data" / "main_data.hdf5") if path.is_dir() else path
