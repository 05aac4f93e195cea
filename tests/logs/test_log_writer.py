"""What a caller of the writer and the reader can rely on."""

import os
import time
from typing import Any

import numpy as np
import pytest
import zarr
from logged import CAM, CHUNK_ROWS, FLAG, IMU, STREAMS, FaultyOs, add_rows, all_right, make_log, rows_of

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog, committer, layout, tail
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.verify import verify_log
from embodied_ssl.spec import SensorSpec


def test_random_appends_flushes_reopenings_and_reads_agree_with_a_plain_list(tmp_path, monkeypatch):
    monkeypatch.setattr(tail, "ROTATE_BYTES", 2000)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        path, rows = tmp_path / f"{seed}.zarr", dict.fromkeys(CHUNK_ROWS, 0)
        sizes = {name: int(rng.integers(1, 20)) for name in CHUNK_ROWS}
        writer = StreamLog.create(path, STREAMS, flush_s=60.0, chunk_rows=sizes)
        for _ in range(25):
            stream = STREAMS[rng.integers(3)]
            add_rows(writer, stream.name, count := int(rng.integers(1, 30)))
            rows[stream.name] += count
            if rng.random() < 0.4:
                writer.flush()
                assert {name: StreamLog.open(path).num_rows(name) for name in rows} == rows
            if rng.random() < 0.15:
                writer.close()
                writer = StreamLog.append_to(path, STREAMS, flush_s=60.0)
        writer.close()
        if seed % 3 == 0:
            compact_log(path, shard_bytes=int(rng.integers(1, 2000)))
        _check_reads(StreamLog.open(path), rows, rng)
        assert verify_log(path).is_sound


def _check_reads(log, rows, rng):
    group: Any = zarr.open_group(log.path / "streams", mode="r")
    for name, total in rows.items():
        data, times = rows_of(log.streams[name], 0, total)
        assert log.num_rows(name) == total
        for _ in range(6):
            start, stop = sorted(rng.integers(0, total + 1, 2))
            got = log.read(name, start, stop)
            assert np.array_equal(got.data, data[start:stop])
            assert np.array_equal(got.t_ns, times[start:stop])
            parts = [part.data for part in log.blocks(name, start, stop)]
            assert np.array_equal(np.concatenate([data[:0], *parts]), data[start:stop])
        assert np.array_equal(log.index(name)[:, 0], times)
        assert np.array_equal(group[f"{layout.folder_name(name)}/data"][:], data)
        assert np.array_equal(group[f"{layout.folder_name(name)}/index"][0], times)


def test_all_columns_come_back(tmp_path):
    with StreamLog.create(tmp_path / "run.zarr", STREAMS) as writer:
        data = np.arange(12, dtype=np.float32).reshape(4, 3)
        unsigned = np.arange(4, dtype=np.uint64)
        writer.append("/imu/data", data, [1, 2, 3, 4], [5, 6, 7, 8], unsigned, np.arange(4, dtype=np.int32), 9)
        writer.append("/imu/data", data[:1], 11)
    rows = StreamLog.open(tmp_path / "run.zarr").read("/imu/data")
    assert rows.index[:4].tolist() == [[1, 5, 0, 0, 9], [2, 6, 1, 1, 9], [3, 7, 2, 2, 9], [4, 8, 3, 3, 9]]
    assert rows.index[4].tolist() == [11, 11, -1, 0, -1]


def test_what_was_read_belongs_to_the_caller(tmp_path):
    log = StreamLog.open(make_log(tmp_path / "run.zarr"))
    for start, stop in ((0, 3), (0, 8), (20, 21)):
        rows = log.read("cam", start, stop)
        rows.data[:] = 0
        rows.index[:] = 0
    for rows in log.blocks("cam"):
        rows.data[:] = 0
    assert all_right(log)


@pytest.mark.parametrize(
    ("name", "data", "times", "said"),
    [
        ("cm", np.zeros((1, 4, 5, 3), np.uint8), [1], "did you mean 'cam'"),
        ("cam", np.zeros((1, 4, 5, 3), np.int8), [1], "expected uint8"),
        ("cam", np.zeros((4, 5, 3), np.uint8), [1], "expected uint8"),
        ("flag", np.bool_(True), [1], "expected bool"),
        ("/imu/data", np.zeros((2, 3), np.float32), [1.0, 2.0], "are integers"),
        ("/imu/data", np.zeros((2, 3), np.float32), [1, 2, 3], "one a row"),
        ("/imu/data", np.zeros((2, 3), np.float32), np.uint64(2**63), "64 bits"),
        ("/imu/data", np.zeros((2, 3), np.float32), [2**70, 1], "64 bits"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_taken(tmp_path, name, data, times, said):
    with StreamLog.create(tmp_path / "run.zarr", STREAMS) as writer:
        with pytest.raises(LogError, match=said):
            writer.append(name, data, times)
        assert not any(map(writer.num_rows, writer.streams))


def test_episodes_and_notes(tmp_path):
    with StreamLog.create(tmp_path / "run.zarr", STREAMS) as writer:
        writer.begin_episode(5, lane=1, tick=2, task="reach")
        writer.begin_episode(6, lane=0)
        writer.end_episode(9, lane=1, tick=4, kind="truncated", steps=3)
        writer.begin_episode(10, lane=0)
        writer.note("one", "two")
        with pytest.raises(LogError, match="no episode of lane 1"):
            writer.end_episode(11, lane=1)
        with pytest.raises(LogError, match="did you mean 'truncated'"):
            writer.end_episode(11, kind="truncate")
        with pytest.raises(LogError, match="must be JSON"):
            writer.begin_episode(11, what=object())
    with StreamLog.append_to(tmp_path / "run.zarr") as writer:
        writer.end_episode(20)
    log = StreamLog.open(tmp_path / "run.zarr")
    assert [(e.lane, e.start_ns, e.end_ns, e.end_kind) for e in log.episodes] == [
        (1, 5, 9, "truncated"),
        (0, 6, 10, "unknown"),
        (0, 10, 20, "unknown"),
    ]
    assert log.episodes[0].facts == {"task": "reach", "steps": 3}
    assert log.notes == ["one", "two"]


def test_rows_are_committed_within_flush_s_without_asking(tmp_path):
    with StreamLog.create(tmp_path / "run.zarr", STREAMS, flush_s=0.02) as writer:
        add_rows(writer, "cam", 3)
        log, end = StreamLog.open(tmp_path / "run.zarr"), time.monotonic() + 10
        while not log.num_rows("cam") and time.monotonic() < end:
            log.refresh()
        assert log.num_rows("cam") == 3
        before = log.num_commits
        time.sleep(0.1)
        assert not log.refresh()  # nothing new, no commit
        assert log.num_commits == before


def test_an_error_of_the_block_is_not_hidden_and_rows_are_kept(tmp_path, monkeypatch):
    with pytest.raises(ZeroDivisionError):
        _record_until_it_breaks(tmp_path / "a.zarr", lambda: None)
    assert StreamLog.open(tmp_path / "a.zarr").num_rows("cam") == 5
    with pytest.raises(ZeroDivisionError):
        _record_until_it_breaks(tmp_path / "b.zarr", lambda: monkeypatch.setattr(layout, "os", FaultyOs(0)))
    assert StreamLog.open(tmp_path / "b.zarr").num_rows("cam") == 0


def _record_until_it_breaks(path, before):
    with StreamLog.create(path, STREAMS, flush_s=60.0) as writer:
        add_rows(writer, "cam", 5)
        before()
        _ = 1 // 0


def test_a_closed_writer_says_so(tmp_path):
    writer = StreamLog.create(tmp_path / "run.zarr", STREAMS)
    writer.close()
    writer.close()  # a second time does nothing
    for use in (writer.flush, lambda: add_rows(writer, "cam", 1), lambda: writer.begin_episode(0)):
        with pytest.raises(LogError, match="is closed"):
            use()


def test_an_error_that_nobody_foresaw_ends_recording_too(tmp_path, monkeypatch):
    writer = StreamLog.create(tmp_path / "run.zarr", STREAMS, chunk_rows=CHUNK_ROWS)
    add_rows(writer, "cam", 2)
    writer.flush()
    monkeypatch.setattr(committer, "commit_lines", lambda *state: 1 // 0)
    add_rows(writer, "cam", 2)
    with pytest.raises(LogError, match="ZeroDivisionError"):
        writer.flush()
    with pytest.raises(LogError, match="ZeroDivisionError"):
        writer.close()
    assert StreamLog.open(tmp_path / "run.zarr").num_rows("cam") == 2


@pytest.mark.parametrize("number", [30, 13, 2])  # EROFS, EACCES, ENOENT
def test_a_disk_that_may_not_be_written_is_named(tmp_path, monkeypatch, number):
    path = make_log(tmp_path / "run.zarr")

    def refuse():
        raise OSError(number, os.strerror(number))

    for use in (StreamLog.append_to, compact_log, lambda p: StreamLog.create(p.with_name("new.zarr"), STREAMS)):
        monkeypatch.setattr(layout, "os", FaultyOs(0, fault=refuse))
        with pytest.raises(LogError, match=os.strerror(number)):
            use(path)
        monkeypatch.undo()
    assert all_right(StreamLog.open(path))
    assert [p.name for p in tmp_path.iterdir()] == ["run.zarr"]


def test_taken_folders_are_refused(tmp_path):
    make_log(tmp_path / "run.zarr")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "run.zarr")
    for name in ("run.zarr", "file", "link"):
        with pytest.raises(LogError, match="exists; record to a new folder"):
            StreamLog.create(tmp_path / name, STREAMS)
    (tmp_path / "empty").mkdir()
    StreamLog.create(tmp_path / "empty", STREAMS).close()
    with pytest.raises(LogError):
        StreamLog.create(tmp_path / "file" / "run.zarr", STREAMS)
    with pytest.raises(LogError, match="flush_s is 0"):
        StreamLog.create(tmp_path / "other.zarr", STREAMS, flush_s=0)


def test_changed_streams_are_refused_by_name_or_open_an_epoch(tmp_path):
    path = make_log(tmp_path / "run.zarr")
    slower = LogStream(SensorSpec("cam", "camera", (4, 5, 3), "uint8", 10.0))
    for streams, said in (([CAM, IMU], "'flag' is gone"), ([slower, IMU, FLAG], "'cam' was .* at 20 Hz, now .* 10 Hz")):
        with pytest.raises(LogError, match=said):
            StreamLog.append_to(path, streams)
    with StreamLog.append_to(path, [slower, IMU], on_change="epoch") as writer:
        add_rows(writer, "cam", 2)
    with StreamLog.append_to(path, [slower, IMU]) as writer:
        add_rows(writer, "cam", 2)
    epochs = StreamLog.open(path).epochs
    assert [log.num_rows("cam") for log in epochs] == [21, 4]
    assert all(map(all_right, epochs))
    compact_log(path)
    assert [log.num_rows("cam") for log in StreamLog.open(path).epochs] == [21, 4]
    assert verify_log(path).is_sound


def test_single_rows_are_cheap(tmp_path):
    rows, times = np.zeros((1, 3), np.float32), np.array([7])
    with StreamLog.create(tmp_path / "run.zarr", [IMU], flush_s=60.0) as writer:
        start = time.thread_time()
        for _ in range(20_000):
            writer.append("/imu/data", rows, times)
        per_s = 20_000 / (time.thread_time() - start)
    assert per_s > 20_000  # 100,000 and more on an idle core; twenty times a 1 kHz sensor on any


def test_zarr_opens_streams_without_a_warning(tmp_path):
    group = zarr.open_group(make_log(tmp_path / "run.zarr") / "streams", mode="r")
    assert len(dict(group.members(max_depth=None))) == 9
    assert group["cam"].attrs["role"] == "sensor"
