"""Rows of a log as ROS 2 messages (CDR, little-endian): pictures, text, and arrays of one type of number.

Types: pictures are ``sensor_msgs/msg/Image``, which ROS tools and Foxglove show; other rows are types of our own with
a ``std_msgs/Header`` whose stamp is the capture time. Definitions go into the file, so any reader knows them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from embodied_ssl.logs.schema import LogStream

_RULE = "=" * 80
_HEADER = f"""{_RULE}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{_RULE}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
_IMAGE = f"""std_msgs/Header header
uint32 height
uint32 width
string encoding
uint8 is_bigendian
uint32 step
uint8[] data
{_HEADER}"""
_ENCODINGS = {1: "mono8", 3: "rgb8", 4: "rgba8"}


class RowType:
    """How the rows of one stream become messages.

    Attributes:
        name: of the message type.
        definition: its text.
        undecodable: rows of text that were no UTF-8, written with replacement letters.
    """

    name: str
    definition: str

    def __init__(self, stream: LogStream) -> None:
        """Choose the type that fits a stream."""
        self._stream, self.undecodable = stream, 0
        shape = stream.sensor.shape
        if stream.sensor.is_image and shape[2] in _ENCODINGS:
            self.name, self.definition = "sensor_msgs/msg/Image", _IMAGE
            self._body: Callable[[np.ndarray], bytes] = self._image
        elif stream.role == "text":
            self.name, self.definition = "embodied_ssl/msg/Text", f"std_msgs/Header header\nstring text\n{_HEADER}"
            self._body = self._text
        else:
            self._type = "float32" if stream.sensor.dtype == "float16" else stream.sensor.dtype
            self.name = f"embodied_ssl/msg/{self._type.capitalize()}x{stream.sensor.size}"
            self.definition = f"std_msgs/Header header\n{self._type}[{stream.sensor.size}] values\n{_HEADER}"
            self._body = self._values

    def encode(self, row: np.ndarray, t_ns: int) -> bytes:
        """Return the message of one row; its stamp is zero where 32-bit seconds cannot hold the time."""
        seconds, nanoseconds = divmod(t_ns, 10**9)
        stamp = (seconds, nanoseconds) if -(1 << 31) <= seconds < 1 << 31 else (0, 0)
        return b"\0\1\0\0" + struct.pack("<iII", *stamp, 1) + b"\0" + self._body(row)

    def _values(self, row: np.ndarray) -> bytes:
        values = np.ascontiguousarray(row, np.dtype(self._type).newbyteorder("<"))
        return b"\0" * (-13 % values.itemsize) + values.tobytes()

    def _text(self, row: np.ndarray) -> bytes:
        raw = row.tobytes().rstrip(b"\0")
        try:
            raw.decode()
        except UnicodeDecodeError:
            self.undecodable += 1
            raw = raw.decode(errors="replace").encode()
        return b"\0" * 3 + struct.pack("<I", len(raw) + 1) + raw + b"\0"

    def _image(self, row: np.ndarray) -> bytes:
        height, width, channels = row.shape
        encoding = _ENCODINGS[channels].encode() + b"\0"
        head = b"\0" * 3 + struct.pack("<III", height, width, len(encoding)) + encoding + b"\0"
        head += b"\0" * (-(13 + len(head)) % 4)
        return head + struct.pack("<II", width * channels, row.size) + row.tobytes()
