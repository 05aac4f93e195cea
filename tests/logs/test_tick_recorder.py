"""A recording holds every fresh row once, with times, numbers and episodes that can be computed by hand."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.tick_recorder import TickRecorder, create_recording, recorded_streams, stream_names
from embodied_ssl.spec import SensorSpec, StreamSpec

TICK_NS = 50_000_000


def recorded(path, num_lanes=3, num_steps=80, seed=0):
    source, ticks = TickSource(num_lanes, seed), []
    with create_recording(path, SPEC, num_lanes, {"id": "made-up"}, fsync=False) as writer:
        recorder = TickRecorder(writer, SPEC, num_lanes)
        for _ in range(num_steps):
            ticks.append(source.tick())
            recorder.write([ticks[-1]])
    return StreamLog.open(path), ticks


def test_rows_times_and_numbers_are_those_of_a_plain_loop(tmp_path):
    log, ticks = recorded(tmp_path / "a.zarr")
    for sensor in SPEC.sensors:
        expected, numbers = [], [0, 0, 0]
        for step, tick in enumerate(ticks):
            for lane in range(3):
                for k in np.flatnonzero(tick.fresh[sensor.name][lane]):
                    age_ns = round(float(tick.age_s[sensor.name][lane, k]) * 1e9)
                    now = step * TICK_NS
                    expected.append((now - age_ns, now, numbers[lane], lane, step))
                    numbers[lane] += 1
        rows = log.read(sensor.name)
        assert rows.index.tolist() == [list(row) for row in expected]
        values = [t.rows[sensor.name][i, k] for t in ticks for i, k in np.argwhere(t.fresh[sensor.name])]
        assert rows.data.dtype == sensor.dtype
        np.testing.assert_array_equal(rows.data, values)
    np.testing.assert_array_equal(log.read("action").data, np.concatenate([tick.action for tick in ticks]))
    np.testing.assert_array_equal(log.read("reward").data[:, 0], np.concatenate([tick.reward for tick in ticks]))
    assert json.loads(json.dumps(log.facts))["recorded"] == "ticks"
    assert StreamSpec.from_json(log.facts["spec"]) == SPEC


def test_episodes_are_those_of_the_flags(tmp_path):
    log, ticks = recorded(tmp_path / "a.zarr", num_steps=200, seed=3)
    expected = []
    for lane in range(3):
        for step, tick in enumerate(ticks):
            if tick.is_first[lane]:
                expected.append([lane, step, -1, "open"])
            if tick.terminated[lane] or tick.truncated[lane]:
                kinds = [k for k in ("terminated", "truncated") if getattr(tick, k)[lane]]
                expected[-1][2:] = [step, "+".join(kinds)]
    found = [[e.lane, e.start_tick, e.end_tick, e.end_kind] for e in log.episodes]
    assert sorted(found) == sorted(expected)
    assert len({e.end_kind for e in log.episodes}) == 3
    assert all(e.start_ns == e.start_tick * TICK_NS for e in log.episodes)


def test_tensors_are_recorded_like_arrays(tmp_path):
    source = TickSource(2, 1)
    tick = source.tick()
    moved = dataclasses.replace(
        tick,
        rows={name: torch.from_numpy(rows) for name, rows in tick.rows.items()},
        action=torch.from_numpy(tick.action),
        reward=torch.from_numpy(tick.reward),
    )
    for name, each in (("array", tick), ("tensor", moved)):
        with create_recording(tmp_path / name, SPEC, 2, fsync=False) as writer:
            TickRecorder(writer, SPEC, 2).write([each])
    one, other = (StreamLog.open(tmp_path / name) for name in ("array", "tensor"))
    for name in one.streams:
        np.testing.assert_array_equal(one.read(name).data, other.read(name).data)
        np.testing.assert_array_equal(one.read(name).index, other.read(name).index)


def test_going_on_counts_on_and_begins_new_episodes(tmp_path):
    log, _ = recorded(tmp_path / "a.zarr", num_steps=30)
    source = TickSource(3, 9, end_chance=0.0)
    source.ended[:] = False
    with StreamLog.append_to(tmp_path / "a.zarr", fsync=False) as writer:
        recorder = TickRecorder(writer, SPEC, 3)
        for _ in range(5):
            recorder.write([source.tick()])
    log.refresh()
    rows = log.read("tick")
    assert rows.tick.tolist() == np.repeat(np.arange(35), 3).tolist()
    assert rows.t_recv_ns.tolist() == np.repeat(np.arange(35) * TICK_NS, 3).tolist()
    assert (rows.data[90:93, 0] == 1).all()
    assert (rows.data[93:, 0] == 0).all()
    for name in log.streams:
        rows = log.read(name)
        for lane in range(3):
            assert rows.seq[rows.lane == lane].tolist() == list(range((rows.lane == lane).sum()))


def test_a_sensor_may_be_called_action():
    spec = StreamSpec((SensorSpec("action", "x", (2,)), SensorSpec("tick", "x", (1,))), 2, 20.0)
    assert stream_names(spec) == {"action": "action_", "reward": "reward", "tick": "tick_"}
    streams = recorded_streams(spec)
    assert [(s.name, s.role) for s in streams] == [
        ("action", "sensor"),
        ("tick", "sensor"),
        ("action_", "action"),
        ("reward", "reward"),
        ("tick_", "other"),
    ]


@pytest.mark.parametrize("fault", ["room", "age", "lane"])
def test_a_tick_that_cannot_be_recorded_is_one_line_and_leaves_no_row(tmp_path, fault):
    tick = TickSource(2, 0).tick()
    name = "slow"
    if fault == "room":
        change = {
            "rows": {**tick.rows, name: np.zeros((2, 4, 1), np.float32)},
            "fresh": {**tick.fresh, name: np.ones((2, 4), bool)},
            "age_s": {**tick.age_s, name: np.zeros((2, 4), np.float32)},
        }
    elif fault == "age":
        change = {
            "fresh": {**tick.fresh, name: np.ones((2, 2), bool)},
            "age_s": {**tick.age_s, name: np.full((2, 2), np.nan, np.float32)},
        }
    else:
        change = {"lanes": np.array([0, 2])}
    with create_recording(tmp_path / "a", SPEC, 2, fsync=False) as writer:
        with pytest.raises(LogError) as error:
            TickRecorder(writer, SPEC, 2).write([dataclasses.replace(tick, **change)])
        assert "\n" not in str(error.value)
    log = StreamLog.open(tmp_path / "a")
    assert sum(log.num_rows(stream) for stream in log.streams) == 0


def test_a_log_of_other_streams_is_refused(tmp_path):
    recorded(tmp_path / "a.zarr", num_steps=1)
    with StreamLog.append_to(tmp_path / "a.zarr", fsync=False) as writer, pytest.raises(LogError, match="new folder"):
        TickRecorder(writer, SPEC, 4)
