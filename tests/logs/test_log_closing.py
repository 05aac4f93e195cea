"""Closing a log while other threads append, flush, or Ctrl-C strikes; memory; what is too long for a commit."""

import os
import resource
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest
import zarr
from logged import CHUNK_ROWS, IMU, STREAMS, FaultyOs, add_rows, all_right, make_log

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog, commit_lines, layout
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.verify import verify_log
from embodied_ssl.spec import SensorSpec


def test_rows_appended_while_another_thread_closes_count_or_are_refused(tmp_path):
    for number in range(6):
        path = tmp_path / f"{number}.zarr"
        writer = StreamLog.create(path, STREAMS, fsync=False, chunk_rows=CHUNK_ROWS)
        taken, said = [0], []

        def go(writer=writer, taken=taken, said=said):
            try:
                while True:
                    add_rows(writer, "/imu/data", 3)
                    taken[0] += 3
            except LogError as error:
                said.append(str(error))

        thread = threading.Thread(target=go)
        thread.start()
        time.sleep(0.02)
        writer.close()
        thread.join(5)
        assert "is closed" in said[0]
        log = StreamLog.open(path)
        assert log.num_rows("/imu/data") == taken[0]
        assert all_right(log)


def test_a_flush_during_close_ends(tmp_path):
    writer = StreamLog.create(tmp_path / "run.zarr", STREAMS, fsync=False)

    def go():
        try:
            while True:
                writer.flush()
        except LogError:
            pass

    threads = [threading.Thread(target=go, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    add_rows(writer, "cam", 5)
    writer.close()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


def test_ctrl_c_in_close_waits_for_the_thread_and_keeps_the_lock(tmp_path, monkeypatch):
    path = tmp_path / "run.zarr"
    writer = StreamLog.create(path, STREAMS, flush_s=100)
    add_rows(writer, "cam", 10)
    real, refused = layout.AppendFile.append, []

    def slow(self, parts):
        time.sleep(0.3)
        with pytest.raises(LogError, match="being written"):
            StreamLog.append_to(path)
        refused.append(True)
        return real(self, parts)

    monkeypatch.setattr(layout.AppendFile, "append", slow)
    for after in (0.1, 0.2):
        threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    assert refused
    assert writer._committer.has_ended
    monkeypatch.undo()
    StreamLog.append_to(path).close()
    assert StreamLog.open(path).num_rows("cam") == 10


def test_facts_and_notes_that_are_too_long_are_refused_at_the_call(tmp_path):
    with StreamLog.create(tmp_path / "run.zarr", STREAMS) as writer:
        for use in (lambda: writer.begin_episode(0, text="x" * 70_000), lambda: writer.note("x" * 70_000)):
            with pytest.raises(LogError, match="expected at most 65,536"):
                use()
        writer.begin_episode(0, facts={"tick": "abc", "lane": 3, "rate": float("nan")})
        with pytest.raises(LogError, match="unknown kind of end 'open'"):
            writer.end_episode(1, kind="open")
    assert StreamLog.open(tmp_path / "run.zarr").episodes[0].facts == {"tick": "abc", "lane": 3, "rate": None}
    with pytest.raises(LogError, match="expected at most"):
        StreamLog.create(tmp_path / "other.zarr", STREAMS, {"a": "x" * (9 << 20)})


def test_a_commit_that_is_too_long_becomes_several_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(commit_lines, "SPLIT_BYTES", 400)
    monkeypatch.setattr(commit_lines, "SPLIT_CHUNKS", 3)
    path = make_log(tmp_path / "run.zarr")
    with StreamLog.append_to(path, flush_s=60.0) as writer:
        add_rows(writer, "cam", 50)
        add_rows(writer, "/imu/data", 300)
        for number in range(20):
            writer.begin_episode(number, lane=7)
    log = StreamLog.open(path)
    assert log.num_commits > 10
    assert len(log.episodes) == 22
    assert log.num_rows("cam") == 71
    assert all_right(log)
    lines = (path / "commit.jsonl").read_bytes().splitlines(keepends=True)
    shapes = [file for file in path.glob("streams/*/*/zarr.json")]
    for file in shapes:
        file.unlink()
    for count in range(len(lines) - 1, 4, -1):  # whoever reads between two lines finds a sound log, once rows are there
        (path / "commit.jsonl").write_bytes(b"".join(lines[:count]))
        part = StreamLog.open(path, skip_corrupt=True)
        assert not part.corrupt
        assert part.num_rows("cam") <= 71
    (path / "commit.jsonl").write_bytes(b"".join(lines))
    compact_log(path, shard_bytes=500)
    log = StreamLog.open(path)
    assert log.num_commits > 5
    assert len(log.episodes) == 22
    assert all_right(log)
    assert verify_log(path).is_sound


def test_other_libraries_still_read_committed_rows_after_append_to(tmp_path):
    path = make_log(tmp_path / "run.zarr")
    writer = StreamLog.append_to(path, flush_s=60.0)
    group: Any = zarr.open_group(path / "streams", mode="r")
    for name, stream in writer.streams.items():
        rows = group[f"{layout.folder_name(name)}/data"][:]
        assert np.array_equal(rows, StreamLog.open(path).read(name).data), stream
    writer.close()
    assert verify_log(path).notes == []


def test_chunks_that_wait_for_a_commit_hold_no_memory(tmp_path):
    stream = LogStream(SensorSpec("a", "vector", (1 << 20,), "uint8"))
    writer = StreamLog.create(tmp_path / "run.zarr", [stream], fsync=False, flush_s=3600)
    zeros = np.zeros((16, 1 << 20), np.uint8)
    for _ in range(6):
        writer.append("a", zeros, np.arange(16))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(24):  # 384 MiB
        writer.append("a", zeros, np.arange(16))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    writer.close()
    assert grown < 128


def test_rows_of_a_chunk_that_closes_while_they_go_to_the_tail_stay_what_they_are(tmp_path, monkeypatch):
    """The chunk is written, and its memory could be used again, before the commit has copied its rows."""
    writer = StreamLog.create(tmp_path / "run.zarr", [IMU], flush_s=60.0, chunk_rows={"/imu/data": 16})
    add_rows(writer, "/imu/data", 10)
    real = writer._committer._tail.write

    def late(parts, rotate):
        monkeypatch.undo()
        parts = list(parts)
        for _ in range(6):
            add_rows(writer, "/imu/data", 16)
            time.sleep(0.02)
        return real(parts, rotate)

    monkeypatch.setattr(writer._committer._tail, "write", late)
    writer.flush()
    assert all_right(StreamLog.open(tmp_path / "run.zarr"))
    writer.close()
    assert all_right(StreamLog.open(tmp_path / "run.zarr"))


def test_a_piece_after_a_failed_one_goes_where_it_belongs(tmp_path, monkeypatch):
    file = layout.AppendFile(tmp_path / "a", 0, sync=True)
    file.append([b"one"])
    monkeypatch.setattr(layout, "os", FaultyOs(1, is_lasting=False))
    with pytest.raises(OSError, match="No space"):
        file.append([b"lost"])
    monkeypatch.undo()
    file.append([b"two"])
    file.close()
    assert (tmp_path / "a").read_bytes() == b"onetwo"


def test_what_a_killed_create_left_goes_away_with_the_next(tmp_path):
    if not (child := os.fork()):
        layout.os = FaultyOs(5, fault=lambda: os.kill(os.getpid(), 9))
        StreamLog.create(tmp_path / "run.zarr", STREAMS)
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(tmp_path.glob(".run.zarr.creating.*"))) == 1
    StreamLog.create(tmp_path / "run.zarr", STREAMS).close()
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"]


def test_a_kill_while_closing_is_no_damage(tmp_path):
    path = make_log(tmp_path / "run.zarr")
    if not (child := os.fork()):
        writer = StreamLog.append_to(path, flush_s=60.0)
        add_rows(writer, "cam", 3)
        writer.flush()
        real, calls = layout.write_aside, []

        def one_only(*words):
            real(*words)
            calls.append(words)
            if "data" in str(words[0]) and words[0].name == "zarr.json":
                os.kill(os.getpid(), 9)

        layout.write_aside = one_only
        writer.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 9
    check = verify_log(path)
    assert check.problems == []
    assert "24 rows of data and 21 of index" in check.notes[0]
    assert all_right(StreamLog.open(path))
