# pyright: reportMissingTypeStubs=false
# pyarrow ships no types.
"""Export a log as a LeRobot v3.0 dataset: one table at one rate, one video an episode and camera, or PNG pictures.

Layout as LeRobot's documentation of v3.0 describes it: ``meta/info.json``, ``meta/stats.json``, ``meta/tasks.parquet``,
``meta/episodes/chunk-000/file-000.parquet``, ``data/chunk-000/file-NNN.parquet`` and
``videos/CAMERA/chunk-CCC/file-NNN.mp4``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.aside import made_aside
from embodied_ssl.logs.exporters.base import EXPORTERS, ExportReport, epoch_notes
from embodied_ssl.logs.exporters.lerobot_episodes import EpisodeWriter
from embodied_ssl.logs.exporters.lerobot_features import Feature, features_of
from embodied_ssl.logs.exporters.lerobot_tables import DatasetTables
from embodied_ssl.logs.exporters.lerobot_ticks import LaneRows, episodes_of, ticks_of
from embodied_ssl.logs.exporters.lerobot_video import choose_encoder
from embodied_ssl.logs.importers.base import need
from embodied_ssl.logs.importers.options import rate
from embodied_ssl.logs.reader import StreamLog


@EXPORTERS.register("lerobot")
class LeRobotExporter:
    """The streams of a log, brought to one rate: the format has a single ``fps`` for everything.

    At every tick each feature is the latest row at or before it (by capture time). Rows between ticks are lost, slower
    streams are repeated; the report counts both. An episode begins when every stream that speaks in it has spoken.
    """

    extra: ClassVar[str] = "lerobot"

    def __init__(self, *, fps: float | str | None = None, videos: bool | str = True, codec: str = "auto") -> None:
        """Choose.

        Args:
            fps: ticks a second, a whole number; None: what the log says of itself (``control_hz`` or ``fps`` among its
                facts), else the rate of the first camera, else of the actions, else of the stream with most rows.
            videos: whether pictures become mp4 videos (small, lossy) or PNG in the table (exact).
            codec: ``libx264``, ``libsvtav1``, ``mpeg4``, or ``auto``: the first of these that PyAV has.

        Raises:
            LogError: an option is wrong.
        """
        self._fps, self._codec = rate(fps), codec
        if str(videos).lower() not in ("true", "false"):
            raise LogError(f"option videos is {videos!r}, expected true or false")
        self._videos = str(videos).lower() == "true"

    def write(self, log: StreamLog, out: Path, progress: Callable[[int], None]) -> ExportReport:
        """Write the log; see `Exporter`. Progress counts ticks."""
        need("pyarrow.parquet", self.extra)
        notes = epoch_notes(log)
        features = [one for one in features_of(log.streams, notes) if _has_rows(log, one, notes)]
        if not features:
            raise LogError(f"{log.path} has no rows of numbers or pictures to export")
        fps = default_fps(log, features) if self._fps is None else round(self._fps)
        cameras = [feature.stream.sensor.shape for feature in features if feature.is_camera]
        encoder = choose_encoder(self._codec, cameras) if cameras and self._videos else ""
        with made_aside(out, "exporting") as root:
            rows = _write_dataset(log, root, features, max(1, fps), encoder, progress, notes)
        return ExportReport({name: rows.get(name, 0) for name in log.streams}, notes)


def default_fps(log: StreamLog, features: list[Feature]) -> int:
    """Return the log's own rate, else that of the first camera, of the first action, of the stream with most rows."""
    own = log.facts.get("control_hz") or log.facts.get("fps")
    if isinstance(own, int | float) and own >= 1:
        return round(own)
    cameras = [feature for feature in features if feature.is_camera]
    actions = [feature for feature in features if feature.stream.role == "action"]
    busiest = max(features, key=lambda feature: log.num_rows(feature.stream.name))
    return max(1, round([*cameras, *actions, busiest][0].stream.sensor.rate_hz))


def _has_rows(log: StreamLog, feature: Feature, notes: list[str]) -> bool:
    if not (present := log.num_rows(feature.stream.name) > 0):
        notes.append(f"{feature.stream.name}: has no rows: left out")
    return present


def _write_dataset(
    log: StreamLog,
    root: Path,
    features: list[Feature],
    fps: int,
    encoder: str,
    progress: Callable[[int], None],
    notes: list[str],
) -> dict[str, int]:
    """Write all episodes and the metadata; return the distinct rows that went in, by stream."""
    indices = {feature.name: log.index(feature.stream.name) for feature in features}
    used = {feature.name: np.zeros(len(indices[feature.name]), bool) for feature in features}
    with DatasetTables(root, features, fps, encoder) as tables:
        episodes = EpisodeWriter(log, tables, progress)
        waited = held = empty = 0
        for episode in episodes_of(log, [feature.stream.name for feature in features]):
            lanes = {name: LaneRows.of(index, episode.lane) for name, index in indices.items()}
            ticks = ticks_of(episode, fps, lanes.values())
            if not len(ticks):
                empty += 1
                continue
            waited += int(ticks[0] > episode.start_ns)
            chosen = {name: rows.latest(ticks) for name, rows in lanes.items()}
            for name, rows in chosen.items():
                used[name][rows[rows >= 0]] = True
                held += int((np.diff(rows) == 0).sum())
            episodes.write(episode, len(ticks), chosen)
        tables.finish()
    notes += episodes.notes()
    notes += [f"{empty} episodes without a tick were left out"] if empty else []
    notes += [f"{waited} episodes begin late, when every stream has spoken"] if waited else []
    if held:
        notes.append(f"{held} values repeat the one of the tick before, as their streams are slower than {fps} Hz")
    notes += [line for feature in features for line in _lost_rows(feature, used[feature.name], fps)]
    notes.append("times of single rows, arrival times and sequence numbers have no place in the format")
    return {feature.stream.name: int(used[feature.name].sum()) for feature in features}


def _lost_rows(feature: Feature, used: np.ndarray, fps: int) -> list[str]:
    """Return a note on the rows of a stream that no tick chose."""
    lost, name, hz = int((~used).sum()), feature.stream.name, feature.stream.sensor.rate_hz
    return [f"{name}: {lost} of {len(used)} rows ({hz:.6g} Hz) lie between ticks ({fps} Hz): lost"] if lost else []
