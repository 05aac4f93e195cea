"""What is reported of every stream is exactly what was done to it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from packet_streams import EPOCH, MS, imu, inject

from embodied_ssl.errors import LogError
from embodied_ssl.sources.alignment_doubles import MEMORY_ROWS, DoubleFinder, row_hashes
from embodied_ssl.sources.alignment_packets import PacketScreen, ScreenSettings

SETTINGS = ScreenSettings(20 * MS, 500 * MS, 500 * MS)
HOUR = 3600 * 10**9


def screened(faulty, block=10**9, rate_hz=100.0, settings=SETTINGS, has_seq=True):
    screen = PacketScreen(imu(rate_hz).sensor, settings)
    parts = []
    for data, t_ns, t_recv_ns, seq in faulty.blocks(block):
        parts.append(screen.screen(t_ns, t_recv_ns, seq if has_seq else np.full(len(seq), -1), data))
    return screen, parts


def assert_counts(counts, injected):
    for name, value in injected.items():
        assert getattr(counts, name) == value, (name, counts, injected)
    assert counts.received == counts.in_order + counts.reordered + counts.late + counts.duplicated


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("fault", ["drop", "late", "swap", "double", "nan"])
def test_one_kind_of_fault_is_counted_exactly(fault, share):
    faulty = inject(np.random.default_rng(0), **{fault: share})
    screen, _ = screened(faulty)
    assert_counts(screen.counts, faulty.injected)
    if share:
        assert max(v for k, v in faulty.injected.items() if k != "received") > 0


@pytest.mark.parametrize("seed", range(25))
def test_all_faults_together_are_counted_exactly_in_blocks_of_any_size(seed):
    rng = np.random.default_rng(seed)
    shares: dict[str, Any] = {name: float(rng.random() * 0.3) for name in ("late", "swap", "double", "nan")}
    jumps = tuple(int(j) for j in rng.choice([HOUR, -HOUR, 10 * HOUR, 2 * 10**9, -2 * 10**9], rng.integers(0, 4)))
    start = int(rng.choice([0, EPOCH, -EPOCH, 2**61, -(2**61)]))
    faulty = inject(rng, drop=0.2, jumps=jumps, drift=float(rng.choice([0, 0.01, -0.01])), start_ns=start, **shares)
    screen, parts = screened(faulty)
    assert_counts(screen.counts, faulty.injected)
    small, pieces = screened(faulty, int(rng.integers(8, 200)))
    assert small.counts == screen.counts
    for name in ("arrival", "capture", "order", "masked"):
        np.testing.assert_array_equal(getattr(parts[0], name), np.concatenate([getattr(p, name) for p in pieces]))


def model(t, a, settings):
    """Orders of packets without jumps, by the words of the definition."""
    newest, orders = None, []
    for time in t:
        behind = 0 if newest is None else newest - time
        orders.append(0 if behind <= 0 else 2 if behind > settings.tick_ns else 1)
        newest = time if newest is None else max(newest, time)
    return orders


@pytest.mark.parametrize("seed", range(30))
def test_orders_are_those_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    a = np.cumsum(rng.integers(0, 20 * MS, 300)) + EPOCH
    t = a - rng.integers(0, 60 * MS, 300)
    data = rng.standard_normal((300, 3)).astype(np.float32)
    screen = PacketScreen(imu().sensor, SETTINGS)
    packets = screen.screen(t, a, np.full(300, -1), data)
    assert packets.order.tolist() == model(t.tolist(), a, SETTINGS)
    assert (packets.capture == t).all()
    assert screen.counts.clock_jumps == 0


def test_a_jumped_clock_keeps_the_latency_of_before():
    faulty = inject(np.random.default_rng(0), jumps=(HOUR, -2 * HOUR), latency_ns=7 * MS)
    _, (packets,) = screened(faulty)
    assert set((packets.arrival - packets.capture).tolist()) == {7 * MS}


def test_an_unrelated_clock_is_read_relative_to_arrival():
    faulty = inject(np.random.default_rng(0), num=100)
    faulty.t_ns = faulty.t_ns - faulty.t_ns[0] + 5  # since the device was switched on
    screen, (packets,) = screened(faulty)
    assert (packets.arrival == packets.capture).all()
    assert screen.counts.clock_jumps == 0


@pytest.mark.parametrize("single_clock", [True, False])
@pytest.mark.parametrize("step_ns", [-HOUR, -700 * MS])
def test_a_host_clock_that_is_set_back_begins_a_new_piece(step_ns, single_clock):
    faulty = inject(np.random.default_rng(0), num=400)
    faulty.t_recv_ns[200:] += step_ns
    if single_clock:
        faulty.t_ns = faulty.t_recv_ns.copy()
    screen, (packets,) = screened(faulty)
    assert packets.breaks == [200]
    assert screen.counts.arrival_jumps == 1
    assert screen.counts.clock_jumps == 0
    assert screen.counts.in_order == 400
    small, pieces = screened(faulty, 7)
    assert small.counts == screen.counts
    assert sum(len(p.breaks) for p in pieces) == 1


def test_the_duplicate_that_a_piece_begins_with_does_not_hide_it():
    faulty = inject(np.random.default_rng(0), num=100)
    faulty.t_recv_ns[50:] -= HOUR
    for name in ("t_ns", "seq", "data"):
        getattr(faulty, name)[50] = getattr(faulty, name)[49]
    for block in (100, 51, 50, 1):
        screen, pieces = screened(faulty, block)
        assert sum(len(p.breaks) for p in pieces) == 1
        assert screen.counts.duplicated == 1


@pytest.mark.parametrize("latency_ns", [0, 3 * MS])
def test_a_time_of_zero_is_replaced_by_arrival(latency_ns):
    faulty = inject(np.random.default_rng(0), num=300, latency_ns=latency_ns)
    faulty.t_ns[[50, 51, 200]] = 0
    screen, (packets,) = screened(faulty)
    assert screen.counts.untimed == 3
    assert screen.counts.clock_jumps == screen.counts.late == screen.counts.reordered == 0
    assert ((packets.arrival - packets.capture) == latency_ns).all()


def test_a_clock_that_begins_at_zero_is_in_order():
    faulty = inject(np.random.default_rng(0), num=100, start_ns=0, latency_ns=0)
    screen, _ = screened(faulty)
    assert screen.counts.untimed == 0
    assert screen.counts.in_order == 100


def test_holes_are_estimated_where_there_are_no_numbers():
    faulty = inject(np.random.default_rng(0), drop=0.2)
    screen, _ = screened(faulty, has_seq=False)
    assert screen.counts.missing_is_estimate
    assert screen.counts.missing == faulty.injected["missing"]  # an even clock: here the estimate is exact


def test_a_source_that_counts_anew_misses_nothing():
    faulty = inject(np.random.default_rng(0), num=12_000)
    faulty.seq[6000:] -= 6000
    screen, _ = screened(faulty, 500)
    assert screen.counts.missing == 0
    assert screen.counts.duplicated == 0


def test_silences_are_counted():
    faulty = inject(np.random.default_rng(0), num=300)
    for at in (100, 200):
        faulty.t_ns[at:] += 2 * 10**9
        faulty.t_recv_ns[at:] += 2 * 10**9
    for block in (300, 9):
        screen, _ = screened(faulty, block)
        assert screen.counts.gaps == 2
        assert screen.counts.clock_jumps == 0


def test_times_beyond_int64_differences_are_refused():
    faulty = inject(np.random.default_rng(0), num=10)
    faulty.t_ns[3] = 2**63 - 1
    with pytest.raises(LogError, match="2\\^62"):
        screened(faulty)


def test_repeated_times_numbers_or_data_alone_are_no_duplicates():
    t = np.arange(60) * MS + EPOCH
    data = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    same_time = np.repeat(t[::2], 2)
    assert not DoubleFinder(500 * MS).check(np.full(60, -1), same_time, data).any()
    assert not DoubleFinder(500 * MS).check(np.full(60, -1), t, np.ones((60, 3), np.float32)).any()
    assert not DoubleFinder(500 * MS).check(np.arange(60) % 8, t, data).any()


@pytest.mark.parametrize("seed", range(10))
def test_duplicates_are_those_of_a_plain_loop_in_blocks_of_any_size(seed, monkeypatch):
    monkeypatch.setattr("embodied_ssl.sources.alignment_doubles.MEMORY_ROWS", 20)
    rng = np.random.default_rng(seed)
    seq, t = rng.integers(-1, 12, 300), rng.integers(0, 12, 300) * MS
    data = rng.integers(0, 4, (300, 1)).astype(np.float32)
    expected = []
    for i in range(300):
        before = range(max(0, i - 20), i)
        numbers = {j for j in before if seq[j] == seq[i] >= 0}
        times = {j for j in before if t[j] == t[i]}
        values = {j for j in before if data[j] == data[i]}
        near = {j for j in numbers & values if abs(t[j] - t[i]) <= 3 * MS and j == max(numbers & values)}
        expected.append(bool(numbers & times or times & values or near))
    found, finder, at = [], DoubleFinder(3 * MS), 0
    while at < 300:
        stop = at + int(rng.integers(0, 40))
        found += finder.check(seq[at:stop], t[at:stop], data[at:stop]).tolist()
        at = stop
    assert found == expected


def test_the_memory_for_duplicates_is_bounded():
    finder, rng = DoubleFinder(MS), np.random.default_rng(0)
    for k in range(20):
        finder.check(np.arange(k * 1000, k * 1000 + 1000), np.arange(1000) + k * 1000, rng.random((1000, 2)))
    assert finder._memory.shape[1] == MEMORY_ROWS


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32", "float64", "int16"])
def test_hashes_differ_with_any_byte(dtype):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (1, 5, 7)).astype(dtype).repeat(36, 0)
    for i in range(35):
        rows.reshape(36, -1)[i, i] = 1 - rows.reshape(36, -1)[i, i]
    assert len(set(row_hashes(rows).tolist())) == 36


def test_settings_are_plain_numbers():
    assert dataclasses.asdict(SETTINGS) == {"tick_ns": 20 * MS, "max_gap_ns": 500 * MS, "reorder_ns": 500 * MS}


def test_no_packets_change_nothing():
    faulty = inject(np.random.default_rng(0), num=100)
    screen, _ = screened(faulty)
    before = dataclasses.replace(screen.counts)
    none = np.zeros(0, np.int64)
    packets = screen.screen(none, none, none, np.zeros((0, 3), np.float32))
    assert len(packets.arrival) == len(packets.data) == 0
    assert screen.counts == before
