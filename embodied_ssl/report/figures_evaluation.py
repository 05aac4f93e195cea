"""Figures of what the learned representation knows, measured after the run, one function a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_ssl.report.axes import Axis
from embodied_ssl.report.charts import Level, Series, dot_chart, line_chart, scatter
from embodied_ssl.report.drawing import grid, image_strip
from embodied_ssl.report.figures import HALF, Figure
from embodied_ssl.report.palette import INK
from embodied_ssl.report.run_data import Estimate, NotRecordedError, RunData

ENCODERS = {
    "learned": ("learned", 0),
    "frozen_random": ("frozen random encoder", 1),
    "raw_tick": ("raw tick", 2),
    "raw_window": ("raw window", 3),
    "raw_window_pca": ("raw window, PCA", 4),
    "frozen_pretrained": ("frozen pretrained", 5),
    "supervised": ("supervised ceiling", INK),
}
"""Name in the records -> name for readers, style."""

MAX_POINTS = 1500


def label_of(encoder: str) -> str:
    """Return the name of an encoder for readers."""
    return ENCODERS.get(encoder, (encoder.replace("_", " "), 6))[0]


def style_of(encoder: str) -> int:
    """Return the style of an encoder, the same in every figure."""
    return ENCODERS.get(encoder, (encoder, 6))[1]


def probe_records(run: RunData) -> dict[str, dict[str, Any]]:
    """Return the probe table: number of labels -> encoder -> record, with intervals where the run has them."""
    for source, key in ((run.evaluation, "probes"), (run.evaluation, "probe_r2"), (run.summary, "probe_r2")):
        table = source.get(key)
        if isinstance(table, dict) and any(isinstance(v, dict) for v in table.values()):
            return {str(k): v for k, v in table.items() if _is_count(str(k)) and isinstance(v, dict)}
    raise NotRecordedError(
        "no probe scores: run the evaluation, if it has not run; without privileged state there is nothing to probe"
    )


def _is_count(key: str) -> bool:
    return key == "all" or key.isdigit()


def encoders_of(table: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the encoders of a probe table, known ones first."""
    found = {name: None for row in table.values() for name in row}
    known = [name for name in ENCODERS if name in found]
    return known + [name for name in found if name not in ENCODERS]


def _label_axis(run: RunData, table: Mapping[str, Any]) -> dict[str, float]:
    """Return where each number of labels lies; `all` at its true number if recorded, else 4 times the largest."""
    numbers = {k: float(k) for k in table if k != "all"}
    largest = max(numbers.values(), default=1.0)
    total = Estimate.read(run.evaluation.get("num_labels")).value
    if "all" in table:
        numbers["all"] = total if np.isfinite(total) and total > largest else 4 * largest
    return dict(sorted(numbers.items(), key=lambda item: item[1]))


def probe_curve(run: RunData) -> Figure:
    """Probe R2 against number of labels, all nulls and the ceiling."""
    table = probe_records(run)
    places = _label_axis(run, table)
    series = []
    for name in encoders_of(table):
        scores = [Estimate.read(table[count].get(name)) for count in places]
        low, high = ([getattr(s, side) for s in scores] for side in ("low", "high"))
        values = [s.value for s in scores]
        series.append(Series(label_of(name), list(places.values()), values, low, high, style_of(name), markers=True))
    ticks = tuple((place, count) for count, place in places.items())
    averaged = " and ".join(map(str, run.evaluation.get("probe_groups_averaged") or ["groups"]))
    chart = line_chart(
        series, Axis("number of labels", log=True, ticks=ticks), Axis(f"probe R2, mean of {averaged}"), height=340
    )
    caption = (
        "How well hidden state (never seen by any loss) is read out of frozen features by a ridge probe, on episodes "
        "apart; whiskers are 95 % intervals over episodes. A representation pays where labels are few: with all labels "
        "the raw window comes close to the ceiling by construction. The nulls are the frozen random encoder and the "
        "raw sensors; the ceiling is the same architecture trained with the labels."
    )
    return Figure("probe_r2", chart, caption)


def probe_targets(run: RunData, count: str) -> Figure:
    """Probe R2 of each target at one number of labels."""
    table = probe_records(run)
    row = table.get(count) or {}
    scores = {name: targets_of(row.get(name)) for name in encoders_of(table)}
    scores = {name: record for name, record in scores.items() if record}
    if not scores:
        raise NotRecordedError(f"no probe scores of single targets at {count} labels")
    targets = list({t: None for record in scores.values() for t in record})
    series = [
        Series(label_of(n), [Estimate.read(r.get(t)).value for t in targets], [], style=style_of(n))
        for n, r in scores.items()
    ]
    chart = dot_chart(targets, series, Axis(f"probe R2 at {count} labels", include=(0.0, 1.0)))
    caption = f"Each hidden quantity on its own, {count} labels. 1 is a perfect read-out, 0 the mean of the target."
    return Figure(f"probe_targets_{count}", chart, caption)


def targets_of(record: object) -> dict[str, Any]:
    """Return target -> R2 of one record of the probe table; {} where it holds a mean only."""
    targets = record.get("targets") if isinstance(record, dict) else None
    return targets if isinstance(targets, dict) else {}


def skill_records(run: RunData) -> dict[str, dict[str, Any]]:
    """Return the forward skill after the run by how it was judged: clean, noisy, over persistence."""
    found = run.evaluation.get("skill") or run.evaluation.get("forward_skill") or {}
    if isinstance(found, dict) and "median" in found:
        found = {"clean": found}
    records = {k: v for k, v in found.items() if isinstance(v, dict) and "median" in v} if found else {}
    for name, key in (("clean", "forward_skill"), ("over_persistence", "forward_skill_over_persistence")):
        by_horizon = run.summary.get(key)
        # The summary does not say against what: only where there is nothing else.
        if not found and isinstance(by_horizon, dict) and by_horizon:
            records[name] = {"median": by_horizon}
    if not records:
        raise NotRecordedError("no forward skill after the run: run the evaluation")
    return records


_SKILL_STYLES = {
    "clean": ("against clean readings", 0),
    "noisy": ("against noisy readings", 2),
    "over_persistence": ("over persistence alone (not judged)", INK),
}


def skill_horizon(run: RunData) -> Figure:
    """Forward skill at the end of the run by horizon."""
    records = skill_records(run)
    series, places = [], {}
    for i, (name, record) in enumerate(records.items()):
        label, style = _SKILL_STYLES.get(name, (name.replace("_", " "), 3 + i))
        horizons = sorted((k for k in record["median"] if str(k).isdigit()), key=int)
        places |= {float(h): str(h) for h in horizons}
        bounds = record.get("interval") or {}
        scores = [skill_at(record["median"][h], bounds.get(h)) for h in horizons]
        sides = ([getattr(s, side) for s in scores] for side in ("value", "low", "high"))
        series.append(Series(label, [int(h) for h in horizons], *sides, style=style, markers=True))
    x = Axis("ticks ahead", ticks=tuple(places.items()))
    null = Level("best simple predictor", 0.0)
    chart = line_chart(series, x, Axis("forward skill"), levels=[null], height=280)
    caption = (
        "Skill after the run on held-out episodes, median over sensors, 95 % intervals over episodes. The null at 0 "
        "is, per sensor and horizon, the best of persistence, running mean and a linear autoregression with actions. "
        "Over persistence alone it is printed, never judged: a constant scores .4 to .5 there."
    )
    return Figure("skill_horizon", chart, caption)


def skill_at(value: object, bounds: object) -> Estimate:
    """Return a skill with its interval, which records keep apart or together."""
    if isinstance(bounds, list | tuple) and len(bounds) == 2:
        return Estimate.read([value, *bounds])
    return Estimate.read(value)


def _array(run: RunData, name: str) -> NDArray[Any]:
    if name not in run.arrays:
        raise NotRecordedError(f"evaluation.safetensors holds no {name}")
    return run.arrays[name]


def embedding_map(run: RunData) -> Figure:
    """Two looks at the same map of embeddings: by time and by a state variable."""
    xy = _array(run, "map_xy")
    keep = np.linspace(0, len(xy) - 1, min(len(xy), MAX_POINTS)).astype(int)
    state = str(run.evaluation.get("map_state_name", "state variable"))
    panels = [
        scatter(xy[keep], _array(run, "map_time_s")[keep], "time in episode, s", title="by time", width=HALF),
        scatter(xy[keep], _array(run, "map_state")[keep], state, title=f"by {state}", width=HALF),
    ]
    caption = (
        "Embeddings of held-out ticks projected on their first two principal components; near points look alike to the "
        "policy. Left: shades that flow along curves mean that the embedding moves smoothly in time. Right: ordered "
        "shades mean that the state variable, never shown to the learner, is laid out along the map; salt and pepper "
        "means it is not (in these two dimensions)."
    )
    return Figure("embedding_map", grid(panels, 2, gap=8, label="map of the embedding"), caption)


def timeline_sensors(run: RunData) -> list[str]:
    """Return the sensors that have timelines."""
    return list({k.split("/")[1]: None for k in sorted(run.arrays) if k.startswith("timeline/") and k.count("/") == 2})


_TRACES = {
    "noisy": ("noisy reading", 1),
    "clean": ("without noise", INK),
    "predicted_5": ("predicted 5 ticks before", 0),
}


def timeline(run: RunData, sensor: str, dims: int = 3) -> Figure:
    """Noisy, clean and predicted readings of the first dimensions of a sensor."""
    time = _array(run, "timeline_time_s")
    names = [kind for kind in _TRACES if f"timeline/{sensor}/{kind}" in run.arrays]
    values = {kind: run.arrays[f"timeline/{sensor}/{kind}"].reshape(len(time), -1) for kind in names}
    shown = min([dims, *(v.shape[1] for v in values.values())])
    charts = []
    for d in range(shown):
        curves = [_trace(k, time, v[:, d]) for k, v in values.items()]
        axis = Axis("time, s" if d == shown - 1 else "")
        charts.append(line_chart(curves, axis, Axis(), title=f"{sensor}[{d}]", legend=d == 0, height=150))
    truth = "what was true, " if "clean" in values else ""
    caption = (
        f"{sensor}: what the robot read, {truth}and what the learner had predicted 5 ticks before from past "
        "readings and the actions taken. The null to keep in mind is the noisy trace moved 5 ticks to the right."
    )
    return Figure(f"timeline_{sensor}", grid(charts, 1, gap=4, label=f"timeline of {sensor}"), caption)


def _trace(kind: str, time: NDArray[Any], y: NDArray[Any]) -> Series:
    name, style = _TRACES[kind]
    # Forecasts may start from every n-th tick only; such points are not joined.
    sparse = kind != "noisy" and np.isfinite(y).sum() < len(y) / 2
    return Series(name, time, y, style=style, line=kind != "noisy" and not sparse, dots=kind == "noisy", markers=sparse)


def frames(run: RunData) -> Figure:
    """Camera frames as the encoder gets them."""
    images = _array(run, "frames")[:12].astype(np.uint8)
    times = run.arrays.get("frame_time_s", np.full(len(images), np.nan))
    captions = [f"{t:.2f} s" if np.isfinite(t) else "" for t in times[: len(images)]]
    caption = (
        f"Camera frames of one episode at the size the encoder gets, {images.shape[1]} x {images.shape[2]} pixels."
    )
    return Figure("frames", image_strip(images, captions), caption)
