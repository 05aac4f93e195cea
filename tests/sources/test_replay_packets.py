"""Logs of packets as a source: episodes apart, exact resume, real flights."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from packet_streams import EPOCH, MS, imu, inject

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.sources.alignment import AlignmentSettings
from embodied_ssl.sources.alignment_doubles import MEMORY_ROWS
from embodied_ssl.sources.alignment_spec import ActionBounds, action_bounds, aligned_spec
from embodied_ssl.sources.episode_spans import episode_spans
from embodied_ssl.sources.replay_packets import LogTicks
from embodied_ssl.spec import SensorSpec

DATA = Path(os.environ.get("EMBODIED_SSL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def packet_log(path, num_episodes=3, num=300, lanes=(0,), **faults):
    """Episodes of one sensor and one action stream, 10 s apart."""
    command = LogStream(SensorSpec("command", "action", (2,), "float64", 50.0), "action")
    injected = {}
    with StreamLog.create(path, [imu(), command], fsync=False, chunk_rows={"imu": 64}) as writer:
        for lane in lanes:
            rng = np.random.default_rng(lane)
            for episode in range(num_episodes):
                start = EPOCH + episode * 20 * 10**9
                faulty = inject(rng, num=num, start_ns=start, **faults)
                writer.begin_episode(start, lane)
                writer.append("imu", faulty.data, faulty.t_ns, faulty.t_recv_ns, faulty.seq, lane)
                t = start + np.arange(num // 2) * 20 * MS
                writer.append("command", rng.uniform(-3, 5, (num // 2, 2)), t, lane=lane)
                kind = "terminated" if episode % 2 else "truncated"
                writer.end_episode(int(faulty.t_recv_ns.max()), lane, kind=kind)
                for name, count in faulty.injected.items():
                    injected[name] = injected.get(name, 0) + count
    return StreamLog.open(path), injected


def seen(steps):
    return [
        (bool(t.is_first[0]), bool(t.terminated[0]), t.action.tolist(), t.rows["imu"].tolist(), t.age_s["imu"].tolist())
        for (t,) in steps
    ]


def test_episodes_stay_apart_and_counts_add_up(tmp_path):
    log, injected = packet_log(tmp_path / "a", late=0.1, swap=0.1, double=0.1, nan=0.05, drop=0.2)
    source = LogTicks(log, 50.0)
    steps = list(source)
    assert [t.is_first[0] for (t,) in steps].count(True) == 3
    assert [(bool(t.terminated[0]), bool(t.truncated[0])) for (t,) in steps if t.terminated[0] or t.truncated[0]] == [
        (False, True),
        (True, False),
        (False, True),
    ]
    for name, count in injected.items():
        assert getattr(source.counts["imu"], name) == count, name
    assert source.step == len(steps)


def test_block_sizes_do_not_matter(tmp_path, monkeypatch):
    log, _ = packet_log(tmp_path / "a", late=0.1, swap=0.1, double=0.1)
    whole = seen(LogTicks(log, 50.0))
    monkeypatch.setattr("embodied_ssl.sources.replay_packets.MAX_BLOCK_ROWS", 37)
    assert seen(LogTicks(log, 50.0)) == whole


def test_a_cursor_goes_on_exactly(tmp_path):
    log, _ = packet_log(tmp_path / "a", num=60)
    steps, source = seen(LogTicks(log, 50.0)), LogTicks(log, 50.0)
    for cut in range(0, len(steps) + 1, 7):
        while source.step < cut:
            source.next_step()
        rest = LogTicks(log, 50.0)
        rest.load_state(json.loads(json.dumps(source.state())))
        assert rest.step == cut
        assert seen(rest) == steps[cut:]


def test_a_lane_has_its_own_packets(tmp_path):
    both, _ = packet_log(tmp_path / "a", lanes=(0, 1))
    alone, _ = packet_log(tmp_path / "b", lanes=(0,))
    assert seen(LogTicks(both, 50.0)) == seen(LogTicks(alone, 50.0))
    other = LogTicks(both, 50.0, spans=episode_spans(both, lane=1))
    assert seen(other) != seen(LogTicks(alone, 50.0))


def test_ticks_fit_a_buffer_and_windows_stay_inside_episodes(tmp_path):
    log, _ = packet_log(tmp_path / "a", drop=0.3, late=0.1)
    source, shape = LogTicks(log, 50.0), WindowShape(4, 3)
    buffer = StreamBuffer(source.spec, 1, 1000, (shape,))
    for (tick,) in source:
        buffer.append(tick)
    lanes, ends = buffer.indices[shape].all_legal()
    starts, _ = buffer.table.bounds(lanes, ends)
    assert (ends - starts >= 3).all()
    assert len(np.unique(starts)) == 3
    assert sum(buffer.num_overflow_rows.values()) == 0


def test_actions_are_scaled_by_measured_or_given_bounds(tmp_path):
    log, _ = packet_log(tmp_path / "a")
    measured = action_bounds([log])
    values = log.read("command").data
    assert measured == ActionBounds(tuple(values.min(0)), tuple(values.max(0)))
    assert ActionBounds.from_json(json.loads(json.dumps(measured.to_json()))) == measured
    assert measured.scaled(np.array([measured.low, measured.high])).tolist() == [[-1, -1], [1, 1]]
    settings = AlignmentSettings(action_bounds=measured)
    actions = np.concatenate([t.action for (t,) in LogTicks(log, 50.0, settings)])
    assert -1 <= actions.min() < -0.9
    assert 0.9 < actions.max() <= 1
    declared = LogStream(SensorSpec("c", "a", (2,), rate_hz=5, low=-4, high=6), "action")
    StreamLog.create(tmp_path / "c", [imu(), declared], fsync=False).close()
    assert action_bounds([StreamLog.open(tmp_path / "c")]) == ActionBounds((-4, -4), (6, 6))


def test_a_log_without_actions_has_one_that_is_zero(tmp_path):
    with StreamLog.create(tmp_path / "a", [imu()], fsync=False) as writer:
        faulty = inject(np.random.default_rng(0), num=100)
        writer.append("imu", faulty.data, faulty.t_ns, faulty.t_recv_ns, faulty.seq)
    source = LogTicks(StreamLog.open(tmp_path / "a"), 50.0)
    ticks = [tick for (tick,) in source]
    assert source.spec.action_size == 1
    assert len(ticks) > 40
    assert all((tick.action == 0).all() for tick in ticks)
    assert [t.is_first[0] for t in ticks].count(True) == 1


def test_episodes_read_little_more_than_their_own_rows(tmp_path, monkeypatch):
    log, _ = packet_log(tmp_path / "a", num_episodes=12, num=40)
    read, original = [], StreamLog.read

    def counted(self, name, start=0, stop=None):
        rows = original(self, name, start, stop)
        read.append(len(rows) if name == "imu" else 0)
        return rows

    plain = seen(LogTicks(log, 50.0))
    monkeypatch.setattr(StreamLog, "read", counted)
    monkeypatch.setattr("embodied_ssl.sources.replay_packets.EDGE_ROWS", 8)
    assert seen(LogTicks(log, 50.0)) == plain
    assert log.num_rows("imu") <= sum(read) <= log.num_rows("imu") + 12 * 2 * 8


def test_the_time_and_episode_of_every_step_are_told(tmp_path):
    log, _ = packet_log(tmp_path / "a", drop=0.3, late=0.1)
    source = LogTicks(log, 50.0)
    times, episodes, first = [], [], []
    for (tick,) in source:
        times.append(source.time_ns)
        episodes.append(source.episode)
        first.append(bool(tick.is_first[0]))
    assert sorted(set(episodes)) == [0, 1, 2]
    for number, episode in enumerate(log.episodes):
        mine = [t for t, e in zip(times, episodes, strict=True) if e == number]
        assert set(np.diff(mine)) == {20 * MS}
        assert episode.start_ns <= mine[0] < episode.start_ns + 40 * MS
        assert episode.end_ns is not None
        assert mine[-1] <= episode.end_ns + 20 * MS
    starts = [i for i, e in enumerate(episodes) if i == 0 or e != episodes[i - 1]]
    assert [i for i, one in enumerate(first) if one] == starts


def test_an_episode_that_is_not_there_is_one_line(tmp_path):
    log, _ = packet_log(tmp_path / "a")
    with pytest.raises(LogError, match="no episode 3"):
        episode_spans(log, episodes=[0, 3])
    assert len(episode_spans(log, episodes=[0, 2])) == 2


def test_what_must_not_be_learned_from_is_no_sensor():
    truth = LogStream(SensorSpec("truth", "pose", (3,), rate_hz=50.0), "privileged")
    words = LogStream(SensorSpec("words", "text", (64,), "uint8", 1.0), "text")
    spec = aligned_spec([imu(), truth, words], 50.0)
    assert [sensor.name for sensor in spec.sensors] == ["imu"]
    with pytest.raises(LogError, match="no sensor"):
        aligned_spec([imu(), truth], 50.0, sensors=["truth"])


FLIGHT = DATA / "ulog" / "sample.ulg"


@pytest.mark.skipif(not FLIGHT.is_file(), reason=f"{FLIGHT} is not there; set EMBODIED_SSL_DATA")
def test_a_real_flight_is_aligned_and_its_counts_are_those_of_an_independent_count(tmp_path):
    pyulog = pytest.importorskip("pyulog")
    topics = {d.name: d for d in pyulog.ULog(str(FLIGHT)).data_list if d.multi_id == 0}
    chosen = {
        "sensor_combined": ("gyro_rad[0]", "gyro_rad[1]", "gyro_rad[2]"),
        "vehicle_attitude": ("q[0]", "q[1]", "q[2]", "q[3]"),
        "sensor_preflight": ("accel_inconsistency_m_s_s",),
    }
    streams, columns = [], {}
    for name, fields in chosen.items():
        table = topics[name].data
        t = table["timestamp"].astype(np.int64) * 1000
        rate = float(1e9 / (np.median(np.diff(t)) or 4e6))  # sensor_preflight has one time stamp throughout
        streams.append(LogStream(SensorSpec(name, "imu", (len(fields),), "float32", rate)))
        columns[name] = (np.stack([table[f] for f in fields], 1).astype(np.float32), t)
    with StreamLog.create(tmp_path / "a", streams, fsync=False) as writer:
        for name, (data, t) in columns.items():
            writer.append(name, data, t)
    source = LogTicks(StreamLog.open(tmp_path / "a"), 50.0)
    ticks = [tick for (tick,) in source]
    for name, (data, t) in columns.items():
        steps, counts = np.diff(t), source.counts[name]
        period = 1e9 / source.log.streams[name].sensor.rate_hz
        last, copies = {}, 0
        for number, packet in enumerate((time, row.tobytes()) for time, row in zip(t.tolist(), data, strict=True)):
            copies += number - last.get(packet, -(10**9)) <= MEMORY_ROWS
            last[packet] = number
        assert counts.received == len(t)
        assert counts.duplicated == copies
        assert counts.late == counts.reordered == counts.clock_jumps == 0
        assert counts.gaps == (steps > 0.5e9).sum()
        holes = steps[(steps > 1.5 * period) & (steps <= 0.5e9)]
        assert counts.missing == sum(round(h / period) - 1 for h in holes.tolist())
        assert counts.non_finite == (~np.isfinite(data)).any(1).sum()
        fresh = np.concatenate([tick.rows[name][tick.fresh[name]] for tick in ticks])
        assert counts.delivered == len(fresh)
        assert counts.received == len(fresh) + counts.duplicated + counts.overflow + counts.superseded + counts.masked
        rows = {row.tobytes() for row in data}
        assert all(row.tobytes() in rows for row in fresh)
    # sensor_preflight stands at 0, long before: one tick of its own.
    moving = [t for name, (_, t) in columns.items() if name != "sensor_preflight"]
    span_ns = int(max(t[-1] for t in moving) - min(t[0] for t in moving))
    assert abs(len(ticks) - 1 - span_ns / 20e6) <= 2
    assert source.counts["sensor_combined"].missing > 0
