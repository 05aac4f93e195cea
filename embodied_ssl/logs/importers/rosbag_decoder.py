"""Messages as rosbags decodes them to a flat table of path to value."""

from __future__ import annotations

from typing import Any

from embodied_ssl.errors import LogError

MAX_DEPTH = 16
# Unsigned in ROS 2, as rosidl maps them, while rosbags reads some of them as signed.
_DTYPES = {"byte": "uint8", "char": "uint8", "octet": "uint8"}
_BASE, _NAME = 1, 2
_FILLER = "structure_needs_at_least_one_member"
"""The unused byte of messages without fields."""


class RosbagDecoder:
    """Decoder of one type of message.

    Attributes:
        dtypes: numpy name of every number, by path, in order of declaration.
    """

    def __init__(self, name: str, reader: Any) -> None:
        """Bind to a type of message of an open ``AnyReader``.

        Raises:
            LogError: the type is not described.
        """
        self._reader, self._types = reader, reader.typestore.fielddefs
        self._name = name if "/msg/" in name else name.replace("/", "/msg/")  # as rosbags files the types
        self.dtypes: dict[str, str] = {}
        self._declare(self._name, "", 0)

    def _fields(self, name: str) -> list[tuple[str, Any]]:
        if name not in self._types:
            raise LogError(f"the bag does not describe messages of type {name!r}")
        return [field for field in self._types[name][1] if field[0] != _FILLER]

    def _declare(self, name: str, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LogError(f"message {self._name}: parts are nested more than {MAX_DEPTH} deep")
        for field, (node, detail) in self._fields(name):
            (kind, what), many = ((node, detail), False) if node <= _NAME else (detail[0], True)
            if kind == _NAME:
                self._declare(what, f"{prefix}{field}{'[].' if many else '.'}", depth + 1)
            elif what[0] not in ("string", "wstring"):
                self.dtypes[prefix + field] = str(_DTYPES.get(what[0], what[0]))

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return path to value.

        Raises:
            ValueError: the message is damaged.
        """
        try:
            message = self._reader.deserialize(data, self._name)
        except Exception as error:  # rosbags runs generated code: struct.error, IndexError, AssertionError ...
            raise ValueError(f"{type(error).__name__}: {error}") from None
        values: dict[str, Any] = {}
        self._read(message, self._name, "", values)
        return values

    def _read(self, message: Any, name: str, prefix: str, values: dict[str, Any]) -> None:
        for field, (node, detail) in self._fields(name):
            path, value = prefix + field, getattr(message, field)
            kind, what = (node, detail) if node <= _NAME else detail[0]
            if kind == _BASE:
                values[path] = value & 0xFF if what[0] in _DTYPES and isinstance(value, int) else value
            elif node == _NAME:
                self._read(value, what, path + ".", values)
            else:
                self._read_many(value, what, path, values)

    def _read_many(self, parts: Any, name: str, path: str, values: dict[str, Any]) -> None:
        for part in parts:
            element: dict[str, Any] = {}
            self._read(part, name, path + "[].", element)
            for key, value in element.items():
                values.setdefault(key, []).append(value)
