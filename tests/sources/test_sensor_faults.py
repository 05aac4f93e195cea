"""Broken readings are flagged row by row as a plain loop would, in blocks of any size, and kept out of batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.errors import LogError
from embodied_ssl.sources.sensor_faults import (
    BLACK,
    FROZEN,
    NON_FINITE,
    SATURATED,
    FaultDetector,
    FaultLimits,
    TickFaults,
)
from embodied_ssl.spec import SensorSpec

MS = 1_000_000


def model(rows, t_ns, sensor, limits):
    """Flags by the words of the definition; one row after another."""
    flags = []
    for i, row in enumerate(rows):
        flag = 0 if np.isfinite(row).all() else NON_FINITE
        first = i  # of the run of equal rows
        while first and np.array_equal(rows[first - 1], row, equal_nan=True):
            first -= 1
        if limits.frozen_s is not None and t_ns[i] - t_ns[first] > limits.frozen_s * 1e9:
            flag |= FROZEN
        for f in range(len(row)):
            seen = [r[f] for r in rows[: i + 1] if np.isfinite(r[f])]
            run = i
            while run and (rows[run - 1][f] <= sensor.low or rows[run - 1][f] >= sensor.high):
                run -= 1
            bound = (row[f] <= sensor.low or row[f] >= sensor.high) and t_ns[i] - t_ns[run] > limits.saturated_s * 1e9
            run = i
            while run and (rows[run - 1][f] == row[f] or (np.isnan(row[f]) and np.isnan(rows[run - 1][f]))):
                run -= 1
            extreme = seen and min(seen) < max(seen) and row[f] in (min(seen), max(seen))
            if bound or (extreme and t_ns[i] - t_ns[run] > limits.saturated_s * 1e9):
                flag |= SATURATED
        flags.append(flag)
    return flags


@pytest.mark.parametrize("seed", range(40))
def test_flags_are_those_of_a_plain_loop_in_blocks_of_any_size(seed):
    rng = np.random.default_rng(seed)
    sensor = SensorSpec("x", "x", (2,), low=-2.0 if seed % 2 else -np.inf, high=2.0 if seed % 2 else np.inf)
    limits = FaultLimits(frozen_s=0.05, saturated_s=0.04)
    rows = rng.integers(-2, 3, (120, 2)).astype(np.float32)
    for _ in range(5):  # stuck for a while: all of it or one value
        at, length = rng.integers(0, 100), rng.integers(2, 15)
        rows[at : at + length, slice(None) if rng.random() < 0.5 else 0] = rows[at, 0]
    rows[rng.random((120, 2)) < 0.03] = np.nan
    rows[rng.random((120, 2)) < 0.02] = np.inf
    t_ns = np.cumsum(rng.integers(1, 20, 120)) * MS
    detector, flags, at = FaultDetector(sensor, limits), [], 0
    while at < 120:
        stop = at + int(rng.integers(0, 30))
        found, masked = detector.check(rows[at:stop], t_ns[at:stop])
        assert (masked == (found > 0)).all()
        flags += found.tolist()
        at = stop
    assert flags == model(rows, t_ns, sensor, limits)
    counts = detector.counts
    assert counts.rows == 120
    assert counts.masked == sum(f > 0 for f in flags)
    for name, bit in (("non_finite", 1), ("frozen", 2), ("saturated", 4)):
        assert counts.flagged[name] == sum(f & bit > 0 for f in flags)
    assert counts.masked > 5


def test_black_frames():
    sensor = SensorSpec("eye", "camera", (4, 4, 3), "uint8")
    frames = np.random.default_rng(0).integers(1, 255, (10, 4, 4, 3)).astype(np.uint8)
    frames[[3, 7]], frames[5] = 0, 2
    t_ns = np.arange(10)
    assert np.flatnonzero(FaultDetector(sensor).check(frames, t_ns)[0] & BLACK).tolist() == [3, 7]
    assert FaultDetector(sensor, FaultLimits(black_level=2)).check(frames, t_ns)[1].sum() == 3
    assert FaultDetector(sensor, FaultLimits(black_level=None)).check(frames, t_ns)[1].sum() == 0


def test_nothing_is_asked_that_was_not_declared():
    detector = FaultDetector(SensorSpec("touch", "touch", (1,), low=0.0))
    flags, masked = detector.check(np.zeros((100, 1), np.float32), np.arange(100) * 10**9)
    assert not flags.any()
    assert not masked.any()


def test_keep_counts_but_masks_only_what_would_poison_weights():
    rows = np.zeros((100, 1), np.float32)
    rows[50] = np.nan
    limits = FaultLimits(frozen_s=0.1, policy="keep")
    detector = FaultDetector(SensorSpec("x", "x", (1,)), limits)
    flags, masked = detector.check(rows, np.arange(100) * 10 * MS)
    assert np.flatnonzero(masked).tolist() == [50]
    assert (flags & FROZEN > 0).sum() == 39 + 38  # rows 11 to 49, and 62 to 99: the NaN and what follows it are new


def test_constant_values_are_named():
    detector = FaultDetector(SensorSpec("x", "x", (3,)))
    rows = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    rows[:, 1] = 4
    for k in range(0, 50, 7):
        detector.check(rows[k : k + 7], np.arange(k, min(50, k + 7)))
    assert detector.constant_channels == [1]


@pytest.mark.parametrize("tensors", [False, True])
def test_live_ticks_lose_their_faulty_rows(tensors):
    source, faults = TickSource(3, 0), TickFaults(SPEC, 3, {"joint": FaultLimits(frozen_s=0.2)})
    expected, masked = 0, 0
    for step in range(60):
        tick = source.tick()
        tick.rows["imu"][1, 0, 0] = np.nan
        tick.rows["joint"][2] = 5.0
        expected += int(tick.fresh["imu"][1, 0])
        if tensors:
            tick = dataclasses.replace(tick, rows={k: torch.from_numpy(v) for k, v in tick.rows.items()})
        out = faults(tick)
        assert not out.fresh["imu"][1, 0]
        np.testing.assert_array_equal(out.fresh["imu"][0], tick.fresh["imu"][0])
        if step > 10:
            assert not out.fresh["joint"][2].any()
        masked += int(tick.fresh["joint"].sum() - out.fresh["joint"].sum())
    counts = faults.counts()
    assert counts["imu"].flagged["non_finite"] == expected == counts["imu"].masked > 0
    assert counts["joint"].masked == masked > 30


@pytest.mark.parametrize("change", [{"policy": "drop"}, {"frozen_s": 0.0}, {"saturated_s": -1.0}])
def test_mistakes_are_one_line(change):
    with pytest.raises(LogError, match="expected") as error:
        FaultLimits(**change)
    assert "\n" not in str(error.value)
