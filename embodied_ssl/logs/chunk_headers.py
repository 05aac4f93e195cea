"""Sizes that the first bytes of a compressed chunk declare, read before any memory is taken."""

from __future__ import annotations

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BLOSC_HEAD = 16


def blosc_sizes(head: bytes | memoryview) -> tuple[int, int] | None:
    """Return decoded and compressed bytes of a Blosc 1 chunk (README_CHUNK_FORMAT: at 4 and 12); None: no header.

    The caller compares the second with what it holds: the library believes it and reads beyond a shorter chunk.
    """
    if len(head) < BLOSC_HEAD:
        return None
    return int.from_bytes(head[4:8], "little"), int.from_bytes(head[12:16], "little")


def zstd_content_size(head: bytes | memoryview) -> int | None:
    """Return the content size of a Zstandard frame from its first 18 bytes; None when it states none.

    RFC 8878, section 3.1.1.1.
    """
    if len(head) < 6 or bytes(head[:4]) != ZSTD_MAGIC:
        return None
    flag, single = head[4] >> 6, head[4] >> 5 & 1
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[head[4] & 3]
    length = (1 if single else 0, 2, 4, 8)[flag]
    if length == 0 or len(head) < start + length:
        return None
    return int.from_bytes(head[start : start + length], "little") + (256 if flag == 1 else 0)
