"""Ticks of irregular packets are those of a plain loop over packets, whatever the blocks they come in."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from packet_streams import EPOCH, MS, imu, inject

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream
from embodied_ssl.sources.alignment import Aligner, AlignmentSettings
from embodied_ssl.sources.alignment_spans import Grid
from embodied_ssl.spec import SensorSpec

HZ = 50.0
TICK = 20 * MS
PHASE = 5 * MS


def run(streams, packets, settings=None, block=10**9, kind="unknown", control_hz=HZ):
    """Push packets ``{name: (data, t, t_recv, seq)}`` in blocks; return the aligner and its ticks."""
    aligner = Aligner(streams, control_hz, settings)
    at, ticks = dict.fromkeys(packets, 0), []
    while (name := aligner.wanted) is not None:
        stop = at[name] + block
        columns = [column[at[name] : stop] for column in packets[name]]
        if len(columns[0]):
            aligner.push(name, *columns)
        else:
            aligner.end(name)
        at[name] = stop
        ticks += aligner.ready()
    ticks += aligner.finish(kind)
    return aligner, ticks


def columns(faulty):
    return faulty.data, faulty.t_ns, faulty.t_recv_ns, faulty.seq


def flat(ticks, name="imu"):
    """Everything of a sensor that a buffer would see, as plain values."""
    found = []
    for tick in ticks:
        fresh = tick.fresh[name][0]
        ages = np.rint(tick.age_s[name][0][fresh].astype(float) * 1e6).astype(int).tolist()
        found.append((bool(tick.is_first[0]), bool(tick.truncated[0]), tick.rows[name][0][fresh].tolist(), ages))
    return found


def kept_by_loop(faulty):
    """Packets without duplicates with their order, by definition: (arrival, capture, order, bad, row)."""
    seen, newest, kept = set(), None, []
    for data, t, a, number in zip(
        faulty.data, faulty.t_ns.tolist(), faulty.t_recv_ns.tolist(), faulty.seq.tolist(), strict=True
    ):
        if number in seen:
            continue
        seen.add(number)
        behind = 0 if newest is None else newest - t
        newest = t if newest is None else max(newest, t)
        kept.append((a, t, 0 if behind <= 0 else 2 if behind > TICK else 1, not np.isfinite(data).all(), data.tolist()))
    return kept


def model(faulty, method, max_gap=500 * MS, room=3, max_age=500 * MS):
    """Ticks of one sensor by a plain loop over packets; ages in microseconds."""
    kept, ticks = kept_by_loop(faulty), []
    edges = [i for i in range(1, len(kept)) if kept[i][0] - kept[i - 1][0] > max_gap]
    for low, high in zip([0, *edges], [*edges, len(kept)], strict=True):
        part = kept[low:high]
        time, previous, first = part[0][0] + PHASE, part[0][0] - 1, True
        while True:
            rows = []
            if method == "latest":
                new = [p for p in part if previous < p[0] <= time and p[2] == 0 and not p[3]]
                rows = [(new[-1][4], time - new[-1][1])] if new and time - new[-1][1] <= max_age else []
            else:
                before = [p[1] for p in part if p[0] <= previous and p[2] < 2 and not p[3]]
                new = [p for p in part if previous < p[0] <= time and p[2] < 2 and not p[3]]
                new = [p for p in new if p[1] >= max(before, default=-(2**63)) and time - p[1] <= max_age]
                rows = [(p[4], time - p[1]) for p in sorted(new, key=lambda p: p[1])][-room:]
            last = time >= part[-1][0]
            ticks.append((first, last, [r[0] for r in rows], [round(r[1] / 1000) for r in rows]))
            if last:
                break
            time, previous, first = time + TICK, time, False
    return ticks


def close(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert a[:3] == b[:3]
        assert np.abs(np.array(a[3]) - np.array(b[3])).max(initial=0) <= 1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("method", ["latest", "window"])
def test_ticks_are_those_of_a_plain_loop(method, seed):
    rng = np.random.default_rng(seed)
    shares: dict[str, Any] = {name: float(rng.random() * 0.3) for name in ("late", "swap", "double", "nan")}
    faulty = inject(
        rng, num=500, drop=float(rng.choice([0, 0.3, 0.5])), start_ns=int(rng.choice([0, -EPOCH, EPOCH])), **shares
    )
    pause = int(rng.integers(50, 180))
    pause += next(i for i in range(100) if faulty.t_recv_ns[pause + i] > faulty.t_recv_ns[: pause + i].max())
    if seed % 2:
        faulty.t_ns[~np.isin(faulty.seq, faulty.seq[:pause])] += 10**9
        faulty.t_recv_ns[pause:] += 10**9
        faulty.t_recv_ns[:] = np.maximum.accumulate(faulty.t_recv_ns)
    settings = AlignmentSettings(methods=method)
    aligner, ticks = run([imu()], {"imu": columns(faulty)}, settings)
    close(flat(ticks), model(faulty, method))
    small, again = run([imu()], {"imu": columns(faulty)}, settings, block=int(rng.integers(5, 90)))
    assert flat(again) == flat(ticks)
    assert small.counts == aligner.counts
    counts = aligner.counts["imu"]
    assert counts.delivered == sum(len(rows) for _, _, rows, _ in flat(ticks))
    masked = counts.masked - sum(1 for p in kept_by_loop(faulty) if p[3] and p[2] == 2)
    lost = counts.superseded + counts.missed_tick + counts.overflow + counts.over_age + counts.duplicated + counts.late
    assert counts.received == counts.delivered + lost + masked


def slow(name="slow", rate_hz=10.0):
    return imu(rate_hz, name)


def test_two_sensors_share_ticks_and_a_slow_one_is_held():
    fast = inject(np.random.default_rng(0), num=300)
    other = inject(np.random.default_rng(1), num=30, period_ns=100 * MS)
    _, ticks = run([imu(), slow()], {"imu": columns(fast), "slow": columns(other)}, block=13)
    assert sum(t.fresh["slow"].sum() for t in ticks) == 30
    assert [t.is_first[0] for t in ticks].count(True) == 1
    assert ticks[-1].truncated[0]
    assert not ticks[-1].terminated[0]
    assert ticks[0].rows["imu"].shape == (1, 3, 3)


def test_no_row_is_shown_past_its_age_and_others_go_on():
    fast, camera = (
        inject(np.random.default_rng(0), num=600),
        inject(np.random.default_rng(1), num=60, period_ns=100 * MS),
    )
    gone = (camera.seq < 20) | (camera.seq >= 40)  # 2 s of silence
    for name in ("t_ns", "t_recv_ns", "seq", "data"):
        setattr(camera, name, getattr(camera, name)[gone])
    settings = AlignmentSettings(methods={"imu": "latest"}, max_age_s={"slow": 0.6})
    streams = [imu(), slow()]
    for block in (1000, 7):
        aligner, ticks = run(streams, {"imu": columns(fast), "slow": columns(camera)}, settings, block=block)
        firsts = [i for i, t in enumerate(ticks) if t.is_first[0]]
        assert len(firsts) == 2
        assert aligner.counts["slow"].stale_cuts == 1
        cut_s = (firsts[1] * 20 + 5) / 1e3
        assert 0.6 < cut_s - 1.9 <= 0.62  # the newest row was captured at 1.9 s
        assert ticks[firsts[1] - 1].truncated[0]
        assert ticks[firsts[1]].fresh["imu"].any()
        assert not ticks[firsts[1]].fresh["slow"].any()
        assert sum(t.fresh["slow"].sum() for t in ticks) == 40


def test_a_cut_by_one_sensor_shows_the_held_rows_of_others_again():
    one, two = inject(np.random.default_rng(0), num=30, period_ns=100 * MS), inject(np.random.default_rng(1), num=300)
    for name in ("t_ns", "t_recv_ns", "seq", "data"):
        setattr(two, name, getattr(two, name)[:123])  # this one dies
    settings = AlignmentSettings(methods="latest", max_age_s={"imu": 0.3}, max_gap_s=0.5)
    aligner, ticks = run([imu(), slow()], {"imu": columns(two), "slow": columns(one)}, settings)
    (cut,) = [i for i, t in enumerate(ticks) if t.is_first[0] and i]
    before = next(t for t in reversed(ticks[:cut]) if t.fresh["slow"].any())
    assert ticks[cut].fresh["slow"].any()
    np.testing.assert_array_equal(ticks[cut].rows["slow"][0, 0], before.rows["slow"][0, 0])
    assert ticks[cut].age_s["slow"][0, 0] > before.age_s["slow"][0, 0]
    assert aligner.counts["slow"].delivered == 30


def test_without_an_essential_sensor_there_are_no_ticks():
    fast, other = (
        inject(np.random.default_rng(0), num=600),
        inject(np.random.default_rng(1), num=60, period_ns=100 * MS),
    )
    gone = (other.seq < 20) | (other.seq >= 40)
    for name in ("t_ns", "t_recv_ns", "seq", "data"):
        setattr(other, name, getattr(other, name)[gone])
    settings = AlignmentSettings(essential=("slow",))
    for block in (1000, 11, 5):
        _, ticks = run([imu(), slow()], {"imu": columns(fast), "slow": columns(other)}, settings, block=block)
        firsts = [i for i, t in enumerate(ticks) if t.is_first[0]]
        assert len(firsts) == 2
        assert ticks[firsts[1] - 1].truncated[0]
        assert len(ticks) == 2 * (1900 // 20 + 1)


@pytest.mark.parametrize("step_ns", [3600 * 10**9, 700 * MS])
@pytest.mark.parametrize("block", [1000, 17, 3])
def test_a_host_clock_set_back_cuts_the_ticks_once(block, step_ns):
    one, two = inject(np.random.default_rng(0), num=400), inject(np.random.default_rng(1), num=40, period_ns=100 * MS)
    for faulty, at in ((one, 200), (two, 20)):
        faulty.t_recv_ns[at:] -= step_ns
        faulty.t_ns[at:] -= step_ns
    aligner, ticks = run([imu(), slow()], {"imu": columns(one), "slow": columns(two)}, block=block)
    assert [c.arrival_jumps for c in aligner.counts.values()] == [1, 1]
    assert sum(t.is_first[0] for t in ticks) == 2
    assert sum(t.fresh["imu"].sum() for t in ticks) == 400
    assert sum(t.fresh["slow"].sum() for t in ticks) == 40


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_offline_methods_are_those_of_a_plain_loop(method, seed):
    rng = np.random.default_rng(seed)
    faulty = inject(rng, num=300, drop=0.5, period_ns=int(rng.choice([10, 27, 40])) * MS, swap=0.2)
    settings = AlignmentSettings(methods=method, max_gap_s=0.25)
    _, ticks = run([imu()], {"imu": columns(faulty)}, settings)
    _, again = run([imu()], {"imu": columns(faulty)}, settings, block=9)
    assert flat(again) == flat(ticks)
    packets = sorted(zip(faulty.t_ns.tolist(), faulty.data.tolist(), strict=True))
    shown, at, checked = None, 0, 0
    for k, tick in enumerate(ticks):
        if tick.is_first[0]:
            if k:
                break  # one segment is enough: the next has its own origin
            at = faulty.t_recv_ns[0] + PHASE
        time = int(at) + k * TICK
        fresh = bool(tick.fresh["imu"].any())
        if method == "nearest":
            t, row = min(packets, key=lambda p: (abs(p[0] - time), p[0]))
            new = abs(t - time) <= 125 * MS and t != shown
            assert fresh == new
            if new:
                shown = t
                assert tick.rows["imu"][0, 0].tolist() == row
                assert abs(float(tick.age_s["imu"][0, 0]) - (time - t) / 1e9) < 1e-8
        else:
            low = max((p for p in packets if p[0] <= time), default=None)
            high = min((p for p in packets if p[0] > time), default=None)
            legal = low is not None and (low[0] == time or (high is not None and high[0] - low[0] <= 250 * MS))
            assert fresh == legal
            if legal and high is not None and low is not None:
                share = (time - low[0]) / (high[0] - low[0])
                expected = np.array(low[1]) * (1 - share) + np.array(high[1]) * share
                np.testing.assert_allclose(tick.rows["imu"][0, 0], expected, atol=1e-5)
        checked += 1
    assert checked > 10


def test_actions_are_those_in_force_at_the_tick_before_and_rewards_add_up():
    sensor = inject(np.random.default_rng(0), num=200, latency_ns=0)
    steps = np.arange(100)
    t = EPOCH + steps * TICK
    action = LogStream(SensorSpec("command", "action", (2,), "float32", HZ), "action")
    reward = LogStream(SensorSpec("gain", "reward", (1,), "float32", 100.0), "reward")
    streams = [imu(), action, reward]
    commands = np.stack([steps / 100, -steps / 100], 1).astype(np.float32)
    gains = np.ones((200, 1), np.float32)
    packets = {"imu": columns(sensor), "command": (commands, t), "gain": (gains, EPOCH + np.arange(200) * 10 * MS)}
    _, ticks = run(streams, packets, block=33, kind="terminated")
    for k, tick in enumerate(ticks[:99]):
        expected = [(k - 1) / 100, -(k - 1) / 100] if k else [0, 0]  # command k is given at tick k, and leads to k + 1
        np.testing.assert_allclose(tick.action[0], expected, atol=1e-7)
        assert tick.reward[0] == (2 if k else 0)
    assert ticks[-1].terminated[0]
    assert not ticks[-1].truncated[0]


@pytest.mark.parametrize("latency_share", [0.0, 0.1, 0.24, 0.26, 0.4, 0.7])
def test_a_command_that_answers_a_tick_leads_to_the_next_one_up_to_half_a_tick_late(latency_share):
    """Observation k is captured at tick k; command k, made from it, comes ``latency_share`` of a tick later."""
    steps = np.arange(80)
    t = EPOCH + steps * TICK
    sensor = LogStream(SensorSpec("pose", "state", (1,), "float32", HZ))
    command = LogStream(SensorSpec("command", "action", (1,), "float32", HZ), "action")
    values = (steps / 100).astype(np.float32)[:, None]
    aligner = Aligner([sensor, command], HZ)
    aligner.push("pose", values, t)
    aligner.push("command", values, t + round(latency_share * TICK))
    ticks = list(aligner.finish())
    for k, tick in enumerate(ticks[1:79], start=1):
        assert tick.rows["pose"][0, 0, 0] == values[k, 0]
        assert tick.action[0, 0] == values[k - 1, 0]


def test_times_of_ticks_are_told():
    sensor = inject(np.random.default_rng(0), num=400, latency_ns=0)
    aligner, times = Aligner([imu()], HZ), []
    data, t_ns, t_recv_ns, seq = columns(sensor)
    assert aligner.time_ns is None
    aligner.push("imu", data, t_ns, t_recv_ns, seq)
    for ticks in (aligner.ready(), aligner.finish()):
        for _ in ticks:
            times.append(aligner.time_ns)
    assert len(times) > 100
    assert times == [times[0] + k * TICK for k in range(len(times))]
    assert 0 <= times[0] - t_recv_ns.min() < TICK


def test_a_source_at_the_control_rate_with_jitter_gives_one_row_a_tick():
    rng = np.random.default_rng(0)
    for rate in (30.0, 29.97, 50.0):
        t = EPOCH + np.rint(np.arange(5000) * 1e9 / rate).astype(np.int64) + rng.integers(-2 * MS, 2 * MS, 5000)
        packets = {"imu": (rng.random((5000, 3)), t)}
        settings = AlignmentSettings(methods="latest", phase=0.4)
        _, ticks = run([imu(rate)], packets, settings, control_hz=rate)
        fresh = np.array([tick.fresh["imu"].sum() for tick in ticks])
        assert fresh[:-2].min() == 1


def test_the_grid_has_no_drift():
    grid = Grid.of(7, 29.97)
    far = grid.times(10**9, 3)
    assert far.tolist() == [7 + (k * 10**9 * 100) // 2997 for k in range(10**9, 10**9 + 3)]
    for time in (*far, far[0] + 1, far[0] - 1):
        count = grid.num_before(int(time))
        assert grid.times(count, 1)[0] >= time > grid.times(count - 1, 1)[0]


def test_integers_doubles_and_scalars_become_float32_and_what_does_not_fit_is_masked():
    stream = LogStream(SensorSpec("count", "x", (), "float64", 100.0))
    values = np.arange(100.0)
    values[50] = 1e300
    aligner, ticks = run([stream], {"count": (values, EPOCH + np.arange(100) * 10 * MS)})
    rows = np.concatenate([t.rows["count"][0][t.fresh["count"][0]] for t in ticks])
    assert rows.dtype == np.float32
    assert rows[:, 0].tolist() == [v for v in range(100) if v != 50]
    assert aligner.counts["count"].non_finite == 1


def test_frames_stay_bytes():
    stream = LogStream(SensorSpec("eye", "camera", (4, 4, 3), "uint8", 10.0))
    frames = np.random.default_rng(0).integers(0, 255, (30, 4, 4, 3)).astype(np.uint8)
    frames[10] = 0
    aligner, ticks = run([stream], {"eye": (frames, EPOCH + np.arange(30) * 100 * MS)}, block=4)
    rows = np.concatenate([t.rows["eye"][0][t.fresh["eye"][0]] for t in ticks])
    np.testing.assert_array_equal(rows, np.delete(frames, 10, 0))
    assert aligner.counts["eye"].masked == 1


def test_memory_is_bounded_by_blocks():
    aligner, most = Aligner([imu()], HZ), 0
    for k in range(200):
        t = EPOCH + (np.arange(100) + k * 100) * 10 * MS
        aligner.push("imu", np.full((100, 3), k, np.float32) + np.arange(100)[:, None], t)
        list(aligner.ready())
        most = max(most, len(aligner._queues["imu"].held.arrival))
    assert most < 120


MISTAKES = [
    ({"methods": "linaer"}, "did you mean 'linear'"),
    ({"methods": {"imi": "latest"}}, "did you mean 'imu'"),
    ({"essential": ["imi"]}, "did you mean 'imu'"),
    ({"sensors": ["command"]}, "no sensor"),
    ({"max_gap_s": 0.001}, "at least one tick"),
    ({"reorder_s": 9.0}, "max_gap_s"),
    ({"phase": 1.0}, "phase"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes_are_one_line(change, message):
    settings = dataclasses.replace(AlignmentSettings(), **change)
    with pytest.raises(LogError, match=message) as error:
        Aligner([imu(), LogStream(SensorSpec("command", "a", (1,)), "action")], HZ, settings)
    assert "\n" not in str(error.value)
