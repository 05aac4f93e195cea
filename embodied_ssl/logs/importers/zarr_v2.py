"""Importer of diffusion-policy's replay buffers: zarr v2, flat arrays and the ends of episodes.

Layout: group ``data`` holds arrays whose axis 0 runs over the steps of all episodes, ``meta/episode_ends`` the number
of steps up to the end of each. The format has no times: rows are put on a regular clock, and episodes one after
another with a second between them (`EpisodeClock`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.importers.array_rows import Appender, holds_bytes, is_picture, stream_of
from embodied_ssl.logs.importers.base import IMPORTERS, ImportReport
from embodied_ssl.logs.importers.episode_clock import EpisodeClock, tick_times
from embodied_ssl.logs.importers.options import rate, role_map
from embodied_ssl.logs.importers.safe_paths import inside, read_licence
from embodied_ssl.logs.importers.zarr_v2_array import RowReader, ZarrV2Array
from embodied_ssl.logs.schema import LogStream

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

DEFAULT_FPS = 10.0
"""Rate of the PushT demonstrations; other buffers may differ, so a log made with it says that it was assumed."""
DEFAULT_ROLES = {
    "action": "action",
    "reward": "reward",
    "state": "privileged",
    "keypoint": "privileged",
    "n_contacts": "privileged",
    "timestamp": "other",
}
"""The simulator's truth is only ever a probe target; all names that are not here are sensors."""


@IMPORTERS.register("diffusion_policy")
class DiffusionPolicyImporter:
    """A zarr v2 replay buffer as a log.

    Pictures that are stored as floating point numbers become uint8 if every value of every chunk is a whole number
    from 0 to 255; finding out reads them twice.
    """

    extra: ClassVar[str] = ""

    def __init__(
        self,
        path: Path,
        *,
        fps: float | str | None = None,
        roles: Mapping[str, str] | str | None = None,
        missing_chunks: str = "refuse",
    ) -> None:
        """Bind.

        Args:
            path: the ``.zarr`` folder.
            fps: steps a second; None: `DEFAULT_FPS`, noted as assumed.
            roles: array name to role, beside and over `DEFAULT_ROLES`.
            missing_chunks: ``"refuse"``, or ``"fill"``: an absent chunk file means the array's fill value.

        Raises:
            LogError: an option is wrong.
        """
        if missing_chunks not in ("refuse", "fill"):
            raise LogError(f"option missing_chunks: {nearest(str(missing_chunks), ('refuse', 'fill'))}")
        self.path, self.fps, self.roles = Path(path), rate(fps), roles
        self.fill_missing = missing_chunks == "fill"

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether it is a zarr v2 group with ``meta/episode_ends``."""
        return (path / ".zgroup").is_file() and (path / "meta" / "episode_ends" / ".zarray").is_file()

    @cached_property
    def ends(self) -> np.ndarray:
        """Steps up to the end of each episode, int64, growing.

        Raises:
            LogError: they are missing, not whole numbers, or do not grow.
        """
        if not self.recognises(self.path):
            raise LogError(f"{self.path}: is no diffusion-policy replay buffer, expected a zarr v2 meta/episode_ends")
        array = ZarrV2Array.open(self.path, "meta/episode_ends")
        if len(array.shape) != 1 or array.dtype.kind not in "iu" or not 0 < array.shape[0] <= 10_000_000:
            raise LogError(f"{array.folder}: {array.shape} {array.dtype}, expected a row of 1 to 10,000,000 integers")
        ends = np.concatenate(list(array.blocks())).astype(np.int64)
        bad = np.flatnonzero(np.diff(ends, prepend=0) <= 0)
        if len(bad):
            raise LogError(f"{array.folder}: episode {bad[0]} ends at {ends[bad[0]]}, not after its start")
        return ends

    @cached_property
    def arrays(self) -> dict[str, ZarrV2Array]:
        """The arrays of ``data``, checked, by name.

        Raises:
            LogError: there is none, or one has fewer rows than there are steps.
        """
        data = inside(self.path, self.path / "data")
        names = sorted(entry.name for entry in data.iterdir() if (entry / ".zarray").is_file()) if data.is_dir() else []
        if not names:
            raise LogError(f"{data}: holds no arrays, expected at least one")
        arrays = {name: ZarrV2Array.open(self.path, f"data/{name}", self.fill_missing) for name in names}
        for array in arrays.values():
            if array.shape[0] < self.ends[-1]:
                rows = f"{array.shape[0]:,} rows"
                raise LogError(f"{array.folder}: {rows}, but the episodes have {self.ends[-1]:,} steps")
        return arrays

    @cached_property
    def byte_valued(self) -> dict[str, bool]:
        """By name of each picture array of floating point numbers: whether uint8 holds all of it exactly."""
        floats = {n: a for n, a in self.arrays.items() if a.dtype.kind == "f" and is_picture(a.shape[1:])}
        return {name: all(holds_bytes(block) for block in array.blocks()) for name, array in floats.items()}

    def streams(self) -> list[LogStream]:
        """Return a stream for each array of ``data``.

        Raises:
            LogError: the store is damaged or unsafe, or ``roles`` names what is not there.
        """
        roles = {**DEFAULT_ROLES, **role_map(self.roles, self.arrays)}
        fps = self.fps or DEFAULT_FPS
        return [
            stream_of(
                name,
                array.shape[1:],
                "uint8" if self.byte_valued.get(name) else array.dtype.name,
                fps,
                roles.get(name, "sensor"),
            )
            for name, array in self.arrays.items()
        ]

    def facts(self) -> dict[str, Any]:
        """Return format, source, rate and licence."""
        facts = {"format": "diffusion_policy", "source": self.path.name, "fps": self.fps or DEFAULT_FPS}
        licence = read_licence(self.path)
        return facts | {"fps_assumed": self.fps is None} | ({"licence": licence} if licence else {})

    def total(self) -> int:
        """Return the rows of all streams."""
        return int(self.ends[-1]) * len(self.arrays)

    def notes(self) -> list[str]:
        """Return what people should know."""
        notes = [f"no rate in the file: {DEFAULT_FPS:g} Hz is assumed (option fps)"] if self.fps is None else []
        for name, cast in self.byte_valued.items():
            kind = self.arrays[name].dtype.name
            notes.append(
                f"{name}: {kind} pictures of whole numbers from 0 to 255, cast to uint8 after checking every chunk"
                if cast
                else f"{name}: {kind} pictures that uint8 does not hold, kept as they are and not marked as camera"
            )
        for name, array in self.arrays.items():
            if array.shape[0] > self.ends[-1]:
                notes.append(f"{name}: {array.shape[0] - self.ends[-1]:,} rows after the last episode's end, dropped")
        return notes

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write all episodes in order, in blocks of at most one row of chunks.

        Raises:
            LogError: a chunk is missing or damaged.
        """
        appender, fps = Appender(writer, progress, self.streams()), self.fps or DEFAULT_FPS
        readers = {name: RowReader(array) for name, array in self.arrays.items()}
        clock = EpisodeClock(fps)
        for number, stop in enumerate(self.ends.tolist()):
            start = int(self.ends[number - 1]) if number else 0
            writer.begin_episode(clock.start_ns, episode_index=number, length=stop - start, source=self.path.name)
            for name, reader in readers.items():
                done = 0
                for block in reader.read(start, stop):
                    appender.append(name, block, tick_times(clock.start_ns, done, len(block), fps))
                    done += len(block)
            last_ns = int(tick_times(clock.start_ns, stop - start - 1, 1, fps)[0])
            writer.end_episode(last_ns, kind="unknown")
            clock.end(last_ns)
        return ImportReport(appender.rows, self.notes())
