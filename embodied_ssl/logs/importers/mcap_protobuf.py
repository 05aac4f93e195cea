# pyright: reportAttributeAccessIssue=false
# protobuf makes its message classes at run time; no stub knows their fields.
"""Decode protobuf messages of an MCAP file, whose descriptors lie in the file, into a flat table of path to value."""

from __future__ import annotations

from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import need

MAX_DEPTH = 16

_DTYPES = {1: "float64", 2: "float32", 3: "int64", 4: "uint64", 5: "int32", 6: "uint64", 7: "uint32", 8: "bool"}
_DTYPES |= {13: "uint32", 14: "int32", 15: "int32", 16: "int64", 17: "int32", 18: "int64", 12: "uint8"}
"""Numbers of ``FieldDescriptorProto.Type`` to numpy; bytes (12) are uint8 arrays, enums (14) int32."""
_TEXT, _MESSAGES, _BYTES = 9, (10, 11), 12


class ProtobufDecoder:
    """Decoder of one type of message.

    Scalars that are not set read as protobuf's defaults. Maps and messages that contain themselves are left out.

    Attributes:
        dtypes: numpy name of every number, by path, in order of declaration.
    """

    def __init__(self, schema: Any) -> None:
        """Build the message class from an MCAP schema record.

        Raises:
            LogError: the descriptors are damaged or lack the message.
        """
        factory = need("mcap_protobuf.decoder", "mcap").DecoderFactory()
        try:
            self._parse = factory.decoder_for("protobuf", schema)
            self._descriptor = self._parse(b"").DESCRIPTOR
        except Exception as error:  # the libraries raise TypeError, DecodeError, McapError or KeyError
            raise LogError(f"the descriptors of {schema.name} cannot be used ({error})") from None
        self.dtypes: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._declare(self._descriptor, "", ())

    def _declare(self, descriptor: Any, prefix: str, parents: tuple[str, ...]) -> None:
        for field in descriptor.fields:
            path = prefix + field.name
            if field.type in _DTYPES:
                self.dtypes[path] = _DTYPES[field.type]
            elif field.type in _MESSAGES:
                self._declare_part(field, path, (*parents, descriptor.full_name))

    def _declare_part(self, field: Any, path: str, parents: tuple[str, ...]) -> None:
        part = field.message_type
        if part.GetOptions().map_entry or part.full_name in parents or len(parents) > MAX_DEPTH:
            self._left_out.add(path)
        else:
            self._declare(part, path + ("[]." if field.is_repeated else "."), parents)

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return path to value.

        Raises:
            ValueError: the bytes are no such message.
        """
        try:
            message = self._parse(data)
        except Exception as error:  # protobuf's DecodeError, whose class depends on the installed backend
            raise ValueError(error) from None
        values: dict[str, Any] = {}
        self._read(message, "", values)
        return values

    def _read(self, message: Any, prefix: str, values: dict[str, Any]) -> None:
        for field in message.DESCRIPTOR.fields:
            path, value = prefix + field.name, getattr(message, field.name)
            if path in self._left_out:
                values[path] = {}  # neither number nor text: named in the notes
            elif field.type not in _MESSAGES:
                values[path] = list(value) if field.is_repeated and field.type != _BYTES else value
            elif field.is_repeated:
                self._read_repeated(value, path, values)
            else:
                self._read(value, path + ".", values)

    def _read_repeated(self, parts: Any, path: str, values: dict[str, Any]) -> None:
        for part in parts:
            element: dict[str, Any] = {}
            self._read(part, path + "[].", element)
            for key, value in element.items():
                values.setdefault(key, []).append(value)
