from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import STREAMS, make_log
from mcap_samples import imported

from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.exporters.mcap import McapExporter

pytest.importorskip("mcap", reason="needs the extra mcap")


def ignore(units: int) -> None:
    """Take progress and do nothing."""


@pytest.mark.parametrize("lanes", [1, 3])
def test_export_and_import_give_the_same_log(lanes: int, tmp_path: Path) -> None:
    log = make_log(tmp_path / "a.zarr", lanes)
    done: list[int] = []
    report = McapExporter(chunk_kb=4).write(log, tmp_path / "a.mcap", done.append)
    assert report.rows == {name: log.num_rows(name) for name in log.streams}
    assert sum(done) == sum(report.rows.values())
    back, _ = imported(tmp_path / "a.mcap", tmp_path)
    assert back.streams == log.streams
    for name in log.streams:
        before, after = log.read(name), back.read(name)
        np.testing.assert_array_equal(after.data, before.data)
        for lane in range(lanes):  # rows of lanes are merged by arrival, the order within a lane stays
            of_lane = before.lane == lane, after.lane == lane
            np.testing.assert_array_equal(after.index[of_lane[1]], before.index[of_lane[0]])
    assert back.facts["exported_from"] == log.facts
    key = lambda episode: (episode.lane, episode.start_ns)  # noqa: E731
    assert sorted(back.episodes, key=key) == sorted(log.episodes, key=key)


def test_messages_are_read_alike_by_mcap_ros2_support(tmp_path: Path) -> None:
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    log = make_log(tmp_path / "a.zarr")
    McapExporter().write(log, tmp_path / "a.mcap", ignore)
    seen = dict.fromkeys(log.streams, 0)
    with (tmp_path / "a.mcap").open("rb") as file:
        for _, channel, message, decoded in make_reader(
            file, decoder_factories=[DecoderFactory()]
        ).iter_decoded_messages():
            name = channel.topic
            row = log.read(name, seen[name], seen[name] + 1)
            seen[name] += 1
            stamp = decoded.header.stamp
            assert stamp.sec * 10**9 + stamp.nanosec == message.publish_time == row.t_ns[0]
            assert (message.log_time, message.sequence) == (row.t_recv_ns[0], row.seq[0])
            compare(log, name, row.data[0], decoded)
    assert seen == {name: log.num_rows(name) for name in log.streams}


def compare(log: StreamLog, name: str, row: np.ndarray, decoded: Any) -> None:
    """Compare one row with its message."""
    if hasattr(decoded, "encoding"):
        height, width, channels = row.shape
        said = {key: getattr(decoded, key) for key in ("height", "width", "encoding", "step", "is_bigendian")}
        encoding = {1: "mono8", 3: "rgb8"}[channels]
        expected = {"height": height, "width": width, "encoding": encoding, "step": width * channels}
        assert said == {**expected, "is_bigendian": 0}
        assert bytes(decoded.data) == row.tobytes()
    elif log.streams[name].role == "text":
        assert decoded.text.encode() == row.tobytes().rstrip(b"\0")
    else:
        np.testing.assert_array_equal(np.array(decoded.values), row.ravel())


def test_ros_tools_open_it(tmp_path: Path) -> None:
    rosbags = pytest.importorskip("rosbags.highlevel", reason="needs the extra ros")
    log = make_log(tmp_path / "a.zarr")
    McapExporter().write(log, tmp_path / "a.mcap", ignore)
    with rosbags.AnyReader([tmp_path / "a.mcap"]) as reader:
        [front] = [one for one in reader.connections if one.topic == "/cam/front"]
        pictures = [reader.deserialize(raw, front.msgtype).data for _, _, raw in reader.messages([front])]
    np.testing.assert_array_equal(pictures, log.read("/cam/front").data.reshape(len(pictures), -1))


def test_what_mcap_cannot_hold_is_refused_or_counted(tmp_path: Path) -> None:
    stream = STREAMS[3]
    rows = np.zeros((2, 3), np.float32)
    with StreamLog.create(tmp_path / "a.zarr", [stream], fsync=False) as writer:
        writer.append("/imu", rows, np.array([5, 6]), seq=np.array([1 << 32, 7]), tick=np.array([0, 1]))
    report = McapExporter().write(StreamLog.open(tmp_path / "a.zarr"), tmp_path / "a.mcap", ignore)
    assert any("tick numbers of 2 rows" in note for note in report.notes)
    assert any("1 sequence numbers beyond 32 bits" in note for note in report.notes)
    with pytest.raises(LogError, match="exists already"):
        McapExporter().write(StreamLog.open(tmp_path / "a.zarr"), tmp_path / "a.mcap", ignore)
    with StreamLog.create(tmp_path / "b.zarr", [stream], fsync=False) as writer:
        writer.append("/imu", rows, np.array([-5, 6]))
    with pytest.raises(LogError, match=r"before 0 \(-5 ns\)"):
        McapExporter().write(StreamLog.open(tmp_path / "b.zarr"), tmp_path / "b.mcap", ignore)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mcap", "a.zarr", "b.zarr"]
