from __future__ import annotations

import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imported import data_file
from mcap_samples import IMU, STRING, Mcap, imported

from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.importers.mcap import McapImporter

pytest.importorskip("mcap", reason="needs the extra mcap")

REAL = ("rosbag2_cdr_test_0.mcap", "rosbag2_talker.mcap", "rosbag2_test_bag_for_seek_0.mcap")


def flat_rosbags(message: Any, prefix: str = "") -> dict[str, list[Any]]:
    """Return path to values of a message that rosbags decoded, arrays of messages by element."""
    table: dict[str, list[Any]] = {}
    for name, value in vars(message).items():
        parts = value if isinstance(value, list | tuple | np.ndarray) else [value]
        for part in parts:
            if hasattr(part, "__msgtype__"):
                mark = "[]." if parts is value else "."
                for path, values in flat_rosbags(part, f"{prefix}{name}{mark}").items():
                    table.setdefault(path, []).extend(values)
            else:
                table.setdefault(prefix + name, []).append(part)
    return table


def field_path(field: str) -> str:
    """Return the path of ``path`` or ``path[3]``; arrays of messages have ``[]`` within."""
    return re.sub(r"\[\d+\]$", "", field)


def compare_message(log: StreamLog, topic: str, table: dict[str, list[Any]], number: int) -> int:
    """Compare message ``number`` of a topic with what rosbags decoded; return how many values."""
    compared = 0
    for name, stream in log.streams.items():
        if name.split("#")[0] != topic:
            continue
        row = log.read(name, number, number + 1).data[0]
        if stream.role == "text":
            assert row.tobytes().rstrip(b"\0").decode() == table[name.partition("#")[2] or "data"][0]
        else:
            parts = [np.array(table[field_path(field)]).ravel() for field in log.facts["fields"][name]]
            expected = np.concatenate([part.astype(stream.sensor.dtype) for part in parts])
            assert all(part.dtype == np.int8 or (part == part.astype(stream.sensor.dtype)).all() for part in parts)
            np.testing.assert_array_equal(row, expected)
        compared += row.size
    return compared


@pytest.mark.parametrize("name", REAL)
def test_real_files_hold_the_numbers_and_text_that_rosbags_reads(name: str, tmp_path: Path) -> None:
    rosbags = pytest.importorskip("rosbags.highlevel", reason="needs the extra ros")
    path = data_file(f"mcap/{name}")
    log, report = imported(path, tmp_path)
    seen: dict[str, int] = {}
    compared = 0
    with rosbags.AnyReader([path]) as reader:
        for connection, t_ns, raw in reader.messages():
            kind = connection.msgtype if "/msg/" in connection.msgtype else connection.msgtype.replace("/", "/msg/")
            table = flat_rosbags(reader.deserialize(raw, kind))
            number = seen.get(connection.topic, 0)
            seen[connection.topic] = number + 1
            compared += compare_message(log, connection.topic, table, number)
            assert log.index(next(s for s in log.streams if s.split("#")[0] == connection.topic))[number, 1] == t_ns
    assert {stream: seen[stream.split("#")[0]] for stream in log.streams} == report.rows
    assert compared >= 60


def test_real_talker_by_hand(tmp_path: Path) -> None:
    log, report = imported(data_file("mcap/rosbag2_talker.mcap"), tmp_path)
    rows = log.read("/topic")
    assert [row.tobytes() for row in rows.data] == [f"Hello, world! {i}".encode() for i in range(10)]
    assert rows.seq.tolist() == list(range(10))
    assert (rows.t_ns == rows.t_recv_ns).all()
    rosout = log.read("/rosout")
    assert (rosout.t_ns < rosout.t_recv_ns).all()  # its own stamp is a little before the recorder's time
    assert log.facts["constants"]["/rosout"]["name"] == "minimal_publisher"
    assert report.notes == []


def test_real_file_without_sequence_numbers_says_so(tmp_path: Path) -> None:
    log, report = imported(data_file("mcap/rosbag2_test_bag_for_seek_0.mcap"), tmp_path)
    assert (log.index("topic1")[:, 2] == -1).all()
    assert log.streams["topic1"].sensor.rate_hz == 10.0
    assert log.read("topic1#int32").data[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert ["no sequence numbers" in note for note in report.notes] == [True]


def test_stamp_sequence_and_arrival_time_are_kept_apart(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    for i in range(5):
        file.ros("/imu", IMU, file.imu(i, 10 + i, 7), log_time=10**10 + i * 10**9 + 99, publish_time=1, sequence=i + 3)
    log, _ = imported(file.finish(), tmp_path)
    rows = log.read("/imu")
    assert rows.t_ns.tolist() == [(10 + i) * 10**9 + 7 for i in range(5)]
    assert rows.t_recv_ns.tolist() == [10**10 + i * 10**9 + 99 for i in range(5)]
    assert rows.seq.tolist() == [3, 4, 5, 6, 7]
    np.testing.assert_array_equal(rows.data, [[i, i + 0.5, i + 0.25] for i in range(5)])
    assert log.facts["fields"] == {"/imu": ["gyro.x", "gyro.y", "gyro.z"]}
    assert log.facts["constants"] == {"/imu": {"header.frame_id": "base"}}
    assert (log.episodes[0].start_ns, log.episodes[0].end_ns) == (10 * 10**9 + 7, 14 * 10**9 + 7)


def test_zero_stamps_fall_back_to_the_publish_time_and_are_counted(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    for i, seconds in enumerate((1, 0, 2)):
        file.ros("/imu", IMU, file.imu(i, seconds, 0), log_time=5 * 10**9, publish_time=4 * 10**9 + i)
    log, report = imported(file.finish(), tmp_path)
    assert log.index("/imu")[:, 0].tolist() == [10**9, 4 * 10**9 + 1, 2 * 10**9]
    assert any("1 of 3 stamps are zero" in note for note in report.notes)


def test_out_of_order_and_duplicated_messages_keep_the_order_of_the_file(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    order = [3, 1, 1, 2, 0]
    for i in order:
        file.ros("/imu", IMU, file.imu(i, 100 + i, 0), log_time=10**11 + i, sequence=i)
    log, _ = imported(file.finish(), tmp_path)
    assert log.read("/imu").data[:, 0].tolist() == order
    assert log.index("/imu")[:, 0].tolist() == [(100 + i) * 10**9 for i in order]


def test_ragged_arrays_are_padded_and_their_lengths_kept(tmp_path: Path) -> None:
    definition = "float32[] ranges\nint16[] codes\nfloat32[] steady\nstring[] names"
    file = Mcap(tmp_path / "a.mcap")
    for count in (1, 3, 0):
        ranges, codes = [float(i) for i in range(count)], list(range(10, 10 + count))
        message = {"ranges": ranges, "codes": codes, "steady": [1.0, 2.0], "names": ["a", "b"]}
        file.ros("/scan", ("x/msg/Scan", definition), message, log_time=count * 10**9)
    log, report = imported(file.finish(), tmp_path)
    nan = np.nan
    expected = [[0, nan, nan, 1, 2], [0, 1, 2, 1, 2], [nan, nan, nan, 1, 2]]
    np.testing.assert_array_equal(log.read("/scan").data, np.array(expected, np.float32))
    np.testing.assert_array_equal(log.read("/scan#int16").data, [[10, 0, 0], [10, 11, 12], [0, 0, 0]])
    np.testing.assert_array_equal(log.read("/scan#uint32").data, [[1, 1], [3, 3], [0, 0]])
    assert log.facts["fields"]["/scan#uint32"] == ["len(ranges)", "len(codes)"]
    assert log.facts["constants"]["/scan"] == {"names": "a\nb"}
    assert {s.role for s in log.streams.values() if s.name != "/scan"} == {"other"}
    assert not [note for note in report.notes if "left out" in note]


def test_too_long_arrays_and_texts_are_named(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    kind = ("x/msg/Big", "float32[] long\nfloat32 short\nstring text")
    for i in range(2):
        file.ros("/big", kind, {"long": [0.0] * 9, "short": float(i), "text": "grün" + "!" * i}, log_time=i)
    log, report = imported(file.finish(), tmp_path, max_length=8, max_text=4)
    assert log.read("/big").data.tolist() == [[0.0], [1.0]]
    assert [row.tobytes() for row in log.read("/big#text").data] == ["grü".encode()] * 2  # ü takes two bytes
    assert any("field long was left out of 2 messages" in note for note in report.notes)
    assert any("cut to max_text=4" in note for note in report.notes)


def test_arrays_of_messages_become_arrays_of_their_fields(tmp_path: Path) -> None:
    definition = "geo/Point[] points\n" + "=" * 80 + "\nMSG: geo/Point\nfloat64 x\nfloat64 y\n"
    file = Mcap(tmp_path / "a.mcap")
    for count in (2, 1):
        points = [{"x": float(i), "y": -float(i)} for i in range(count)]
        file.ros("/path", ("geo/msg/Path", definition), {"points": points}, log_time=count)
    log, _ = imported(file.finish(), tmp_path)
    assert log.facts["fields"]["/path"] == ["points[].x[2]", "points[].y[2]"]
    np.testing.assert_array_equal(log.read("/path").data, [[0, 1, 0, -1], [0, np.nan, -0.0, np.nan]])
    assert log.read("/path#uint32").data.tolist() == [[2], [1]]


def test_json_takes_types_from_schema_and_values(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"v": {"type": "number"}, "n": {"type": "integer"}}}
    file = Mcap(tmp_path / "a.mcap")
    rows = [
        {"v": 1, "n": 2**60, "ok": True, "deep": {"a": [1.5, 2]}, "gap": 3, "say": "hi"},
        {"v": 2.5, "n": -1, "ok": False, "deep": {"a": [3, 4]}, "gap": None, "say": "ho"},
    ]
    for i, row in enumerate(rows):
        file.json("/j", row, json.dumps(schema).encode(), log_time=i * 10**8)
    log, report = imported(file.finish(), tmp_path)
    assert log.facts["fields"] == {"/j": ["v", "deep.a[2]", "gap"], "/j#int64": ["n"], "/j#bool": ["ok"]}
    np.testing.assert_array_equal(log.read("/j").data, [[1, 1.5, 2, 3], [2.5, 3, 4, np.nan]])
    assert log.read("/j#int64").data[:, 0].tolist() == [2**60, -1]
    assert [row.tobytes() for row in log.read("/j#say").data] == [b"hi", b"ho"]
    assert any("gap is missing in 1 messages" in note for note in report.notes)


def test_protobuf_keeps_declared_types_and_its_timestamp(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    for i in range(3):
        file.protobuf("/p", seconds=50 + i, nanos=5, torque=0.5 + i, joints=[1.0, 2.0], mode=i, big=2**40 + i)
    log, report = imported(file.finish(), tmp_path)
    rows = log.read("/p")
    assert rows.t_ns.tolist() == [(50 + i) * 10**9 + 5 for i in range(3)]
    assert {name: s.sensor.dtype for name, s in log.streams.items()} == {
        "/p": "float64", "/p#float32": "float32", "/p#int32": "int32", "/p#uint64": "uint64"
    }  # fmt: skip
    np.testing.assert_array_equal(rows.data, [[1, 2]] * 3)
    np.testing.assert_array_equal(log.read("/p#float32").data, np.array([[0.5], [1.5], [2.5]], np.float32))
    assert log.read("/p#uint64").data[:, 0].tolist() == [2**40, 2**40 + 1, 2**40 + 2]
    assert any("field table was left out" in note for note in report.notes)  # a map


def test_topics_can_be_chosen_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    file.ros("/a", STRING, {"data": "x"}, log_time=1)
    file.ros("/b", STRING, {"data": "y"}, log_time=2)
    path = file.finish()
    assert list(imported(path, tmp_path, topics="/b")[0].streams) == ["/b"]
    with pytest.raises(LogError, match=r"no topic '/bb'.*did you mean '/b'"):
        McapImporter(path, topics="/bb").streams()
    with pytest.raises(LogError, match="option max_text is 'much'"):
        McapImporter(path, max_text="much")  # pyright: ignore[reportArgumentType]


def test_other_encodings_and_broken_messages_are_counted(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    file.ros("/imu", IMU, file.imu(1, 1, 0), log_time=10**9)
    file.raw("/imu", b"\0\1\0\0\1", log_time=2 * 10**9)
    other = file.writer.register_channel("/flat", "flatbuffer", file.writer.register_schema("x", "flatbuffer", b"?"))
    file.writer.add_message(other, 1, b"??", 1)
    log, report = imported(file.finish(), tmp_path)
    assert report.rows == {"/imu": 1}
    assert any(note.startswith("/imu: 1 messages left out: each cannot be decoded") for note in report.notes)
    assert any(note.startswith("/flat: 1 messages left out: each cannot be read") for note in report.notes)
    assert log.num_rows("/imu") == 1


def test_cdr_lengths_are_checked_before_memory_is_taken(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    kind = ("x/msg/Blob", "float64[] values")
    file.ros("/b", kind, {"values": [1.0]}, log_time=1)
    file.raw("/b", b"\0\1\0\0" + struct.pack("<I", 2**32 - 1) + bytes(16), log_time=2)
    _, report = imported(file.finish(), tmp_path)
    assert any("an array of 4,294,967,295 elements in the 16 bytes" in note for note in report.notes)


def test_big_endian_messages_are_read(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    file.ros("/n", ("x/msg/N", "int16 a\nfloat64 b\nuint32[2] c"), {"a": 1, "b": 2.0, "c": [3, 4]}, log_time=1)
    body = io.BytesIO()
    body.write(struct.pack(">h6xd2I", -2, 0.125, 7, 2**31))
    file.raw("/n", b"\0\0\0\0" + body.getvalue(), log_time=2)
    log, _ = imported(file.finish(), tmp_path)
    assert log.read("/n").data[:, 0].tolist() == [2.0, 0.125]
    assert log.read("/n#int16").data[:, 0].tolist() == [1, -2]
    assert log.read("/n#uint32").data.tolist() == [[3, 4], [7, 2**31]]
