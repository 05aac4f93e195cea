import base64
import re
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest

from embodied_ssl.report.axes import Axis
from embodied_ssl.report.charts import Level, Series, dot_chart, line_chart, scatter
from embodied_ssl.report.drawing import Drawing, grid, image_strip, png_uri, polyline, text_safe
from embodied_ssl.report.palette import DASHES, MARKERS, NUM_STYLES, SERIES_DARK, SERIES_LIGHT, chart_css

HOSTILE = "<script>alert('x')</script> & \"quoted\" \x00\x1b"
HOLES = np.array([np.nan, 1.0, 2.0, np.inf, 3.0, -np.inf, 4.0, 5.0])


def assert_clean(drawing: Drawing) -> ElementTree.Element:
    """Fail unless the picture is well-formed XML without numbers that no browser can draw."""
    svg = drawing.svg(chart_css())
    assert not re.search(r"\b(nan|inf)\b", re.sub(r">[^<]*<", "><", svg), re.IGNORECASE)
    return ElementTree.fromstring(svg)


def test_polyline_lifts_the_pen_over_gaps() -> None:
    assert polyline([0, 1, 2, 3, 4], [0, 1, np.nan, 3, 4]) == "M0.0 0.0h0L1.0 1.0M3.0 3.0h0L4.0 4.0"
    assert polyline([], []) == ""


def test_line_chart_has_no_undrawable_numbers() -> None:
    x = np.arange(8)
    banded = Series("holes", x, HOLES, HOLES - 1, HOLES + 1, markers=True)
    area = Series("area", x, HOLES, HOLES - 1, HOLES + 1, style=1, dots=True)
    for axis in (Axis("x"), Axis("x", log=True)):
        assert_clean(line_chart([banded, area], axis, Axis("y, m/s", log=axis.log), levels=[Level("null", 0.0)]))


@pytest.mark.parametrize("y", [[], [np.nan, np.nan], [3.0, 3.0], [1e-300, 1e300], [-1e12, 1e12]])
def test_line_chart_survives_odd_data(y: list[float]) -> None:
    assert_clean(line_chart([Series("odd", np.arange(len(y)), y)], Axis("x"), Axis("y")))


def test_higher_values_are_drawn_higher() -> None:
    chart = line_chart([Series("s", [0.0, 1.0], [0.0, 10.0])], Axis(), Axis())
    path = re.search(r'class="line s0" d="M([\d.]+) ([\d.]+)h0L([\d.]+) ([\d.]+)"', chart.body)
    assert path is not None
    x0, y0, x1, y1 = map(float, path.groups())
    assert x0 < x1
    assert y0 > y1


def test_series_differ_by_dash_and_by_marker_too() -> None:
    assert len(set(DASHES)) == len(set(MARKERS)) == len(set(SERIES_LIGHT)) == len(set(SERIES_DARK)) == NUM_STYLES
    chart = line_chart([Series(str(i), [0, 1], [i, i], style=i) for i in range(NUM_STYLES)], Axis(), Axis())
    found = re.findall(r'class="line s(\d)"(?: stroke-dasharray="([^"]*)")?', chart.body)
    assert {int(style): dash for style, dash in found} == dict(enumerate(DASHES))


@pytest.mark.parametrize(("colours", "paper"), [(SERIES_LIGHT, "#ffffff"), (SERIES_DARK, "#191d24")])
def test_series_stand_out_from_their_paper(colours: tuple[str, ...], paper: str) -> None:
    def luminance(colour: str) -> float:
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour in colours:  # WCAG 1.4.11 asks 3 for graphics
        low, high = sorted((luminance(colour), luminance(paper)))
        assert (high + 0.05) / (low + 0.05) >= 3.0, colour


def test_legend_wraps_instead_of_leaving_the_picture() -> None:
    names = [f"a rather long name of a series {i}" for i in range(6)]
    chart = line_chart([Series(n, [0, 1], [0, 1], style=i) for i, n in enumerate(names)], Axis(), Axis(), width=360)
    places = [
        (float(x), float(y)) for x, y, n in re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(a rather[^<]*)', chart.body)
    ]
    assert len({y for _, y in places}) == 6
    assert all(x < 360 for x, _ in places)
    assert chart.height > 300


def test_hostile_names_stay_text() -> None:
    series = [Series(HOSTILE, [0, 1], [0, 1], markers=True)]
    charts = [
        line_chart(series, Axis(HOSTILE), Axis(HOSTILE), title=HOSTILE, levels=[Level(HOSTILE, 0.5)]),
        scatter(np.eye(2), [0, 1], HOSTILE, title=HOSTILE),
        dot_chart([HOSTILE, "b"], [Series(HOSTILE, [0.1, 0.2], [])], Axis(HOSTILE)),
        image_strip(np.zeros((1, 4, 4, 3), np.uint8), [HOSTILE]),
    ]
    for chart in charts:
        root = assert_clean(chart)
        assert not root.findall(".//{*}script")
        assert any("<script>" in (text.text or "") for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "\x00" not in text_safe(HOSTILE)


def test_scatter_leaves_out_points_without_a_colour_and_shades_by_value() -> None:
    xy = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, np.nan], [3.0, 3.0]])
    chart = scatter(xy, [0.0, 10.0, 5.0, np.nan], "height, m")
    assert_clean(chart)
    assert re.findall(r'class="dot k(\d)"', chart.body) == ["0", "9"]


def test_dot_chart_draws_intervals_and_skips_missing_values() -> None:
    series = Series("learned", [0.5, np.nan], [], low=[0.4, np.nan], high=[0.6, np.nan])
    chart = dot_chart(["a", "b"], [series], Axis("R2", include=(0.0, 1.0)))
    assert_clean(chart)
    assert chart.body.count("<title>learned") == 1
    whisker = re.search(r'class="whisker s0" d="M([\d.]+) [\d.]+H([\d.]+)"', chart.body)
    assert whisker is not None
    assert float(whisker[1]) < float(whisker[2])


def test_png_keeps_pixels_and_channel_order() -> None:
    image = np.zeros((5, 7, 3), np.uint8)
    image[..., 0] = 200
    image[2, 3] = (1, 2, 3)
    head, data = png_uri(image).split(",")
    assert head == "data:image/png;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.array_equal(decoded[..., ::-1], image)


def test_grid_makes_room_for_every_cell() -> None:
    cells = [Drawing(100, height, "", "") for height in (50, 80, 30)]
    whole = grid(cells, 2, gap=10)
    assert (whole.width, whole.height) == (210, 80 + 10 + 30)
    assert_clean(whole)


def test_a_lone_file_carries_its_style_and_a_page_shares_one() -> None:
    drawing = line_chart([Series("s", [0, 1], [0, 1])], Axis(), Axis())
    assert "<style>" in drawing.svg(chart_css())
    assert "<style>" not in drawing.svg()
    assert "prefers-color-scheme:dark" in chart_css()
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", chart_css(".chart").replace("@media (prefers-color-scheme:dark){", ""))
    assert all(rule.strip().startswith(".chart ") for rule in rules)
