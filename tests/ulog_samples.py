"""A tiny reader and writer of ULog files for tests, written from the format's description and from nothing else.

https://docs.px4.io/main/en/dev_log/ulog_file_format.html: 16 bytes of header, then messages of ``uint16 size, uint8
type``; ``F`` names a format, ``A`` subscribes an instance of one to a number, ``D`` holds a row.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

TYPES = {
    "int8_t": "i1", "uint8_t": "u1", "int16_t": "i2", "uint16_t": "u2", "int32_t": "i4", "uint32_t": "u4",
    "int64_t": "i8", "uint64_t": "u8", "float": "f4", "double": "f8", "bool": "u1", "char": "S1",
}  # fmt: skip


def row_type(name: str, formats: dict[str, str]) -> np.dtype:
    """Return the packed type of a row; formats may hold others."""
    fields = []
    for part in filter(None, formats[name].split(";")):
        kind, _, field = part.partition(" ")
        match = re.fullmatch(r"(\w+)\[(\d+)\]", kind)
        base, count = (match[1], int(match[2])) if match else (kind, 0)
        one = np.dtype("<" + TYPES[base]) if base in TYPES else row_type(base, formats)
        fields.append((field, one, (count,)) if count else (field, one))
    return np.dtype(fields)


def read_ulog(path: Path) -> dict[tuple[str, int], np.ndarray]:
    """Return the rows of every topic and instance; data appended at the end is found by its offsets."""
    raw, at = path.read_bytes(), 16
    formats, topics, rows = dict[str, str](), dict[int, tuple[str, int]](), dict[int, list[bytes]]()
    stops = list[int]()
    while at + 3 <= len(raw):
        size, kind = struct.unpack_from("<HB", raw, at)
        body = raw[at + 3 : at + 3 + size]
        if len(body) < size or (stops and at < stops[0] < at + 3 + size):  # cut where later data was appended
            at = stops.pop(0) if stops else len(raw)
            continue
        if kind == ord("B"):
            stops = [offset for offset in struct.unpack_from("<3Q", body, 16) if offset]
        elif kind == ord("F"):
            name, _, fields = body.decode().partition(":")
            formats[name] = fields
        elif kind == ord("A"):
            topics[struct.unpack_from("<H", body, 1)[0]] = (body[3:].decode(), body[0])
        elif kind == ord("D"):
            rows.setdefault(struct.unpack_from("<H", body)[0], []).append(body[2:])
        at += 3 + size
    return {topics[number]: join(rows[number], row_type(topics[number][0], formats)) for number in rows}


def join(rows: list[bytes], kind: np.dtype) -> np.ndarray:
    """Return rows as an array; the padding at the end of a format is not written."""
    return np.frombuffer(b"".join(row.ljust(kind.itemsize, b"\0")[: kind.itemsize] for row in rows), kind)


def flat(table: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the columns of a table by the name of every single value."""
    columns: dict[str, np.ndarray] = {}
    for name in table.dtype.names or ():
        values = table[name]
        parts = {f"{name}[{i}]": values[:, i] for i in range(values.shape[1])} if values.ndim == 2 else {name: values}
        for part, column in parts.items():
            columns |= flat(column, f"{prefix}{part}.") if column.dtype.names else {prefix + part: column}
    return columns


def write_ulog(path: Path, formats: dict[str, str], rows: list[tuple[str, int, bytes]], extra: bytes = b"") -> Path:
    """Write rows ``(topic, instance, packed)`` in order; ``extra`` goes before them."""

    def message(kind: str, body: bytes) -> bytes:
        return struct.pack("<HB", len(body), ord(kind)) + body

    out = b"ULog\x01\x12\x35\x01" + struct.pack("<Q", 0) + message("B", bytes(40))
    out += b"".join(message("F", f"{name}:{fields}".encode()) for name, fields in formats.items())
    numbers = {key: number for number, key in enumerate(dict.fromkeys((name, instance) for name, instance, _ in rows))}
    out += b"".join(
        message("A", struct.pack("<BH", i, number) + name.encode()) for (name, i), number in numbers.items()
    )
    out += extra
    out += b"".join(message("D", struct.pack("<H", numbers[name, i]) + packed) for name, i, packed in rows)
    path.write_bytes(out)
    return path
