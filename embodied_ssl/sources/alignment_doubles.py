"""Finding packets that were seen before, within a bounded memory."""

from __future__ import annotations

import math

import numpy as np

MEMORY_ROWS = 4096
"""Packets just before it among which the original of a duplicate is looked for."""

_MIX = np.uint64(0x9E3779B97F4A7C15)


class DoubleFinder:
    """Tells which packets of one stream are copies of earlier ones.

    A copy agrees with an earlier packet in at least two of: number, capture time, data. One alone is no proof: sources
    repeat time stamps, numbers wrap, and a sensor at rest repeats its data.
    """

    def __init__(self, max_gap_ns: int) -> None:
        """Begin with an empty memory; copies with another time stamp are believed within ``max_gap_ns``."""
        self._max_gap_ns = max_gap_ns
        self._memory = np.zeros((4, 0), np.int64)  # number, time, hash, and whether it has a number

    def check(self, seq: np.ndarray, t_ns: np.ndarray, data: np.ndarray) -> np.ndarray:
        """Return ``(n,)`` bool: the packet is a copy; all arguments have ``n`` rows."""
        new = np.stack([seq, t_ns, row_hashes(data), seq >= 0])
        seq, t_ns, hashes, numbered = both = np.concatenate([self._memory, new], 1)
        by_number = _earlier(_key(seq, t_ns))
        by_data = _earlier(_key(t_ns, hashes))
        by_both = _earlier(_key(seq, hashes))
        near = (by_both >= 0) & (np.abs(t_ns - t_ns[by_both]) <= self._max_gap_ns)
        copied = (by_data >= 0) | ((numbered > 0) & ((by_number >= 0) | near))
        first = len(self._memory[0])
        self._memory = both[:, -MEMORY_ROWS:]
        return copied[first:]


def row_hashes(data: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of the bytes of every row, as int64: a fixed random linear form modulo 2^64, mixed."""
    raw = np.ascontiguousarray(data).reshape(len(data), math.prod(data.shape[1:])).view(np.uint8)
    padded = np.zeros((len(raw), -(-raw.shape[1] // 4) * 4), np.uint8)
    padded[:, : raw.shape[1]] = raw
    words = padded.view(np.uint32)
    weights = np.random.Generator(np.random.PCG64(7)).integers(2**64, size=words.shape[1], dtype=np.uint64) | np.uint64(
        1
    )
    # Row by row of words, so that no copy eight times the size of frames is made.
    total = np.einsum("nw,w->n", words, weights, dtype=np.uint64, casting="unsafe")
    return _mixed(total).view(np.int64)


def _key(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return one 64-bit key for pairs of int64."""
    return _mixed(_mixed(first.view(np.uint64)) + second.view(np.uint64))


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return the finaliser of splitmix64 (Steele, Lea & Flood 2014) of uint64 values."""
    values = values + _MIX
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _earlier(keys: np.ndarray) -> np.ndarray:
    """Return for every key the position of the same key before it, -1: none among the last `MEMORY_ROWS`."""
    order = np.argsort(keys, kind="stable")
    same = np.concatenate([[False], keys[order][1:] == keys[order][:-1]]) if len(keys) else np.zeros(0, bool)
    earlier = np.full(len(keys), -1)
    earlier[order[same]] = order[np.flatnonzero(same) - 1]
    return np.where(np.arange(len(keys)) - earlier <= MEMORY_ROWS, earlier, -1)
