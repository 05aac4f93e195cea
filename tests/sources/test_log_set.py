"""Several logs as one: every learned tick comes once, held-out ones never, and what a log lacks is not there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from streams import SPEC
from tick_logs import record_ticks

from embodied_ssl.config import LogConfig
from embodied_ssl.errors import LogError
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.spec import SensorSpec, StreamSpec


def opened(*paths, holdout: float = 0.2, context: int = 5, horizon: int = 4) -> LogSet:
    return LogSet.open(LogConfig(paths=[str(path) for path in paths], holdout=holdout), context, horizon)


def by_lane(ticks) -> dict[int, list]:
    """Return per lane its ticks as ``(action, is_first, fresh rows of joint)``."""
    lanes: dict[int, list] = {}
    for tick in ticks:
        for place, lane in enumerate(tick.lanes):
            rows = tick.rows["joint"][place][tick.fresh["joint"][place]]
            lanes.setdefault(int(lane), []).append((tick.action[place], bool(tick.is_first[place]), rows))
    return lanes


def test_learned_and_held_out_ticks_are_those_of_the_log(tmp_path):
    live = record_ticks(tmp_path / "a.zarr", num_steps=300, num_lanes=2)
    logs = opened(tmp_path / "a.zarr")
    source = by_lane(live)
    for stretches in (logs.learned, logs.held_out):
        found = by_lane(logs.ticks(stretches, range(len(stretches))))
        for number, stretch in enumerate(stretches):
            expected = source[stretch.lane][stretch.start : stretch.stop]
            assert len(found[number]) == stretch.num_ticks
            assert [first for _, first, _ in found[number]] == [True] + [False] * (stretch.num_ticks - 1)
            for (action, _, rows), (live_action, _, live_rows) in zip(found[number], expected, strict=True):
                np.testing.assert_array_equal(action, live_action)
                np.testing.assert_array_equal(rows, live_rows)
    assert sum(s.num_ticks for s in [*logs.learned, *logs.held_out]) == 600
    assert logs.held_out


def test_lanes_are_filled_alike_and_no_lane_gets_two_stretches_at_once(tmp_path):
    record_ticks(tmp_path / "wide.zarr", num_steps=100, num_lanes=3, seed=1)
    record_ticks(tmp_path / "long.zarr", num_steps=700, num_lanes=1, seed=2)
    logs = opened(tmp_path / "wide.zarr", tmp_path / "long.zarr")
    lanes, filled = logs.layout()
    assert filled.sum() == sum(stretch.num_ticks for stretch in logs.learned)
    longest = max(stretch.num_ticks for stretch in logs.learned)
    assert filled.max() - filled.min() <= longest
    count = np.zeros(3, np.int64)
    for tick in logs.ticks(logs.learned, lanes):
        assert len(np.unique(tick.lanes)) == len(tick.lanes)
        count[tick.lanes] += 1
    np.testing.assert_array_equal(count, filled)


def without(*names: str) -> StreamSpec:
    return dataclasses.replace(SPEC, sensors=tuple(s for s in SPEC.sensors if s.name not in names))


def test_sensors_are_united_and_a_sensor_that_a_log_lacks_has_no_row(tmp_path):
    wind = SensorSpec("wind", "wind", (2,), rate_hz=20.0)
    record_ticks(tmp_path / "a.zarr", spec=without("camera"))
    other = without("imu", "slow")
    record_ticks(tmp_path / "b.zarr", seed=1, spec=dataclasses.replace(other, sensors=(*other.sensors, wind)))
    logs = opened(tmp_path / "a.zarr", tmp_path / "b.zarr")
    assert [sensor.name for sensor in logs.spec.sensors] == ["joint", "imu", "slow", "camera", "wind"]
    seen: dict[int, dict[str, int]] = {0: {}, 1: {}}
    for number in (0, 1):
        stretches = [stretch for stretch in logs.learned if stretch.log == number]
        for tick in logs.ticks(stretches, range(len(stretches))):
            for name, fresh in tick.fresh.items():
                assert tick.rows[name].shape[:2] == fresh.shape == tick.age_s[name].shape
                seen[number][name] = seen[number].get(name, 0) + int(fresh.sum())
    assert [name for name, count in seen[0].items() if count == 0] == ["camera", "wind"]
    assert [name for name, count in seen[1].items() if count == 0] == ["imu", "slow"]


def test_one_log_without_actions_stands_still(tmp_path):
    record_ticks(tmp_path / "a.zarr")
    record_ticks(tmp_path / "b.zarr", spec=dataclasses.replace(SPEC, action_size=0))
    for paths in (("a", "b"), ("b", "a")):
        logs = opened(*(tmp_path / f"{name}.zarr" for name in paths))
        assert logs.spec.action_size == 2
        still = [stretch for stretch in logs.learned if paths[stretch.log] == "b"]
        ticks = list(logs.ticks(still, range(len(still))))
        assert ticks
        assert all(tick.action.shape == (len(tick.lanes), 2) and not tick.action.any() for tick in ticks)


REFUSED = {
    "shape": (
        dataclasses.replace(SPEC, sensors=(SensorSpec("joint", "joint", (3,)), *SPEC.sensors[1:])),
        "sensor 'joint' is float32 (2,) in",
    ),
    "rate": (dataclasses.replace(SPEC, control_hz=10.0), "has 20 ticks a second"),
    "action": (dataclasses.replace(SPEC, action_size=5), "actions have 2 values in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_logs_that_do_not_fit_are_both_named(tmp_path, case):
    spec, message = REFUSED[case]
    record_ticks(tmp_path / "a.zarr")
    record_ticks(tmp_path / "b.zarr", spec=spec)
    with pytest.raises(LogError) as error:
        opened(tmp_path / "a.zarr", tmp_path / "b.zarr")
    for part in (message, "a.zarr", "b.zarr"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_a_log_too_short_to_learn_from_is_one_line(tmp_path):
    record_ticks(tmp_path / "short.zarr", num_steps=4, end_chance=0.0)
    with pytest.raises(LogError, match=r"short.zarr: its longest episode has 4 ticks at 20 Hz.*horizon_ticks \(4\)"):
        opened(tmp_path / "short.zarr")
    record_ticks(tmp_path / "held.zarr", num_steps=20, end_chance=0.0)
    with pytest.raises(LogError, match=r"held.zarr: log.holdout leaves stretches of at most 1 of 20 ticks"):
        opened(tmp_path / "held.zarr", holdout=0.5)
    with pytest.raises(LogError, match="is no log"):
        opened(tmp_path / "nothing.zarr")
