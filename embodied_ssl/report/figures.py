"""Figures of what happened during a run, one function a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied_ssl.report.axes import Axis
from embodied_ssl.report.charts import Level, Series, line_chart
from embodied_ssl.report.drawing import Drawing, grid
from embodied_ssl.report.palette import INK
from embodied_ssl.report.run_data import NotRecordedError, RunData, by_place, smooth

UPDATES = "learner updates"
STEPS = "environment steps"
WIDE, HALF, THIRD = 720.0, 356.0, 234.0


@dataclass(frozen=True)
class Figure:
    """A picture with the words that say how to read it.

    Attributes:
        slug: file name without ending.
        drawing: the picture.
        caption: what is shown, how to read it, what the null is; plain text.
    """

    slug: str
    drawing: Drawing
    caption: str


def _curve(run: RunData, kind: str, key: str, name: str, style: int, x: str = "updates") -> Series:
    places, middle, low, high = smooth(*run.curve(kind, key, x))
    banded = len(run.curve(kind, key, x)[0]) > len(places)
    return Series(name, places, middle, low if banded else None, high if banded else None, style)


def _need(found: Sequence[object], what: str) -> None:
    if not found:
        raise NotRecordedError(what)


def _panels(run: RunData, kind: str, titles: dict[str, str], width: float, label: str, x: str = "updates") -> Drawing:
    axis = Axis(UPDATES if x == "updates" else STEPS)
    charts = [
        line_chart([_curve(run, kind, key, "", 0, x)], axis, Axis(), title=title, width=width, height=190)
        for key, title in titles.items()
    ]
    return grid(charts, max(1, round(WIDE / width)), gap=10, label=label)


def losses(run: RunData) -> Figure:
    """Total loss and each objective's own, in panels of their own scale."""
    found = run.keys("ssl")
    keys = [k for k in found if k == "loss"] + [k for k in found if k.startswith("loss/")]
    _need(keys, "metrics.jsonl holds no losses (rows of kind ssl)")
    titles = {k: "total, weighted" if k == "loss" else k.removeprefix("loss/").replace("_", " ") for k in keys}
    titles |= {"grad_norm": "gradient norm, before clipping"} if "grad_norm" in found else {}
    caption = (
        "Losses on the batches being learned from, each panel on its own scale. They rank nothing: objectives have "
        "different floors, and a falling loss can hide a collapse. Look for steady curves without jumps; what was "
        "learned is judged by forward skill and probes. Bands span the 10th to 90th percentile of neighbouring updates."
    )
    return Figure("losses", _panels(run, "ssl", titles, HALF, "losses"), caption)


def objective_details(run: RunData) -> Figure:
    """The metrics that objectives report beside their losses."""
    keys = [k for k in run.keys("ssl") if "/" in k and not k.startswith("loss/")][:18]
    _need(keys, "no objective reported metrics of its own")
    titles = {k: k.replace("_", " ").replace("/", ": ") for k in keys}
    caption = (
        "What objectives report beside their losses. Contrastive accuracy is near 1 without learning "
        "if positives share inputs with their anchors: read it at the longest offsets."
    )
    return Figure("objective_details", _panels(run, "ssl", titles, THIRD, "objective metrics"), caption)


def skill_learning(run: RunData) -> Figure:
    """Forward skill, measured on each batch before it is learned from."""
    found = [k for k in run.keys("health") if k.startswith("skill_")]
    horizons = sorted(int(k.removeprefix("skill_")) for k in found if k.removeprefix("skill_").isdigit())
    _need(horizons, "metrics.jsonl holds no forward skill (rows of kind health)")
    curves = [
        _curve(run, "health", f"skill_{h}", f"{h} tick{'s' if h > 1 else ''} ahead", i) for i, h in enumerate(horizons)
    ]
    curves = [Series(s.name, s.x, np.maximum(np.asarray(s.y), -1), style=s.style) for s in curves]
    chart = line_chart(
        curves,
        Axis(UPDATES),
        Axis("forward skill"),
        levels=[Level("best simple predictor", 0.0)],
    )
    caption = (
        "Predict, then learn: skill = 1 - error / error of the best simple predictor, in sensor units, on the newest "
        "readings before any update has seen them. The null is the dashed line at 0, the best of persistence, running "
        "mean and a linear autoregression with actions; above it the learner foresees more than they do. Values below "
        "-1 are drawn at -1."
    )
    return Figure("skill_learning", chart, caption)


def rank_and_spread(run: RunData) -> Figure:
    """Effective rank and per-dimension spread of the embedding."""
    keys = run.keys("health")
    x, y = Axis(UPDATES), Axis(include=(0.0,))
    charts = []
    if "effective_rank" in keys:
        rank = [_curve(run, "health", "effective_rank", "", 0)]
        charts.append(line_chart(rank, x, y, title="effective rank", levels=_rank_levels(run), width=HALF, height=240))
    if spreads := [k for k in keys if k.startswith("spread_")]:
        curves = [_curve(run, "health", k, k.removeprefix("spread_"), i) for i, k in enumerate(spreads)]
        charts.append(line_chart(curves, x, y, title="spread of a dimension", width=HALF, height=240))
    _need(charts, "metrics.jsonl holds no effective rank or spread (rows of kind health)")
    caption = (
        "Guards against collapse, not scores: a frozen random encoder has the highest rank. A rank near 1 or a spread "
        "(standard deviation over the batch) near 0 means that the embedding says little; below the dashed line the "
        "learner rolls back."
    )
    return Figure("rank_and_spread", grid(charts, 2, gap=8, label="effective rank and spread"), caption)


def _rank_levels(run: RunData) -> list[Level]:
    width, share = run.setting("encoder.features_dim"), run.setting("health.min_rank_fraction")
    if not isinstance(width, int | float) or not isinstance(share, int | float):
        return []
    return [Level(f"roll back below {width * share:.3g} of {width}", float(width * share))]


def returns(run: RunData) -> Figure:
    """Return of each finished episode beside the level of random actions."""
    x, y = run.curve("episode", "return", "env_steps")
    _need(list(x), "metrics.jsonl holds no finished episodes (rows of kind episode)")
    places, middle, low, high = by_place(x, y, bins=max(1, min(24, len(x) // 8)))
    curves = [Series("median, 10 to 90 % of neighbours", places, middle, low, high, 0)]
    curves.insert(0, Series("episode", x, y, style=INK, line=False, dots=True))
    random = run.return_of("random")
    levels = [Level("random actions", random.value)] if np.isfinite(random.value) else []
    chart = line_chart(curves, Axis(STEPS), Axis("return of an episode"), levels=levels)
    null = (
        "The null is the dashed line, the mean return of random actions."
        if levels
        else ("The null, the mean return of random actions, was not measured.")
    )
    return Figure("returns", chart, f"Episodes as they were collected, with exploration noise. {null}")


def agent(run: RunData) -> Figure:
    """Losses and values of the built-in agent."""
    keys = run.keys("agent")[:9]
    _need(keys, "metrics.jsonl holds no agent updates (rows of kind agent)")
    titles = {k: k.replace("_", " ") for k in keys}
    caption = "The agent's own gauges. A mean value that runs away from the returns above warns of overestimation."
    return Figure("agent", _panels(run, "agent", titles, HALF, "agent", "env_steps"), caption)


def drift(run: RunData) -> Figure:
    """Change of the embedding at each published version."""
    names = {"drift_cka": "similarity to the version before (CKA)", "drift_relative": "relative shift"}
    keys = [k for k in names if len(run.curve("publish", k)[0])]
    _need(keys, "metrics.jsonl holds no published versions with drift (rows of kind publish)")
    charts = []
    for i, key in enumerate(keys):
        dots = [Series("", *run.curve("publish", key), style=i, markers=True)]
        still = Level("no change", 1.0 if key == "drift_cka" else 0.0)
        charts.append(line_chart(dots, Axis(UPDATES), Axis(), title=names[key], levels=[still], width=HALF, height=240))
    caption = (
        "How far the embedding of a fixed anchor set moved when a new version was handed to the policy. CKA of 1 and a "
        "shift of 0 mean no change; CKA ignores rotations, the shift does not, so a policy feels the shift."
    )
    return Figure("drift", grid(charts, 2, gap=8, label="drift at publication"), caption)


def speed(run: RunData) -> Figure:
    """Speeds and memory of the loop."""
    names = {"env_steps_per_s": "environment steps / s", "updates_per_s": "updates / s", "rss_mb": "memory, MB"}
    titles = {k: v for k, v in names.items() if k in run.keys("loop")}
    _need(list(titles), "metrics.jsonl holds no speeds (rows of kind loop)")
    caption = (
        "Speeds of the loop and resident memory of the process; memory that keeps growing after warm-up is a leak."
    )
    return Figure("speed", _panels(run, "loop", titles, THIRD, "speed", "env_steps"), caption)
