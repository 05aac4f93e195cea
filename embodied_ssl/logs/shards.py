"""Whole shards: many chunks in one file, with an index at its end (zarr v3 ``sharding_indexed`` specification).

A shard is written once and never touched again; only compact writes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import google_crc32c
import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.layout import opened, read_at

_NO_CHUNK = np.uint64(2**64 - 1)


def shard_pieces(chunks: Sequence[tuple[bytes, bytes]], num_slots: int) -> list[bytes]:
    """Return the pieces of a shard file with room for ``num_slots`` chunks; slots behind the last are empty."""
    places = np.full((num_slots, 2), _NO_CHUNK, "<u8")
    offset = 0
    for slot, pieces in enumerate(chunks):
        size = sum(map(len, pieces))
        places[slot] = offset, size
        offset += size
    index = places.tobytes()
    crc = google_crc32c.value(index).to_bytes(4, "little")
    return [piece for pieces in chunks for piece in pieces] + [index, crc]


def read_from_shard(path: Path, slot: int, num_slots: int, max_bytes: int) -> bytes:
    """Return the bytes of one chunk of a shard.

    Raises:
        LogError: the shard is damaged.
        FileNotFoundError: it is missing.
    """
    damaged = LogError(f"{path} is damaged (the index of its chunks); --skip-corrupt leaves its chunks out")
    with opened(path) as handle:
        size, tail = os.fstat(handle).st_size, 16 * num_slots + 4
        if size < tail:
            raise damaged
        end = read_at(handle, size - tail, tail)
        if google_crc32c.value(end[:-4]).to_bytes(4, "little") != end[-4:]:
            raise damaged
        offset, length = (int(number) for number in np.frombuffer(end[:-4], "<u8").reshape(-1, 2)[slot])
        if length > max_bytes or offset + length > size - tail:
            raise damaged
        return read_at(handle, offset, length)
