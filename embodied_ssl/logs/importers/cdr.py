"""Decode ROS 2 messages (CDR, plain, either byte order) into a flat table of path to value.

Lengths come from the message, so each is compared with the bytes that are left before anything is made.
Format: OMG DDS-XTypes 1.3, section 7.4 (XCDR version 1: numbers are aligned to their own size after the 4-byte head).
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.ros_definitions import NUMBERS, RosField, short_name

MAX_DEPTH = 16
_CODES = {"bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I"}
_CODES |= {"int64": "q", "uint64": "Q", "float32": "f", "float64": "d"}


class CdrDecoder:
    """Decoder of one type of message.

    Attributes:
        dtypes: numpy name of every number, by path, in order of declaration. Paths go through arrays of messages
            as ``transforms[].rotation.x``.
    """

    def __init__(self, name: str, messages: dict[str, list[RosField]]) -> None:
        """Bind to message ``name`` of ``messages``, as `parse_definitions` returns them."""
        self._name, self._messages, self.dtypes = short_name(name), messages, dict[str, str]()
        self._declare(self._name, "", 0)

    def _declare(self, name: str, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LogError(f"message {self._name}: parts are nested more than {MAX_DEPTH} deep")
        for field in self._messages[name]:
            path = prefix + field.name
            if field.type == "wstring":
                raise LogError(f"message {self._name}: field {path} is a wstring, which is not supported")
            if field.type in NUMBERS:
                self.dtypes[path] = NUMBERS[field.type]
            elif field.type in self._messages:
                self._declare(field.type, path + ("." if field.length < 0 else "[]."), depth + 1)

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return path to value: numbers, 1-D arrays, text, or lists for paths through arrays of messages.

        Raises:
            ValueError: the message is shorter than its type, or of a kind that is not supported.
        """
        if len(data) < 4 or data[0] != 0 or data[1] > 1:
            raise ValueError("not plain CDR (first bytes " + data[:4].hex() + ")")
        cursor = _Cursor(data, "<" if data[1] == 1 else ">")
        values: dict[str, Any] = {}
        self._read(cursor, self._name, "", values)
        return values

    def _read(self, cursor: _Cursor, name: str, prefix: str, values: dict[str, Any]) -> None:
        fields = self._messages[name]
        if not fields:
            cursor.number("uint8")  # rosidl gives a message without fields one unused byte
        for field in fields:
            path = prefix + field.name
            if field.type in self._messages and field.length < 0:
                self._read(cursor, field.type, path + ".", values)
            elif field.type in self._messages:
                self._read_messages(cursor, field, path, values)
            else:
                values[path] = _value(cursor, field)

    def _read_messages(self, cursor: _Cursor, field: RosField, path: str, values: dict[str, Any]) -> None:
        """Read an array of messages into one list a path."""
        for index in range(field.length or cursor.count(1)):
            element: dict[str, Any] = {}
            self._read(cursor, field.type, path + "[].", element)
            for key, value in element.items():
                values.setdefault(key, [None] * index).append(value)


def _value(cursor: _Cursor, field: RosField) -> Any:
    """Read a number, an array of numbers, a text or a list of texts."""
    if field.length < 0:
        return cursor.text() if field.type not in NUMBERS else cursor.number(NUMBERS[field.type])
    if field.type not in NUMBERS:
        return [cursor.text() for _ in range(field.length or cursor.count(4))]
    dtype = NUMBERS[field.type]
    return cursor.array(dtype, field.length or cursor.count(np.dtype(dtype).itemsize))


class _Cursor:
    """A place in a message, moving forward."""

    def __init__(self, data: bytes, order: Literal["<", ">"]) -> None:
        self.data, self.order, self.at = data, order, 4

    def _align(self, size: int) -> None:
        self.at += -(self.at - 4) % size

    def number(self, dtype: str) -> Any:
        code = _CODES[dtype]
        size = struct.calcsize("<" + code)
        self._align(size)
        try:
            (value,) = struct.unpack_from(self.order + code, self.data, self.at)
        except struct.error:
            raise ValueError(f"the message ends at byte {len(self.data)}, within a {dtype}") from None
        self.at += size
        return value

    def count(self, element_bytes: int) -> int:
        """Read a length and check that so many elements can be left."""
        count = self.number("uint32")
        if count * element_bytes > len(self.data) - self.at:
            raise ValueError(f"an array of {count:,} elements in the {len(self.data) - self.at:,} bytes that are left")
        return count

    def array(self, dtype: str, count: int) -> np.ndarray:
        kind = np.dtype(self.order + np.dtype(dtype).str[1:])
        if count:
            self._align(kind.itemsize)
        end = self.at + count * kind.itemsize
        if end > len(self.data):
            raise ValueError(f"the message ends at byte {len(self.data)}, within an array of {count} {dtype}")
        values = np.frombuffer(self.data, kind, count, self.at)
        self.at = end
        return values

    def text(self) -> str:
        length = self.count(1)
        raw = self.data[self.at : self.at + length]
        self.at += length
        return raw.removesuffix(b"\0").decode("utf-8", "replace")
