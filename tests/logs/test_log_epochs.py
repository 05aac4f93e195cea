"""Logs inside a log: what compact holds, which folders count, what a missing folder does."""

import shutil

import pytest
from logged import CAM, IMU, add_rows, all_right, make_log

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog, compact
from embodied_ssl.logs.epochs import schema_change
from embodied_ssl.logs.inspect import inspect_log
from embodied_ssl.logs.recover import recover_log
from embodied_ssl.logs.stream_facts import StretchFinder
from embodied_ssl.logs.verify import verify_log
from embodied_ssl.spec import SensorSpec


@pytest.fixture
def path(tmp_path):
    path = make_log(tmp_path / "run.zarr")
    with StreamLog.append_to(path, [CAM, IMU], on_change="epoch") as writer:
        add_rows(writer, "cam", 10)
    return path


def test_compact_holds_all_epochs_until_the_exchange(path, monkeypatch):
    real, refused = compact._refuse_unsound, []

    def meanwhile(aside, journal):
        with pytest.raises(LogError, match="being written"):
            StreamLog.append_to(path)
        with pytest.raises(LogError, match="being written"):
            StreamLog.append_to(path, [CAM], on_change="epoch")
        refused.append(aside)
        return real(aside, journal)

    monkeypatch.setattr(compact, "_refuse_unsound", meanwhile)
    compact.compact_log(path)
    assert len(refused) == 2
    assert [log.num_rows("cam") for log in StreamLog.open(path).epochs] == [21, 10]
    assert all(map(all_right, StreamLog.open(path).epochs))


def test_compact_refuses_while_an_epoch_is_written(path):
    with StreamLog.append_to(path), pytest.raises(LogError, match="being written"):
        compact.compact_log(path)
    assert [file.name for file in path.parent.iterdir()] == ["run.zarr"]


def test_only_numbered_folders_of_the_log_itself_are_epochs(path, tmp_path):
    (path / "epochs" / "²").mkdir()
    (path / "epochs" / "01").mkdir()
    assert len(StreamLog.open(path).epochs) == 2
    outside = make_log(tmp_path / "outside.zarr")
    precious = outside / "tail" / "precious.txt"
    precious.write_text("x")
    (path / "epochs" / "2").symlink_to(outside)
    for use in (recover_log, compact.compact_log, lambda p: StreamLog.open(p).epochs):
        with pytest.raises(LogError, match="symbolic link"):
            use(path)
    assert precious.exists()
    assert "symbolic link" in verify_log(path).problems[0]
    (path / "epochs" / "2").unlink()
    (path / "epochs" / "3").mkdir()
    with pytest.raises(LogError, match=r"epochs \[1, 3\]"):
        _ = StreamLog.open(path).epochs


@pytest.mark.parametrize("folder", ["streams/cam/index", "streams/cam", "tail"])
def test_a_missing_folder_is_reported(tmp_path, folder):
    path = make_log(tmp_path / "run.zarr")
    shutil.rmtree(path / folder)
    assert any("is missing" in problem for problem in verify_log(path).problems)
    assert inspect_log(path).damage


def test_a_missing_empty_tail_folder_is_mended(tmp_path):
    path = tmp_path / "run.zarr"
    with StreamLog.create(path, [CAM]):
        pass
    shutil.rmtree(path / "tail")
    assert "is missing" in verify_log(path).problems[0]
    assert recover_log(path) == ["made tail, which was missing"]
    assert verify_log(path).is_sound


def test_stretches_at_negative_times():
    import numpy as np

    for begin in (0, -5_000_000_000, -1):
        finder = StretchFinder(100)
        finder.take(np.ones(11, bool), begin + np.arange(11) * 100)
        finder.take(np.zeros(3, bool), begin + 1100 + np.arange(3) * 100)
        found = finder.finish()
        assert found.spans == [(begin, begin + 1000)]


def test_a_change_of_schema_is_told_by_name():
    def imu(size=3, name="imu"):
        return LogStream(SensorSpec(name, "imu", (size,), rate_hz=100.0))

    assert "stream 'imu' was sensor float32 (3,) at 100 Hz" in (schema_change([imu()], [imu(4)]) or "")
    assert schema_change([imu()], [imu(), imu(name="gps")]) == "stream 'gps' is new"
    assert schema_change([imu()], [imu()]) is None
