import math

import numpy as np
import pytest

from embodied_ssl.report.run_data import Estimate, RunData, by_place, smooth

ROWS = [
    {"kind": "ssl", "updates": 3, "loss": 1.0},
    {"kind": "ssl", "updates": 1, "loss": 3.0},
    {"kind": "ssl", "updates": 2, "loss": None},
    {"kind": "ssl", "loss": 9.0},
    {"kind": "health", "updates": 1, "loss": 7.0, "verdict": "keep"},
    {"kind": "health", "updates": 2, "verdict": "nothing"},
]


def test_curve_is_sorted_and_keeps_holes() -> None:
    x, y = RunData("r", rows=ROWS).curve("ssl", "loss")
    assert x.tolist() == [1.0, 2.0, 3.0]
    assert np.array_equal(y, [3.0, np.nan, 1.0], equal_nan=True)
    assert [len(a) for a in RunData("r", rows=ROWS).curve("ssl", "absent")] == [0, 0]


def test_keys_are_numeric_and_settings_survive_absence() -> None:
    run = RunData("r", config={"a": {"b": 4}}, rows=ROWS)
    assert run.keys("health") == ["loss"]
    assert run.last("health", "verdict") == "nothing"
    assert run.setting("a.b") == 4
    assert run.setting("a.b.c") is None


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (0.5, (0.5, math.nan, math.nan)),
        ({"mean": 0.5, "interval": [0.4, 0.6]}, (0.5, 0.4, 0.6)),
        ({"value": 2, "low": 1, "high": 3}, (2.0, 1.0, 3.0)),
        ([1, 0, 2], (1.0, 0.0, 2.0)),
        ("high", (math.nan,) * 3),
        (None, (math.nan,) * 3),
    ],
)
def test_estimates_are_read_in_every_form(record: object, expected: tuple[float, float, float]) -> None:
    found = Estimate.read(record)
    assert np.array_equal([found.value, found.low, found.high], expected, equal_nan=True)


def test_smooth_keeps_short_curves_and_summarises_long_ones() -> None:
    x = np.arange(5.0)
    assert np.array_equal(smooth(x, x**2)[1], x**2)
    places, middle, low, high = smooth(np.arange(1000.0), np.tile([0.0, 1.0], 500), bins=10)
    assert places.tolist() == [49.5 + 100 * i for i in range(10)]
    assert (low, high) == (pytest.approx(np.zeros(10)), pytest.approx(np.ones(10)))
    assert middle == pytest.approx(np.full(10, 0.5))
    assert [len(a) for a in smooth(x, np.full(5, np.nan))] == [0, 0, 0, 0]


def test_values_at_one_place_stay_together() -> None:
    x = np.sort(np.concatenate([np.repeat([10.0, 20.0, 30.0], 7), [9.99, 19.99, 29.99]]))
    places, middle, _, _ = by_place(x, x * 2, bins=4)
    assert places == pytest.approx([10.0, 20.0, 30.0], abs=0.01)
    assert middle.tolist() == [20.0, 40.0, 60.0]
    assert [len(a) for a in by_place(x, np.full(24, np.nan), 5)] == [0, 0, 0, 0]
    assert by_place(np.ones(3), np.arange(3.0), 4)[1].tolist() == [1.0]
