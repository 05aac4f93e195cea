"""How large a compressed chunk says it will be, read from its first bytes before any memory is taken.

Formats: blosc 1 (16-byte header; bytes 4 to 8 are the size, 12 to 16 the compressed size), zstandard (frame content
size, RFC 8878 3.1.1.1), lz4 as numcodecs writes it (a 4-byte size first), zlib and gzip (no size: a bounded trial).
"""

from __future__ import annotations

import zlib
from pathlib import Path

CODECS = ("blosc", "zstd", "lz4", "zlib", "gzip")


def declared_bytes(codec: str | None, path: Path, expected: int) -> int | None:
    """Return the size in bytes that a chunk file unpacks to.

    Args:
        codec: one of `CODECS`, or None: stored as it is.
        path: the chunk.
        expected: what it should be; zlib and gzip are unpacked no further than one byte past it.

    Returns:
        The size; None when the header is no header or the file is cut short.
    """
    if codec is None:
        return path.stat().st_size
    if codec in ("zlib", "gzip"):
        return _trial(path, expected)
    with path.open("rb") as file:
        head = file.read(18)
    if codec == "blosc":
        whole = int.from_bytes(head[12:16], "little") == path.stat().st_size
        return int.from_bytes(head[4:8], "little") if len(head) >= 16 and whole else None
    if codec == "lz4":
        return int.from_bytes(head[:4], "little") if len(head) >= 4 else None
    return zstd_content_size(head)


def zstd_content_size(head: bytes) -> int | None:
    """Return the content size of a zstandard frame from its first 18 bytes; None when it states none."""
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    flag, single = head[4] >> 6, head[4] >> 5 & 1
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[head[4] & 3]
    length = (1 if single else 0, 2, 4, 8)[flag]
    if length == 0 or len(head) < start + length:
        return None
    return int.from_bytes(head[start : start + length], "little") + (256 if flag == 1 else 0)


def _trial(path: Path, expected: int) -> int | None:
    unpacker, total = zlib.decompressobj(wbits=47), 0
    with path.open("rb") as file:
        while total <= expected and not unpacker.eof:
            packed = unpacker.unconsumed_tail or file.read(1 << 20)
            if not packed:
                return None
            try:
                total += len(unpacker.decompress(packed, 1 << 20))
            except zlib.error:
                return None
    return total
