import math

import numpy as np
import pytest

from embodied_ssl.report.axes import Axis, Scale, axis_ticks, extent, log_ticks, nice_ticks, number_text


@pytest.mark.parametrize("low", [-1e6, -3.7, -0.02, 0.0, 0.11, 499.0])
@pytest.mark.parametrize("span", [1e-6, 0.013, 1.0, 7.3, 24_000.0, 3e9])
@pytest.mark.parametrize("count", [2, 4, 8])
def test_nice_ticks_are_round_inside_and_as_many_as_asked(low: float, span: float, count: int) -> None:
    ticks = nice_ticks(low, low + span, count)
    steps = np.diff(ticks)
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
    assert count - 1 <= len(ticks) <= 2 * count + 2
    assert low - 1e-6 * span <= ticks[0]
    assert ticks[-1] <= low + span * (1 + 1e-6)
    assert np.allclose(steps, steps[0], rtol=1e-3)
    assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5, 10)) < 1e-2


def test_nice_ticks_of_a_known_axis() -> None:
    assert nice_ticks(0.03, 1.02, 4) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(-1.0, 1.0, 4) == [-1.0, -0.5, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("limits", [(2.0, 2.0), (math.nan, 1.0), (0.0, math.inf)])
def test_nice_ticks_survive_limits_without_a_span(limits: tuple[float, float]) -> None:
    assert all(math.isfinite(t) for t in nice_ticks(*limits))


def test_log_ticks_get_coarser_as_decades_grow() -> None:
    assert log_ticks(0.9, 12.0) == [1.0, 2.0, 5.0, 10.0]
    assert log_ticks(1.0, 1000.0) == pytest.approx([1, 10, 100, 1000])
    assert log_ticks(1e-6, 1.0)[0] == pytest.approx(1e-6)
    assert len(log_ticks(1e-30, 1e30)) <= 6


def test_extent_ignores_what_cannot_be_drawn() -> None:
    assert extent([[1.0, np.nan, 3.0, np.inf]], Axis(), 0.0) == (1.0, 3.0)
    assert extent([[-5.0, 0.0, 10.0, 100.0]], Axis(log=True), 0.0) == pytest.approx((10 / 10**0.02, 100 * 10**0.02))
    assert extent([[np.nan]], Axis()) == (0.0, 1.0)
    assert extent([], Axis(log=True)) == (1.0, 10.0)
    low, high = extent([[7.0, 7.0]], Axis())
    assert low < 7.0 < high
    assert extent([[2.0]], Axis(include=(0.0,)), 0.0) == (0.0, 2.0)


def test_scale_maps_ends_and_hides_what_a_log_axis_cannot_show() -> None:
    scale = Scale(1.0, 100.0, 0.0, 200.0, log=True)
    assert scale([1.0, 10.0, 100.0]) == pytest.approx([0.0, 100.0, 200.0])
    assert np.isnan(scale([0.0, -3.0])).all()
    assert Scale(0.0, 2.0, 100.0, 0.0)([0.0, 0.5, 2.0]) == pytest.approx([100.0, 75.0, 0.0])


def test_given_ticks_outside_the_axis_are_dropped() -> None:
    axis = Axis(ticks=((64.0, "64"), (1024.0, "1024"), (9e9, "all")))
    assert axis_ticks(axis, 10.0, 2000.0) == [(64.0, "64"), (1024.0, "1024")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.25"), (-0.5, "\N{MINUS SIGN}0.5"), (1200.0, "1,200"), (24_000.0, "24,000"), (2.5e6, "2.5M"), (0.0, "0")],
)
def test_numbers_read_well(value: float, text: str) -> None:
    assert number_text(value) == text


def test_tiny_and_missing_numbers() -> None:
    assert number_text(1e-5) == "1e\N{MINUS SIGN}05"
    assert number_text(math.nan) == "n/a"
