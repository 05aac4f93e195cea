"""The sizes that the chunks of a ROS 1 bag declare, looked at before anything is decompressed.

Format: http://wiki.ros.org/Bags/Format/2.0
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

from embodied_ssl.errors import LogError

CHUNK = 5


def check_chunks(path: Path, start: int, max_bytes: int) -> None:
    """Walk the records of a bag.

    Args:
        path: the bag.
        start: where its records begin.
        max_bytes: largest decompressed chunk or header that is believed.

    Raises:
        LogError: a record is cut short (rosbags needs the index at the end), or declares too much.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(start)
        while (at := file.tell()) < size:
            header = file.read(_length(file.read(4), size, at, path))
            fields = dict(_fields(header))
            data = _length(file.read(4), size, at, path)
            declared = struct.unpack("<I", fields["size"])[0] if len(fields.get("size", b"")) == 4 else 0
            if fields.get("op") == bytes([CHUNK]) and declared > max_bytes:
                raise LogError(
                    f"{path}: the chunk at byte {at:,} declares {declared:,} bytes, more than {max_bytes:,}; "
                    "fix: raise max_chunk_mb if you trust the file"
                )
            file.seek(data, io.SEEK_CUR)


def _length(raw: bytes, size: int, at: int, path: Path) -> int:
    length = struct.unpack("<I", raw)[0] if len(raw) == 4 else size
    if at + length > size:
        raise LogError(f"{path}: cut short at byte {at:,} of {size:,}; fix: `rosbag reindex` makes it readable")
    return length


def _fields(header: bytes) -> list[tuple[str, bytes]]:
    """Return the ``name=value`` pairs of a record header."""
    fields, at = [], 0
    while at + 4 <= len(header):
        (length,) = struct.unpack_from("<I", header, at)
        name, _, value = header[at + 4 : at + 4 + length].partition(b"=")
        fields.append((name.decode("ascii", "replace"), value))
        at += 4 + length
    return fields
