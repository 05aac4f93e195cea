from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exported import make_log

from embodied_ssl.logs.exporters.rerun import RerunExporter

pytest.importorskip("rerun", reason="needs the extra rerun (some 740 MB), which is not installed")


def test_the_recording_holds_every_row_on_both_timelines(tmp_path: Path) -> None:
    from rerun.chunk import RrdReader  # pyright: ignore[reportMissingImports]

    log = make_log(tmp_path / "a.zarr")
    report = RerunExporter().write(log, tmp_path / "a.rrd", lambda units: None)
    assert report.rows == {name: log.num_rows(name) for name in log.streams}
    chunks: dict[str, list] = {}
    for chunk in RrdReader(str(tmp_path / "a.rrd")).stream():
        chunks.setdefault(str(chunk.entity_path), []).append(chunk)
    for name in log.streams:
        mine = chunks["/" + name.strip("/")]
        assert sum(chunk.num_rows for chunk in mine) == log.num_rows(name)
    tables = [chunk.to_record_batch() for chunk in chunks["/imu"]]
    rows = log.read("/imu")
    for column, expected in (("sensor_time", rows.t_ns), ("arrival", rows.t_recv_ns)):
        times = np.concatenate([np.asarray(table.column(column).cast("int64")) for table in tables])
        np.testing.assert_array_equal(times, expected)
    values = [value for table in tables for value in table.column("Scalars:scalars").to_pylist()]
    np.testing.assert_array_equal(np.array(values, np.float32), rows.data)
    front = [v for c in chunks["/cam/front"] for v in c.to_record_batch().column("Image:buffer").to_pylist()]
    np.testing.assert_array_equal(
        np.array([np.array(v[0], np.uint8) for v in front]), log.read("/cam/front").data.reshape(len(front), -1)
    )
    assert any("pose: " in note and "rounded" in note for note in report.notes)


def test_lanes_are_entities_of_their_own(tmp_path: Path) -> None:
    from rerun.chunk import RrdReader  # pyright: ignore[reportMissingImports]

    log = make_log(tmp_path / "a.zarr", lanes=2, num_episodes=1)
    RerunExporter().write(log, tmp_path / "a.rrd", lambda units: None)
    names = {str(chunk.entity_path) for chunk in RrdReader(str(tmp_path / "a.rrd")).stream()}
    assert {"/lane0/imu", "/lane1/imu", "/lane1/cam/front", "/episodes", "/facts"} <= names
