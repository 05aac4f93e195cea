from __future__ import annotations

import numpy as np
import pytest

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers import array_rows
from embodied_ssl.logs.importers.array_rows import blocks, holds_bytes, stream_of
from embodied_ssl.logs.importers.episode_clock import EpisodeClock, tick_times
from embodied_ssl.logs.importers.natural_order import natural_key


def test_blocks_cover_every_row_once_and_are_cut_at_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        start, rows = (int(n) for n in rng.integers(0, 60, 2))
        row_bytes, multiple, limit = (int(n) for n in rng.integers(1, 20, 3))
        monkeypatch.setattr(array_rows, "BLOCK_BYTES", limit * 5)
        cut = list(blocks(start, start + rows, row_bytes, multiple))
        covered = [row for a, b in cut for row in range(a, b)]
        assert covered == list(range(start, start + rows))
        assert all(b % multiple == 0 for _, b in cut[:-1])
        assert all(b - a <= max(multiple, limit * 5 // row_bytes) for a, b in cut)


def test_whole_bytes() -> None:
    every = np.arange(256, dtype=np.float32)
    assert holds_bytes(every)
    for wrong in (-1, 256, 0.5, np.nan, np.inf, -np.inf, 1e30):
        assert not holds_bytes(np.append(every, np.float32(wrong)))


def test_streams_of_arrays() -> None:
    camera = stream_of("eye", (8, 9, 3), "uint8", 10.0, "sensor")
    assert camera.sensor.modality == "camera"
    assert stream_of("eye", (8, 9, 3), "float32", 10.0, "sensor").sensor.modality == "vector"
    assert stream_of("touch", (4, 4, 3), "uint8", 10.0, "sensor").sensor.modality == "vector"
    assert stream_of("x", (), "float64", 10.0, "reward").sensor.shape == (1,)
    with pytest.raises(LogError, match="rows of shape"):
        stream_of("x", (0, 3), "float64", 10.0, "sensor")


def test_clock_against_whole_fractions() -> None:
    from fractions import Fraction

    rng = np.random.default_rng(1)
    for _ in range(300):
        rate, start, first = int(rng.integers(1, 2000)), int(rng.integers(0, 10**15)), int(rng.integers(0, 10**7))
        times = tick_times(start, first, 5, rate).tolist()
        exact = [start + Fraction((first + n) * 10**9, rate) for n in range(5)]
        assert all(abs(found - true) <= 1 for found, true in zip(times, exact, strict=True))


def test_episodes_are_a_second_or_two_ticks_apart() -> None:
    for rate, gap in ((100.0, 10**9), (2.0, 10**9), (0.5, 4 * 10**9)):
        clock = EpisodeClock(rate)
        assert clock.start_ns == 0
        clock.end(7)
        assert clock.start_ns == 7 + gap


def test_natural_order() -> None:
    names = ["demo_10", "demo_2", "a", "demo_2_b", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "demo_2", "demo_2_b", "demo_10"]
