"""A log of packets as ticks: counted before they are read, with times by which probe targets are found."""

from __future__ import annotations

import numpy as np
import pytest
from packet_logs import STREAMS, record_packets

from embodied_ssl.config import LogConfig
from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.sources.logged_ticks import latest_before, open_logged, privileged_names
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


def test_latest_before_is_the_newest_row_at_or_before_each_time(tmp_path):
    rng = np.random.default_rng(0)
    streams = [LogStream(SensorSpec("x", "x", (1,), "float64", 10.0), "privileged")]
    times = np.cumsum(rng.integers(1, 50, 300))
    lanes = rng.integers(0, 2, 300)
    with StreamLog.create(tmp_path / "x.zarr", streams, fsync=False) as writer:
        writer.append("x", np.arange(300.0)[:, None], times, lane=lanes)
    log = StreamLog.open(tmp_path / "x.zarr")
    asked = rng.integers(-5, times[-1] + 100, 400)
    for lane in (0, 1):
        found = latest_before(log, "x", lane, asked)[:, 0]
        for time_ns, value in zip(asked, found, strict=True):
            mine = [row for row in range(300) if lanes[row] == lane]
            before = [row for row in mine if times[row] <= time_ns]
            assert value == (before[-1] if before else mine[0])
    with pytest.raises(LogError, match="has no row of lane 7"):
        latest_before(log, "x", 7, asked)


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
