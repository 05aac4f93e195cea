"""Checked on self-made bags: written with rosbags' writers, compared with what was put in."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imported import data_file
from mcap_samples import imported

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.rosbag import RosbagImporter

pytest.importorskip("rosbags", reason="needs the extra ros")

COUNT = 6
KINDS = ("bag", "bag-bz2", "bag-lz4", "sqlite3", "mcap", "zstd-messages")


def numbers(i: int) -> np.ndarray:
    return np.arange(37.0) + i / 7


def imu(store: Any, i: int, **header: int) -> Any:
    stamp = store.types["builtin_interfaces/msg/Time"](sec=10 + i, nanosec=5)
    head = store.types["std_msgs/msg/Header"](stamp=stamp, frame_id="imu", **header)
    vector, turn = store.types["geometry_msgs/msg/Vector3"], store.types["geometry_msgs/msg/Quaternion"]
    v = numbers(i)
    parts = (turn(*v[:4]), v[4:13], vector(*v[13:16]), v[16:25], vector(*v[25:28]), v[28:])
    return store.types["sensor_msgs/msg/Imu"](head, *parts)


def scan(store: Any, i: int) -> Any:
    joint = store.types["std_msgs/msg/Float32MultiArray"]
    layout = store.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=i)
    return joint(layout, np.arange(i % 3 + 1, dtype=np.float32))


def write_bag(folder: Path, kind: str) -> Path:
    from rosbags.rosbag1 import Writer as Writer1
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
    from rosbags.rosbag2 import Writer as Writer2
    from rosbags.typesys import Stores, get_typestore

    first = kind.startswith("bag")
    store = get_typestore(Stores.ROS1_NOETIC if first else Stores.ROS2_HUMBLE)
    path = folder / ("a.bag" if first else "a")
    if first:
        writer: Any = Writer1(path)
        if kind != "bag":
            writer.set_compression(Writer1.CompressionFormat[kind[4:].upper()])
    else:
        writer = Writer2(
            path, version=9, storage_plugin=StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
        )
        if kind == "zstd-messages":
            writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    encode = store.serialize_ros1 if first else store.serialize_cdr
    with writer:
        names = {"/imu": "sensor_msgs/msg/Imu", "/scan": "std_msgs/msg/Float32MultiArray"}
        topics = {topic: writer.add_connection(topic, name, typestore=store) for topic, name in names.items()}
        for i in range(COUNT):
            header = {"seq": 40 + i} if first else {}
            for topic, message in (("/imu", imu(store, i, **header)), ("/scan", scan(store, i))):
                writer.write(topics[topic], (10 + i) * 10**9 + 1000, encode(message, names[topic]))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_self_made_bags_hold_what_was_put_in(kind: str, tmp_path: Path) -> None:
    path = write_bag(tmp_path, kind)
    assert RosbagImporter.recognises(path)
    log, report = imported(path, tmp_path, "rosbag")
    rows = log.read("/imu")
    np.testing.assert_array_equal(rows.data, [numbers(i) for i in range(COUNT)])
    assert rows.t_ns.tolist() == [(10 + i) * 10**9 + 5 for i in range(COUNT)]
    assert rows.t_recv_ns.tolist() == [(10 + i) * 10**9 + 1000 for i in range(COUNT)]
    assert rows.seq.tolist() == ([40 + i for i in range(COUNT)] if kind.startswith("bag") else [-1] * COUNT)
    nan = np.nan
    expected = np.array([[0, nan, nan], [0, 1, nan], [0, 1, 2]] * 2, np.float32)
    np.testing.assert_array_equal(log.read("/scan").data, expected)
    counts = log.read("/scan#uint32").data
    assert counts.tolist() == [[i, i % 3 + 1] for i in range(COUNT)]
    assert log.facts["constants"]["/imu"] == {"header.frame_id": "imu"}
    assert log.facts["fields"]["/scan#uint32"] == ["layout.data_offset", "len(data)"]
    assert any("layout.dim[].size was left out" in note for note in report.notes)
    assert (log.episodes[0].start_ns, log.episodes[0].end_ns) == (10 * 10**9 + 5, 15 * 10**9 + 1000)


@pytest.mark.parametrize("name", ["rosbag2_cdr_test_0.mcap", "rosbag2_test_bag_for_seek_0.mcap", "rosbag2_talker.mcap"])
def test_real_files_read_by_rosbags_and_by_the_mcap_importer_agree(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mcap", reason="needs the extra mcap")
    path = data_file(f"mcap/{name}")
    one, _ = imported(path, tmp_path, "mcap")
    other, _ = imported(path, tmp_path, "rosbag")
    assert one.streams == other.streams
    for stream in one.streams:
        np.testing.assert_array_equal(one.read(stream).data, other.read(stream).data)
        np.testing.assert_array_equal(one.index(stream)[:, :2], other.index(stream)[:, :2])


def test_a_cut_bag_and_a_chunk_that_declares_too_much_are_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path, "bag-bz2")
    data = path.read_bytes()
    at = data.index(b"size=") + 5
    path.write_bytes(data[:at] + struct.pack("<I", 2**32 - 1) + data[at + 4 :])
    with pytest.raises(LogError, match=r"declares 4,294,967,295 bytes, more than 1,073,741,824"):
        RosbagImporter(path).streams()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(LogError, match="cut short at byte"):
        RosbagImporter(path).streams()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.bag", b"", "empty"),
        ("a.bag", b"version https://git-lfs.github.com/spec/v1\n", "Git-LFS pointer"),
        ("a.bag", b"nothing of the kind", "wrong magic bytes"),
        ("a.db3", b"SQLite format 3\0" + bytes(100), "rosbags cannot open it"),
    ],
)
def test_files_of_other_kinds_are_named(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogError, match=says):
        RosbagImporter(tmp_path / name).streams()


def test_a_folder_with_a_pointer_instead_of_data_is_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path, "sqlite3")
    next(path.glob("*.db3")).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(LogError, match="Git-LFS pointer"):
        RosbagImporter(path).streams()
