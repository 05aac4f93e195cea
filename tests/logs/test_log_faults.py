"""The disk fails, or the process dies, at each single write, fsync and rename in turn."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from logged import CHUNK_ROWS, STREAMS, FaultyOs, add_rows, all_right, make_log

from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog, layout
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.recover import recover_log
from embodied_ssl.logs.verify import verify_log


def _record(path: Path, safe: list[int]) -> None:
    """Record; ``safe`` gets the rows of all streams after each flush."""
    if path.exists():
        writer = StreamLog.append_to(path, STREAMS, flush_s=60.0)
    else:
        writer = StreamLog.create(path, STREAMS, flush_s=60.0, chunk_rows=CHUNK_ROWS)
    with writer:
        for _ in range(2):
            add_rows(writer, "cam", 6)
            add_rows(writer, "/imu/data", 20)
            writer.flush()
            safe.append(sum(map(writer.num_rows, writer.streams)))
        add_rows(writer, "flag", 3)


def _refusal(path: Path, safe: list[int]) -> str | None:
    try:
        _record(path, safe)
    except LogError as error:
        return str(error)
    return None


def _check(path: Path, safe: list[int]) -> None:
    log = StreamLog.open(path)
    assert all_right(log)
    assert sum(map(log.num_rows, log.streams)) >= (safe[-1] if safe else 0)
    recover_log(path)
    assert recover_log(path) == []
    assert verify_log(path).problems == []
    _record(path, safe := [])
    assert all_right(log := StreamLog.open(path))
    assert sum(map(log.num_rows, log.streams)) == safe[-1] + 3


def _num_changes(monkeypatch, tmp_path) -> int:
    monkeypatch.setattr(layout, "os", counting := FaultyOs())
    _record(tmp_path / "counted", [])
    monkeypatch.undo()
    return counting.calls


EVERY = pytest.param(1, marks=pytest.mark.slow)


@pytest.mark.parametrize("is_lasting", [True, False])
@pytest.mark.parametrize("step", [EVERY, 13])
def test_a_full_disk_at_every_call_loses_nothing_committed(tmp_path, monkeypatch, is_lasting, step):
    total = _num_changes(monkeypatch, tmp_path)
    assert total > 60
    failed = 0
    for number in range(0, total, step):
        path, safe = tmp_path / f"{number}.zarr", []
        monkeypatch.setattr(layout, "os", FaultyOs(number, is_lasting))
        said = _refusal(path, safe)
        monkeypatch.undo()
        if said is not None:
            failed += 1
            assert "\n" not in said
            assert "No space left" in said
        if path.exists():
            _check(path, safe)
        else:
            assert not safe
    assert failed > total // step // 3


class _Told(list):
    """A list that tells another process what is put into it."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def append(self, rows):
        os.write(self.handle, f"{rows} ".encode())


@pytest.mark.parametrize("step", [EVERY, 13])
def test_a_death_at_every_call_loses_nothing_committed(tmp_path, monkeypatch, step):
    total = _num_changes(monkeypatch, tmp_path)
    for number in range(0, total, step):
        path = tmp_path / f"{number}.zarr"
        read_end, write_end = os.pipe()
        if not (child := os.fork()):
            monkeypatch.setattr(layout, "os", FaultyOs(number, fault=lambda: os.kill(os.getpid(), signal.SIGKILL)))
            _record(path, _Told(write_end))
            os._exit(0)
        os.close(write_end)
        os.waitpid(child, 0)
        safe = [int(word) for word in os.read(read_end, 4096).split()]
        os.close(read_end)
        if path.exists():
            _check(path, safe)
        else:
            assert not safe


def test_a_failed_compaction_leaves_the_old_log(tmp_path, monkeypatch):
    make_log(tmp_path / "whole.zarr")
    monkeypatch.setattr(layout, "os", counting := FaultyOs())
    compact_log(tmp_path / "whole.zarr")
    monkeypatch.undo()
    path = make_log(tmp_path / "run.zarr")
    for number in range(1, counting.calls - 2, 9):  # the first takes the lock, the last ones tidy up
        monkeypatch.setattr(layout, "os", FaultyOs(number))
        with pytest.raises(LogError, match="No space left"):
            compact_log(path)
        monkeypatch.undo()
        assert [p.name for p in sorted(tmp_path.iterdir())] == ["run.zarr", "whole.zarr"]
    assert verify_log(path).is_sound
    assert not StreamLog.open(path).is_compacted


def test_the_error_reaches_whoever_appends_next_and_training_can_go_on(tmp_path, monkeypatch):
    writer = StreamLog.create(tmp_path / "run.zarr", STREAMS, flush_s=0.01, chunk_rows=CHUNK_ROWS)
    add_rows(writer, "cam", 3)
    writer.flush()
    monkeypatch.setattr(layout, "os", FaultyOs(0))
    with pytest.raises(LogError, match="commits are intact"):
        _add_for_ever(writer)
    with pytest.raises(LogError, match="append_to"):
        writer.flush()
    with pytest.raises(LogError, match="No space left"):
        writer.close()
    monkeypatch.undo()
    log = StreamLog.open(tmp_path / "run.zarr")
    assert all_right(log)
    assert log.num_rows("cam") >= 3
    with StreamLog.append_to(tmp_path / "run.zarr") as writer:
        add_rows(writer, "cam", 3)
    assert all_right(StreamLog.open(tmp_path / "run.zarr"))


def _add_for_ever(writer):
    while True:
        add_rows(writer, "cam", 1)


FILL_DISK = """
import sys, resource, signal, numpy as np
from logged import STREAMS, add_rows
from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
writer = StreamLog.create(sys.argv[1], STREAMS[:1], flush_s=60.0, chunk_rows={"cam": 4096})
limit = int(sys.argv[2])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    while True:
        add_rows(writer, "cam", 500)
        writer.flush()
        print(writer.num_rows("cam"), flush=True)
except LogError as error:
    print(error)
"""


def _fill(path: Path, limit: int) -> None:
    words = [sys.executable, "-c", FILL_DISK, str(path), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": _paths()})
    *safe, error = done.stdout.splitlines()
    assert "recording to" in error
    assert "commits are intact" in error
    log = StreamLog.open(path)
    assert log.num_rows("cam") == int(safe[-1])
    assert all_right(log)


def _paths() -> str:
    return os.pathsep.join(sys.path)


def test_a_file_size_limit_stops_recording_and_keeps_what_was_committed(tmp_path):
    _fill(tmp_path / "run.zarr", 100_000)


def test_a_full_tmpfs_stops_recording_and_keeps_what_was_committed(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this account may not mount a tmpfs")
    try:
        _fill(tmp_path / "run.zarr", 0)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
