"""How large a compressed chunk says it will be, read from its first bytes before any memory is taken.

Formats: blosc 1 (16-byte header; bytes 4 to 8 are the size, 12 to 16 the compressed size), zstandard (frame content
size, RFC 8878 3.1.1.1), lz4 as numcodecs writes it (a 4-byte size first), zlib and gzip (no size: a bounded trial).
"""

from __future__ import annotations

import zlib
from pathlib import Path

from embodied_ssl.logs.chunk_headers import blosc_sizes, zstd_content_size

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
        sizes = blosc_sizes(head)
        return sizes[0] if sizes is not None and sizes[1] == path.stat().st_size else None
    if codec == "lz4":
        return int.from_bytes(head[:4], "little") if len(head) >= 4 else None
    return zstd_content_size(head)


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
