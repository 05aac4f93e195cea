"""Small MCAP files for tests, written with the libraries of the formats themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.importers import ImportReport
from embodied_ssl.logs.importing import import_recording

RULE = "=" * 80
HEADER = f"""
{RULE}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{RULE}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
IMU = (
    "demo_msgs/msg/Imu",
    f"std_msgs/Header header\nVector3 gyro\nint32 KIND=3  # a constant\n{RULE}\nMSG: demo_msgs/Vector3\n"
    f"float64 x\nfloat64 y\nfloat64 z{HEADER}",
)
STRING = ("std_msgs/msg/String", "string data")


class Mcap:
    """An MCAP file being written."""

    def __init__(self, path: Path, **options: Any) -> None:
        from mcap.writer import Writer

        self.path, self._file = path, path.open("wb")
        self.writer = Writer(self._file, **options)
        self.writer.start(profile="ros2")
        self._channels: dict[str, int] = {}
        self._encoders: dict[str, Any] = {}

    @staticmethod
    def imu(value: float, seconds: int, nanoseconds: int) -> dict[str, Any]:
        stamp = {"sec": seconds, "nanosec": nanoseconds}
        gyro = {"x": float(value), "y": value + 0.5, "z": value + 0.25}
        return {"header": {"stamp": stamp, "frame_id": "base"}, "gyro": gyro}

    def ros(self, topic: str, kind: tuple[str, str], message: dict[str, Any], log_time: int, **fields: int) -> None:
        """Write a message, encoded by mcap-ros2-support."""
        from mcap_ros2._dynamic import serialize_dynamic

        if topic not in self._encoders:
            self._encoders[topic] = serialize_dynamic(*kind)[kind[0]]
            schema = self.writer.register_schema(kind[0], "ros2msg", kind[1].encode())
            self._channels[topic] = self.writer.register_channel(topic, "cdr", schema)
        self.raw(topic, self._encoders[topic](message), log_time, **fields)

    def json(self, topic: str, message: Any, schema: bytes, log_time: int, **fields: int) -> None:
        if topic not in self._channels:
            number = self.writer.register_schema("demo", "jsonschema", schema)
            self._channels[topic] = self.writer.register_channel(topic, "json", number)
        self.raw(topic, json.dumps(message).encode(), log_time, **fields)

    def protobuf(self, topic: str, seconds: int, nanos: int, **values: Any) -> None:
        from google.protobuf.descriptor_pool import DescriptorPool
        from google.protobuf.message_factory import GetMessageClass

        descriptors = joint_descriptors()
        pool = DescriptorPool()
        for file in descriptors.file:
            pool.Add(file)
        message = GetMessageClass(pool.FindMessageTypeByName("demo.Joint"))(**values, table={"a": 1})
        stamp: Any = getattr(message, "timestamp")  # noqa: B009
        stamp.seconds, stamp.nanos = seconds, nanos
        if topic not in self._channels:
            number = self.writer.register_schema("demo.Joint", "protobuf", descriptors.SerializeToString())
            self._channels[topic] = self.writer.register_channel(topic, "protobuf", number)
        self.raw(topic, message.SerializeToString(), seconds * 10**9 + 100)

    def raw(self, topic: str, data: bytes, log_time: int, publish_time: int | None = None, sequence: int = 0) -> None:
        published = log_time if publish_time is None else publish_time
        self.writer.add_message(self._channels[topic], log_time, data, published, sequence)

    def finish(self) -> Path:
        self.writer.finish()
        self._file.close()
        return self.path


def joint_descriptors() -> Any:
    """Return the descriptors of ``demo.Joint``, made without a compiler."""
    from google.protobuf import timestamp_pb2
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
        FileDescriptorSet,
    )

    def field(name: str, number: int, kind: int, repeated: bool = False, part: str = "") -> FieldDescriptorProto:
        label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
        return FieldDescriptorProto(name=name, number=number, type=kind, label=label, type_name=part or None)  # pyright: ignore[reportArgumentType]

    double, floating, text, message, unsigned, signed = 1, 2, 9, 11, 4, 5
    entry = DescriptorProto(name="TableEntry", field=[field("key", 1, text), field("value", 2, signed)])
    entry.options.map_entry = True
    joint = DescriptorProto(name="Joint", nested_type=[entry])
    joint.field.extend(
        [
            field("timestamp", 1, message, part=".google.protobuf.Timestamp"),
            field("torque", 2, floating),
            field("joints", 3, double, repeated=True),
            field("mode", 4, signed),
            field("big", 5, unsigned),
            field("table", 6, message, repeated=True, part=".demo.Joint.TableEntry"),
        ]
    )
    stamp = FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    demo = FileDescriptorProto(name="demo.proto", package="demo", syntax="proto3", dependency=[stamp.name])
    demo.message_type.append(joint)
    return FileDescriptorSet(file=[stamp, demo])


def imported(source: Path, folder: Path, name: str | None = "mcap", **options: Any) -> tuple[StreamLog, ImportReport]:
    """Import a file into a real log; progress reaches the total when nothing was lost."""
    out = folder / f"log{len(list(folder.iterdir()))}.zarr"
    shown: list[tuple[int, int | None]] = []
    report = import_recording(source, out, name, options, lambda done, total: shown.append((done, total)))
    log = StreamLog.open(out)
    assert shown[-1][0] <= (shown[-1][1] or 0) if shown else True
    assert report.rows == {stream: log.num_rows(stream) for stream in log.streams}
    return log, report
