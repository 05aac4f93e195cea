"""What inspect says is what was put in."""

from typing import Any

import cv2
import numpy as np
import pytest
from logged import STREAMS, add_rows, make_log
from rich.console import Console

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog, layout
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.inspect import inspect_log
from embodied_ssl.logs.stream_facts import StretchFinder, time_facts
from embodied_ssl.logs.verify import verify_log
from embodied_ssl.report.log_tables import COLUMNS, compact_line, inspect_page, verify_page
from embodied_ssl.report.log_timeline import WIDTH, log_timeline, save_timeline
from embodied_ssl.spec import SensorSpec

S = 1_000_000_000


def _index(times, seq: Any = -1, lane: Any = 0):
    index = np.full((len(times), 5), -1, np.int64)
    index[:, 0], index[:, 2], index[:, 3] = times, seq, lane
    return index


def test_rates_gaps_drops_duplicates_and_late_rows_are_counted():
    numbers = np.delete(np.arange(100), [20, 21, 22, 50])
    order = np.concatenate([numbers, [99, 30]])  # the last comes twice, and so does the 30th, late
    facts = time_facts(_index(order * S // 100, seq=order))
    assert facts.measured_hz == 100
    assert (facts.dropped, facts.duplicates, facts.out_of_order) == (4, 2, 1)
    assert (facts.gaps.count, facts.gaps.longest_ns) == (2, S * 4 // 100)
    assert facts.gaps.spans == [(19 * S // 100, 23 * S // 100), (49 * S // 100, 51 * S // 100)]
    assert (facts.first_ns, facts.last_ns) == (0, 99 * S // 100)


def test_lanes_are_looked_at_one_by_one():
    times = np.repeat(np.arange(50), 3) * S // 10
    facts = time_facts(_index(times, seq=np.repeat(np.arange(50), 3), lane=np.tile([0, 1, 7], 50)))
    assert (facts.lanes, facts.measured_hz, facts.gaps.count) == (3, 10, 0)
    assert (facts.dropped, facts.duplicates, facts.out_of_order) == (0, 0, 0)


def test_streams_without_rows_or_with_one_time_have_no_rate():
    assert time_facts(_index([])).measured_hz == 0
    facts = time_facts(_index([5, 5, 5]))
    assert (facts.measured_hz, facts.duplicates) == (0, 2)


def test_stretches_do_not_depend_on_blocks():
    rng = np.random.default_rng(0)
    for _ in range(100):
        holds = np.repeat(rng.random(12) < 0.5, rng.integers(1, 9, 12))
        holds[0] = False  # the first row is like no row before it
        times = np.cumsum(rng.integers(1, 4, len(holds)))
        expected, start = [], None
        for row, (is_so, time) in enumerate(zip(holds, times, strict=True)):
            if is_so and start is None:
                start = times[row - 1]
            if start is not None and (not is_so or row == len(holds) - 1):
                end = time if is_so else times[row - 1]
                expected += [(start, end)] if end - start >= 3 else []
                start = None
        finder = StretchFinder(3)
        for part in np.array_split(np.arange(len(holds)), rng.integers(1, 8)):
            finder.take(holds[part], times[part])
        found = finder.finish()
        assert found.spans == expected
        assert found.count == len(expected)


def _faulty_log(path):
    imu = LogStream(SensorSpec("imu", "imu", (3,), "float32", 100.0, low=-5.0, high=5.0))
    cam = LogStream(SensorSpec("cam", "camera", (4, 4, 3), "uint8", 10.0))
    rng = np.random.default_rng(0)
    readings = rng.normal(0, 0.5, (600, 3)).astype(np.float32)
    readings[100:200] = readings[100]
    readings[300:400, 1] = 5.0
    readings[450, 0], readings[451, 2] = np.nan, np.inf
    readings[:, 2] = np.where(np.isfinite(readings[:, 2]), 0.25, readings[:, 2])
    frames = rng.integers(1, 255, (60, 4, 4, 3)).astype(np.uint8)
    frames[10:13] = 0
    with StreamLog.create(path, [imu, cam], chunk_rows={"imu": 64, "cam": 8}) as writer:
        writer.append("imu", readings, np.arange(600) * S // 100)
        writer.append("cam", frames, np.arange(60) * S // 10)
        writer.begin_episode(0)
        writer.end_episode(3 * S, kind="truncated")
        writer.begin_episode(3 * S)
    return path


def test_broken_readings_are_found(tmp_path):
    report = inspect_log(_faulty_log(tmp_path / "run.zarr"))
    imu, cam = report.streams["imu"].values, report.streams["cam"].values
    assert imu is not None
    assert cam is not None
    assert imu.non_finite_rows == 2
    assert imu.frozen.spans == [(S, 199 * S // 100)]
    assert imu.saturated.longest_ns == S  # rows 299 to 399: from the last row that was free
    assert imu.saturated.count == 1
    assert cam.black_frames == 3
    assert cam.frozen.count == 0
    assert imu.constant_channels == []
    assert report.span_ns == (0, 599 * S // 100)
    assert report.streams["imu"].raw_bytes == 600 * (12 + 40)


def test_damage_is_told_and_left_out(tmp_path):
    path = _faulty_log(tmp_path / "run.zarr")
    layout.chunk_path(path, "imu", "data", 2, 1).unlink()
    report = inspect_log(path)
    assert "1 damaged chunks left out" in report.damage[0]
    assert report.streams["imu"].times.gaps.count == 1  # what is left out is a gap


def test_the_picture_shows_rows_gaps_and_faults(tmp_path):
    path = _faulty_log(tmp_path / "run.zarr")
    save_timeline(inspect_log(path), tmp_path / "timeline.png")
    picture = cv2.imread(str(tmp_path / "timeline.png"))
    assert picture is not None
    whole = log_timeline(inspect_log(path))
    assert np.array_equal(picture[..., ::-1], whole)
    assert whole.shape[1] == WIDTH
    quiet = log_timeline(inspect_log(path, values=False))
    assert (whole != quiet).any()
    with pytest.raises(LogError, match="timeline was not written"):
        save_timeline(inspect_log(path), tmp_path / "nowhere" / "timeline.png")


def test_an_empty_log_and_one_with_epochs_have_pages(tmp_path):
    StreamLog.create(tmp_path / "empty.zarr", STREAMS).close()
    path = make_log(tmp_path / "run.zarr")
    with StreamLog.append_to(path, STREAMS[:1], on_change="epoch") as writer:
        add_rows(writer, "cam", 3)
    for log in (tmp_path / "empty.zarr", path):
        report = inspect_log(log)
        assert log_timeline(report).any()
        console = Console(width=400, record=True, quiet=False, file=(tmp_path / "page").open("w"))
        console.print(inspect_page(report))
        console.print(verify_page(verify_log(log)))
        text = console.export_text()
        assert all(column in text for column in COLUMNS)
        assert "sound" in text
        console.file.close()
    assert "epoch 1" in text
    assert "2 episodes (1 terminated, 1 open) of 1 lanes" in text
    assert "files became" in compact_line(compact_log(path))
