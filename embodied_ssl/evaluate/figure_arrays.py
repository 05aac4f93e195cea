"""Arrays that the report draws: a map of the embedding, a sensor timeline, camera frames."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied_ssl.evaluate.feature_sets import Bench
from embodied_ssl.evaluate.forecasts import ReadingTable
from embodied_ssl.evaluate.nulls import principal_components

MAP_POINTS = 2_000
TIMELINE_TICKS = 120
NUM_FRAMES = 8


def map_arrays(bench: Bench) -> tuple[dict[str, np.ndarray], str]:
    """Return the map of the test embeddings on two principal components, and the name of its state variable."""
    lanes, ends = bench.test
    kept = np.linspace(0, len(ends) - 1, min(len(ends), MAP_POINTS)).astype(int)
    _, flat = principal_components(bench.embedding[bench.train], bench.embedding[bench.test][kept], 2)
    arrays = {"map_xy": flat.astype(np.float32), "map_time_s": _seconds(bench, ends[kept])}
    if not bench.probe_set.privileged:
        return arrays | {"map_state": arrays["map_time_s"]}, "time in episode, s"
    targets = bench.targets((lanes[kept], ends[kept]))
    return arrays | {"map_state": targets.values[:, 0].astype(np.float32)}, targets.names[0]


def _seconds(bench: Bench, ticks: np.ndarray) -> np.ndarray:
    return (ticks * bench.probe_set.spec.tick_s).astype(np.float32)


def timeline_arrays(
    bench: Bench,
    readings: ReadingTable,
    ends: tuple[np.ndarray, np.ndarray],
    forecasts: Mapping[str, np.ndarray],
    horizons: tuple[int, ...],
) -> dict[str, np.ndarray]:
    """Return readings of one test episode beside what was foreseen for the same ticks.

    Args:
        bench: the probe set.
        readings: noisy and clean readings.
        ends: lanes and ends that ``forecasts`` start from.
        forecasts: per sensor ``(n, len(horizons), d)``; empty without a forward-prediction head.
        horizons: ticks ahead.

    Returns:
        ``timeline_time_s (t,)`` and ``timeline/<sensor>/<noisy|clean|predicted_h> (t, d)``; a forecast that was not
        made is NaN.
    """
    lane = int(bench.test[0][0])
    mine = np.flatnonzero(ends[0] == lane)
    first = bench.context_ticks + max(horizons, default=0)
    ticks = np.arange(first, min(first + TIMELINE_TICKS, int(bench.probe_set.lengths[lane])))
    arrays = {"timeline_time_s": _seconds(bench, ticks)}
    for name, noisy in readings.noisy.items():
        arrays[f"timeline/{name}/noisy"] = noisy[lane, ticks].astype(np.float32)
        if readings.has_clean:
            arrays[f"timeline/{name}/clean"] = readings.clean[name][lane, ticks].astype(np.float32)
        for index, ahead in enumerate(horizons if name in forecasts else ()):
            every = np.full(noisy[lane].shape, np.nan, dtype=np.float32)
            every[ends[1][mine] + ahead] = forecasts[name][mine, index]
            arrays[f"timeline/{name}/predicted_{ahead}"] = every[ticks]
    return arrays


def frame_arrays(bench: Bench) -> dict[str, np.ndarray]:
    """Return a few frames of the first camera in one test episode; nothing without a camera."""
    images, lane = bench.probe_set.spec.images, int(bench.test[0][0])
    if not images:
        return {}
    name, frames, times = images[0].name, [], []
    for number, tick in enumerate(bench.probe_set.ticks[: int(bench.probe_set.lengths[lane])]):
        for row in np.flatnonzero(tick.fresh[name][lane]):
            frames.append(tick.rows[name][lane, row])
            times.append(number * bench.probe_set.spec.tick_s - tick.age_s[name][lane, row])
    if not frames:  # of several logs, one without that camera
        return {}
    kept = np.linspace(0, len(frames) - 1, min(NUM_FRAMES, len(frames))).astype(int)
    return {"frames": np.stack(frames)[kept], "frame_time_s": np.array(times, dtype=np.float32)[kept]}
