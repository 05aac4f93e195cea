# pyright: reportMissingImports=false, reportMissingTypeStubs=false
# rerun-sdk is large (some 740 MB) and therefore not among the extras that are checked everywhere.
"""Export a log as a Rerun recording (``.rrd``): a file only, nothing is served and no viewer is started."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from embodied_ssl.logs.aside import made_aside
from embodied_ssl.logs.exporters.base import EXPORTERS, ExportReport, epoch_notes
from embodied_ssl.logs.importers.base import need
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import LogRows, LogStream

BLOCK_BYTES = 4 << 20
EPOCH_NS = 10**17
"""Times beyond it (1973) are shown as dates, smaller ones as durations since the clock's start."""
EXACT = 2**53
_COLOURS = {1: "L", 3: "RGB", 4: "RGBA"}


@EXPORTERS.register("rerun")
class RerunExporter:
    """Every stream an entity, on the timelines ``sensor_time`` and ``arrival``.

    Pictures become images, depth becomes depth images, text becomes a text log, all else scalars (float64). Streams of
    several lanes become ``laneN/name``.
    """

    extra: ClassVar[str] = "rerun"

    def __init__(self, *, application: str = "embodied_ssl") -> None:
        """Set the name under which Rerun files the recording and keeps its layout."""
        self._application = application

    def write(self, log: StreamLog, out: Path, progress: Callable[[int], None]) -> ExportReport:
        """Write the log; see `Exporter`."""
        rr = need("rerun", self.extra)
        rows, notes = {}, epoch_notes(log)
        with made_aside(out, "exporting") as path:
            with rr.RecordingStream(self._application, recording_id=_recording_id(log)) as recording:
                recording.save(path)
                self._describe(rr, recording, log)
                for name, stream in log.streams.items():
                    rows[name] = _write_stream(rr, recording, log, stream, progress, notes)
                recording.flush()
            recording.disconnect()
        return ExportReport(rows, notes)

    @staticmethod
    def _describe(rr: Any, recording: Any, log: StreamLog) -> None:
        """Write facts as a document and the episodes as lines of a text log."""
        recording.log("facts", rr.TextDocument(json.dumps(log.facts, indent=1)), static=True)
        events = [(e.start_ns, f"lane {e.lane}: begin") for e in log.episodes]
        events += [(e.end_ns, f"lane {e.lane}: {e.end_kind}") for e in log.episodes if e.end_ns is not None]
        if events:
            times = np.array([t_ns for t_ns, _ in events], np.int64)
            columns = rr.TextLog.columns(text=[text for _, text in events])
            recording.send_columns("episodes", indexes=[_timeline(rr, "sensor_time", times)], columns=columns)


def _recording_id(log: StreamLog) -> str:
    """Return a name that two exports of one log share."""
    return f"{log.path.stem}-{sum(log.num_rows(name) for name in log.streams)}"


def _write_stream(
    rr: Any, recording: Any, log: StreamLog, stream: LogStream, progress: Callable[[int], None], notes: list[str]
) -> int:
    count, rounded = 0, 0
    lanes = set(np.unique(log.index(stream.name)[:, 3]).tolist())
    for lane, rows in _blocks(log, stream):
        entity = rr.new_entity_path([*([f"lane{lane}"] if len(lanes) > 1 else []), *stream.name.strip("/").split("/")])
        times = [_timeline(rr, "sensor_time", rows.t_ns), _timeline(rr, "arrival", rows.t_recv_ns)]
        recording.send_columns(entity, indexes=times, columns=_columns(rr, stream, rows.data))
        if rows.data.dtype.itemsize == 8 and rows.data.dtype.kind in "iu":
            rounded += int(((rows.data > EXACT) | (rows.data < -EXACT if rows.data.dtype.kind == "i" else False)).sum())
        count += len(rows)
        progress(len(rows))
    if rounded:
        notes.append(f"{stream.name}: {rounded} whole numbers beyond 2**53 were rounded to float64")
    return count


def _blocks(log: StreamLog, stream: LogStream) -> Iterator[tuple[int, LogRows]]:
    """Yield ``(lane, rows)`` in pieces of a few megabytes."""
    size = max(1, BLOCK_BYTES // stream.row_bytes)
    for block in log.blocks(stream.name):
        for start in range(0, len(block), size):
            data, index = block.data[start : start + size], block.index[start : start + size]
            for lane in np.unique(index[:, 3]).tolist():
                mine = index[:, 3] == lane
                yield lane, LogRows(data[mine], index[mine])


def _timeline(rr: Any, name: str, t_ns: np.ndarray) -> Any:
    if len(t_ns) and int(t_ns[0]) > EPOCH_NS:
        return rr.TimeColumn(name, timestamp=t_ns.astype("datetime64[ns]"))
    return rr.TimeColumn(name, duration=t_ns.astype("timedelta64[ns]"))


def _columns(rr: Any, stream: LogStream, data: np.ndarray) -> Any:
    """Return rows as columns of the kind that shows them best."""
    if stream.role == "text":
        return rr.TextLog.columns(text=[row.tobytes().rstrip(b"\0").decode(errors="replace") for row in data])
    if stream.sensor.is_image and data.shape[3] in _COLOURS:
        return _pictures(rr, data, _COLOURS[data.shape[3]])
    if stream.sensor.modality == "depth" and data.ndim == 3:
        return _depths(rr, data)
    values = data.reshape(len(data), -1).astype(np.float64)
    return rr.Scalars.columns(scalars=values.reshape(-1)).partition([values.shape[1]] * len(values))


def _pictures(rr: Any, data: np.ndarray, colours: str) -> Any:
    kind = rr.components.ImageFormat(
        width=data.shape[2], height=data.shape[1], color_model=colours, channel_datatype=rr.ChannelDatatype.U8
    )
    return rr.Image.columns(buffer=[row.tobytes() for row in data], format=[kind] * len(data))


def _depths(rr: Any, data: np.ndarray) -> Any:
    kind = rr.components.ImageFormat(
        width=data.shape[2], height=data.shape[1], channel_datatype=rr.ChannelDatatype.from_np_dtype(data.dtype)
    )
    return rr.DepthImage.columns(buffer=[row.tobytes() for row in data], format=[kind] * len(data))
