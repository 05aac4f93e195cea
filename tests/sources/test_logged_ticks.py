"""A log of packets as ticks: counted before they are read, with times by which probe targets are found."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from packet_logs import STREAMS, record_packets
from tick_logs import record_ticks

from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.config import EvaluationConfig, LogConfig
from embodied_ssl.errors import ConfigError, LogError
from embodied_ssl.evaluate.log_probe_set import log_probe_set
from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.sources.alignment import Aligner
from embodied_ssl.sources.log_identity import check_identities, identities, log_facts, packet_notes
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.sources.log_targets import privileged_names, targets_at
from embodied_ssl.sources.logged_ticks import LaneTicks, open_logged
from embodied_ssl.spec import SensorSpec


def config_of(*paths, **settings) -> LogConfig:
    return LogConfig(paths=[str(path) for path in paths], **settings)


def test_ticks_are_those_that_were_counted_and_their_times_lie_within_the_episodes(tmp_path):
    record_packets(tmp_path / "a.zarr")
    (logged,) = open_logged(config_of(tmp_path / "a.zarr"))
    ticks = [tick for step in logged.steps() for tick in step]
    (lane,) = logged.lanes
    assert len(ticks) == len(lane.time_ns) == len(lane.is_first) > 6 * 75
    assert [bool(tick.is_first[0]) for tick in ticks] == lane.is_first.tolist()
    assert lane.is_first.sum() == 6
    inside = np.diff(lane.time_ns)[~lane.is_first[1:]]
    assert set(inside.tolist()) <= {50_000_000}
    log = StreamLog.open(tmp_path / "a.zarr")
    for start, episode in zip(np.flatnonzero(lane.is_first), log.episodes, strict=True):
        assert 0 <= lane.time_ns[start] - episode.start_ns < 50_000_000
    # What a tick shows of a sensor is what the file had at its time.
    rows = log.read("joint")
    for tick, time_ns in zip(ticks, lane.time_ns, strict=True):
        if tick.fresh["joint"].any():
            newest = np.searchsorted(rows.t_ns, time_ns, side="right") - 1
            np.testing.assert_array_equal(tick.rows["joint"][tick.fresh["joint"]][-1], rows.data[newest])


def test_privileged_text_and_action_streams_are_no_sensors(tmp_path):
    record_packets(tmp_path / "a.zarr", num_episodes=2)
    logs = LogSet.open(config_of(tmp_path / "a.zarr"), 5, 4)
    assert [sensor.name for sensor in logs.spec.sensors] == ["imu", "joint"]
    assert logs.spec.action_size == 1
    assert privileged_names(logs.logs[0].log) == ["angle"]
    actions = np.concatenate([tick.action for tick in logs.ticks(logs.learned, range(len(logs.learned)))])
    assert actions.min() >= -1
    assert actions.max() <= 1
    assert actions.std() > 0.3  # scaled from [-3, 5] by what is in the log, not clipped


def test_targets_are_the_newest_rows_that_had_arrived_within_the_run_of_ticks(tmp_path):
    """Against a plain loop: other lanes, other episodes, late arrivals, and ticks before the first row."""
    rng = np.random.default_rng(0)
    streams = [LogStream(SensorSpec("x", "x", (1,), "float64", 10.0), "privileged")]
    t_ns = np.cumsum(rng.integers(1, 50, 300))
    arrival = np.maximum.accumulate(t_ns + rng.integers(0, 200, 300))
    lanes = rng.integers(0, 2, 300)
    with StreamLog.create(tmp_path / "x.zarr", streams, fsync=False) as writer:
        writer.append("x", 1 + np.arange(300.0)[:, None], t_ns, arrival, lane=lanes)
    log, tick_ns, unknown_before = StreamLog.open(tmp_path / "x.zarr"), 20, 0
    times = np.arange(0, arrival[-1] + 100, tick_ns)
    is_first = rng.random(len(times)) < 0.1
    is_first[0] = True
    for number in (0, 1, 7):
        lane = LaneTicks(times, is_first, np.cumsum(is_first), number)
        begins = np.flatnonzero(is_first)
        for begin, end in zip(begins, [*begins[1:], len(times)], strict=True):
            start = int(rng.integers(begin, end))
            found, unknown = targets_at(log, "x", lane, start, int(end), tick_ns)
            assert len(found) == end - start
            for tick, value in zip(range(start, end), found[:, 0], strict=True):
                since = times[begin] - tick_ns
                rows = [row for row in range(300) if lanes[row] == number and since < arrival[row] <= times[tick]]
                assert value == (1 + rows[-1] if rows else 0)
                assert (tick - start < unknown) == (not rows)
            unknown_before += unknown if number < 2 else 0
            assert number < 2 or unknown == end - start
    assert unknown_before > 10


def test_a_tick_before_the_first_target_is_not_scored(tmp_path):
    """The privileged stream begins a second late in every episode, and is far off in the one before."""
    streams = [*STREAMS[:3], STREAMS[3]]
    with StreamLog.create(tmp_path / "a.zarr", streams, {"fps": 20.0}, fsync=False) as writer:
        for episode in range(6):
            begin = 10**18 + episode * 6 * 10**9
            t = begin + np.arange(80) * 50_000_000
            writer.begin_episode(begin)
            for stream in streams[:3]:
                writer.append(stream.name, np.zeros((80, *stream.sensor.shape), stream.sensor.dtype), t)
            writer.append("angle", np.full((60, 2), episode + 1.0), t[20:], t[20:] + 10_000_000)
            writer.end_episode(int(t[-1]), kind="truncated")
    config, shape = config_of(tmp_path / "a.zarr", holdout=0.4), WindowShape(5, 4)
    spec = LogSet.open(config, 5, 4).spec
    probe_set = log_probe_set(config, shape, spec, EvaluationConfig(train_episodes=4, test_episodes=2))
    assert probe_set.num_episodes == 6
    for test in (False, True):
        lanes, ends = probe_set.ends(5, 4, 1, test)
        assert set(ends[lanes == lanes[0]]) == set(range(20, 76))
        assert (probe_set.privileged["angle"][ends, lanes] > 0).all()
    known = np.arange(80) >= 20
    for lane in range(6):
        values = np.unique(probe_set.privileged["angle"][:80, lane][known])
        assert len(values) == 1  # of its own episode, never of the one before
        assert (probe_set.privileged["angle"][:80, lane][~known] == 0).all()


def test_a_stream_that_nothing_held_out_knows_is_no_target(tmp_path):
    streams = [STREAMS[1], STREAMS[3]]
    with StreamLog.create(tmp_path / "a.zarr", streams, {"fps": 20.0}, fsync=False) as writer:
        t = 10**18 + np.arange(400) * 50_000_000
        writer.append("joint", np.zeros((400, 1), np.float32), t)
        writer.append("angle", np.zeros((1, 2)), t[-6:-5])  # by then no held-out window has its horizon any more
    config, shape = config_of(tmp_path / "a.zarr", holdout=0.4), WindowShape(5, 4)
    probe_set = log_probe_set(config, shape, LogSet.open(config, 5, 4).spec, EvaluationConfig())
    assert not probe_set.privileged
    for test in (False, True):
        assert len(probe_set.ends(5, 4, 1, test)[0]) > 100


def test_faults_and_counts_of_packets_can_be_reached(tmp_path):
    record_packets(tmp_path / "a.zarr")
    frozen = StreamLog.open(tmp_path / "a.zarr").read("joint").data
    with StreamLog.create(tmp_path / "f.zarr", STREAMS[:2], {"fps": 20.0}, fsync=False) as writer:
        t = 10**18 + np.arange(100) * 50_000_000
        data = np.repeat(frozen[:1], 100, 0)
        data[:40, 0] = np.arange(40) / 50
        writer.append("joint", data, t, seq=np.arange(100) + (np.arange(100) > 50))
        writer.append("imu", np.random.default_rng(0).normal(size=(100, 2)), t)
    path = str(tmp_path / "f.zarr")
    plain = LogSet.open(config_of(path), 5, 4)
    assert "masked" not in log_facts(plain)["packets"][path]["joint"]
    masked = LogSet.open(config_of(path, frozen_s=1.0), 5, 4)
    counts = log_facts(masked)["packets"][path]
    assert counts["joint"]["masked"] == 39  # rows 61 to 99: unchanged since row 40 for longer than a second
    assert counts["joint"]["missing"] == 1
    assert counts["joint"]["received"] == 100
    assert 0 not in counts["joint"].values()
    (note,) = (one for one in packet_notes(masked) if "'joint'" in one)
    assert note.startswith(f"{path}: packets of 'joint': 100 received, of them 1 missing, 39 masked")
    fresh = [sum(int(t.fresh["joint"].sum()) for (t,) in one.logs[0].steps()) for one in (plain, masked)]
    assert fresh[0] - fresh[1] == 39


def test_slow_recordings_are_not_shredded_and_a_gap_that_shreds_is_named(tmp_path):
    streams = [LogStream(SensorSpec("gps", "position", (2,), "float32", 1.0))]
    with StreamLog.create(tmp_path / "a.zarr", streams, {"fps": 1.0}, fsync=False) as writer:
        writer.append("gps", np.zeros((60, 2), np.float32), 10**18 + np.arange(60) * 10**9)
    (logged,) = open_logged(config_of(tmp_path / "a.zarr"))
    assert logged.lanes[0].is_first.sum() == 1
    assert len(logged.lanes[0].is_first) >= 60
    with pytest.raises(LogError, match=r"a.zarr: max_gap_s is 0.5, .*raise --log.max_gap_s"):
        open_logged(config_of(tmp_path / "a.zarr", max_gap_s=0.5))
    with pytest.raises(LogError, match=r"longest episode has \d ticks.*--log.max_gap_s"):
        LogSet.open(config_of(tmp_path / "a.zarr", max_gap_s=0.9, control_hz=2.0), 5, 4)


def test_a_recording_of_ticks_has_its_own_rate(tmp_path):
    record_ticks(tmp_path / "t.zarr")
    with pytest.raises(LogError, match=r"log.control_hz is 10, but .*t.zarr was recorded from ticks at 20 Hz"):
        open_logged(config_of(tmp_path / "t.zarr", control_hz=10.0))
    (logged,) = open_logged(config_of(tmp_path / "t.zarr", control_hz=20.0))
    assert logged.spec.control_hz == 20.0
    with pytest.raises(ConfigError, match=r"log.control_hz is 0.0004"):
        config_of(tmp_path / "t.zarr", control_hz=0.0004)
    with pytest.raises(LogError, match=r"control_hz is 0.0004, expected at least 0.001"):
        Aligner(STREAMS, 0.0004)


def test_logs_that_grew_or_are_split_otherwise_are_refused_by_name(tmp_path):
    for name in ("a", "b"):
        record_packets(tmp_path / f"{name}.zarr", seed=ord(name))
    config = config_of(tmp_path / "a.zarr", tmp_path / "b.zarr", holdout=0.3)
    known = json.loads(json.dumps(identities(LogSet.open(config, 5, 4))))
    check_identities(LogSet.open(config, 5, 4), known)
    with pytest.raises(LogError, match=r"a.zarr gives other ticks or holds out others.*pretrain anew"):
        check_identities(LogSet.open(dataclasses.replace(config, holdout=0.1), 5, 4), known)
    with pytest.raises(LogError, match="learned from 2 logs, there are 1 now"):
        check_identities(LogSet.open(config_of(tmp_path / "a.zarr"), 5, 4), known)
    with StreamLog.append_to(tmp_path / "b.zarr") as writer:
        t = 1_900_000_000_000_000_000 + np.arange(40) * 50_000_000
        writer.begin_episode(int(t[0]))
        writer.append("joint", np.zeros((40, 1), np.float32), t)
        writer.end_episode(int(t[-1]))
    with pytest.raises(LogError, match=r"b.zarr has [\d,]+ rows, but [\d,]+ when the run learned.*pretrain anew"):
        check_identities(LogSet.open(config, 5, 4), known)


def test_two_logs_are_scaled_alike_and_some_sensors_can_be_chosen(tmp_path):
    record_packets(tmp_path / "a.zarr")
    record_packets(tmp_path / "b.zarr", seed=1)
    both = open_logged(config_of(tmp_path / "a.zarr", tmp_path / "b.zarr", sensors=["joint"]))
    assert [[sensor.name for sensor in logged.spec.sensors] for logged in both] == [["joint"], ["joint"]]
    least = min(tick.action.min() for logged in both for (tick,) in logged.steps())
    raw = [StreamLog.open(logged.log.path).read("push").data for logged in both]
    assert least == pytest.approx(-1, abs=0.05)
    assert min(values.min() for values in raw) < -2.5


def test_mistakes_are_one_line(tmp_path):
    record_packets(tmp_path / "a.zarr", num_episodes=1)
    StreamLog.create(tmp_path / "none.zarr", STREAMS[2:], {"fps": 20.0}).close()
    StreamLog.create(tmp_path / "rate.zarr", STREAMS).close()
    cases = (
        (config_of(tmp_path / "none.zarr"), "none.zarr: the log has no sensor"),
        (config_of(tmp_path / "rate.zarr"), "rate.zarr says no rate of control; set --log.control_hz"),
        (config_of(tmp_path / "a.zarr", sensors=["jont"]), "did you mean 'joint'"),
        (config_of(tmp_path / "gone.zarr"), "is no log"),
    )
    for config, message in cases:
        with pytest.raises(LogError) as error:
            open_logged(config)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(LogError, match="its longest episode has 0 ticks"):
        LogSet.open(config_of(tmp_path / "rate.zarr", control_hz=20.0), 5, 4)
