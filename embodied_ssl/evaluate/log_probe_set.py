"""The probe set of a run that learned from logs: held-out stretches to score on, learned ones to train read-outs.

Probe targets are the streams that the logs call privileged: at each tick the newest row that had arrived by then, of
the same uncut run of ticks. A tick by which none had arrived is not scored; a stream that no learned or no held-out
tick knows is no target. Nothing is known of readings without noise, and nothing can be tried, so there are neither
clean readings nor returns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.config import EvaluationConfig, LogConfig
from embodied_ssl.errors import RunError
from embodied_ssl.evaluate.probe_set import MAX_EPISODE_TICKS, ProbeSet, Recording, content_hash
from embodied_ssl.sources.log_identity import check_identities
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.sources.log_split import Stretch, spread_evenly
from embodied_ssl.sources.log_targets import privileged_names, targets_at
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick


def log_probe_set(
    config: LogConfig,
    shape: WindowShape,
    spec: StreamSpec,
    sizes: EvaluationConfig,
    learned_from: Sequence[Mapping[str, Any]] | None = None,
) -> ProbeSet:
    """Read the stretches to evaluate on; the same for the same logs and settings.

    Args:
        config: the logs and what was held out.
        shape: of the learner's windows.
        spec: the learner's sensors, which the logs must have.
        sizes: how many episodes; longer ones are cut into pieces.
        learned_from: `identities` of the logs when the run learned from them; None: they are taken to be the same.

    Raises:
        LogError: a log has gone or changed.
        RunError: nothing was held out, or no stretch of either kind is long enough.
    """
    if config.mode == "replay":
        raise RunError("the replay learned from every episode, so none is left to evaluate on; use log.mode shuffle")
    logs = LogSet.open(config, shape.context, shape.horizon)
    if logs.spec != spec:
        raise RunError(
            f"the logs have other sensors now ({_names(logs.spec)}) than the run learned from ({_names(spec)})"
        )
    if learned_from is not None:
        check_identities(logs, learned_from)
    stretches, num_train = choose(logs, shape, sizes)
    ticks = _side_by_side(spec, logs.ticks(stretches, range(len(stretches))), stretches)
    privileged, known_from = _privileged(logs, stretches, num_train, shape.horizon)
    lengths = np.array([stretch.num_ticks for stretch in stretches])
    kinds = tuple(Path(config.paths[stretch.log]).name for stretch in stretches)
    recording = Recording(ticks, privileged, {}, kinds, lengths)
    groups = {name: (name,) for name in privileged}
    digest = content_hash(recording)
    return ProbeSet(
        spec, tuple(ticks), privileged, {}, groups, kinds, lengths, num_train, "as recorded", digest, known_from
    )


def _names(spec: StreamSpec) -> str:
    return ", ".join(f"{sensor.name} {sensor.shape} at {sensor.rate_hz:g} Hz" for sensor in spec.sensors)


def choose(logs: LogSet, shape: WindowShape, sizes: EvaluationConfig) -> tuple[list[Stretch], int]:
    """Return the stretches to evaluate on, those that train read-outs first, and how many these are.

    Raises:
        RunError: nothing was held out, or no stretch of either kind is long enough.
    """
    if not logs.held_out:
        raise RunError("nothing was held out, so there is nothing to evaluate on; pretrain with log.holdout above 0")
    sides = (logs.learned, sizes.train_episodes, "learned"), (logs.held_out, sizes.test_episodes, "held out")
    chosen = []
    for stretches, count, what in sides:
        pieces = [s for s in spread_evenly(stretches, count, MAX_EPISODE_TICKS) if s.num_ticks > shape.length]
        if not pieces:
            longest = max(stretch.num_ticks for stretch in stretches)
            raise RunError(
                f"the stretches {what} have at most {longest} ticks, expected more than context + horizon "
                f"({shape.length}); change log.holdout, or set evaluation.enabled false"
            )
        chosen.append(pieces)
    return [*chosen[0], *chosen[1]], len(chosen[0])


def _privileged(
    logs: LogSet, stretches: Sequence[Stretch], num_train: int, horizon_ticks: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return per stream that every log has ``(T, N, *shape)`` float32, and the ticks ``(N,)`` from which all are known.

    Before that, and past the end of a stretch, there are zeros. A stream is left out if with it no learned or no
    held-out window with a whole horizon could be scored.
    """
    used = [logs.logs[number] for number in sorted({stretch.log for stretch in stretches})]
    last_ends = np.array([stretch.num_ticks for stretch in stretches]) - horizon_ticks
    tables, known_from = {}, np.zeros(len(stretches), np.int64)
    for name in privileged_names(used[0].log):
        shapes = {other.log.streams[name].sensor.shape for other in used if name in privileged_names(other.log)}
        if len(shapes) == 1 and all(name in privileged_names(other.log) for other in used):
            found = [_targets(logs, stretch, name) for stretch in stretches]
            latest = np.maximum(known_from, [unknown for _, unknown in found])
            usable = latest < last_ends
            if usable[:num_train].any() and usable[num_train:].any():
                tables[name], known_from = _stacked([rows for rows, _ in found]), latest
    return tables, known_from


def _targets(logs: LogSet, stretch: Stretch, name: str) -> tuple[np.ndarray, int]:
    logged, tick_ns = logs.logs[stretch.log], round(1e9 / logs.spec.control_hz)
    return targets_at(logged.log, name, logged.lanes[stretch.lane], stretch.start, stretch.stop, tick_ns)


def _stacked(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Stack ``(t, ...)`` of every lane to ``(T, N, ...)``, zero-padded."""
    stacked = np.zeros((max(map(len, columns)), len(columns), *columns[0].shape[1:]), np.float32)
    for lane, values in enumerate(columns):
        stacked[: len(values), lane] = values
    return stacked


def _side_by_side(spec: StreamSpec, ticks: Iterable[Tick], stretches: Sequence[Stretch]) -> list[Tick]:
    """Turn ticks of one lane after another into ticks of all lanes; in a lane nothing comes after its end."""
    num_ticks, num_lanes = max(s.num_ticks for s in stretches), len(stretches)
    heads: deque[list[tuple[Tick, int, int]]] = deque([] for _ in range(num_ticks))
    seen = np.zeros(num_lanes, np.int64)
    for tick in ticks:
        for place, lane in enumerate(tick.lanes):
            heads[seen[lane]].append((tick, place, int(lane)))
            seen[lane] += 1
    # Let go of what is joined: two copies of all frames would be held otherwise.
    return [_joined(spec, heads.popleft(), num_lanes) for _ in range(num_ticks)]


def _joined(spec: StreamSpec, parts: list[tuple[Tick, int, int]], num_lanes: int) -> Tick:
    rows, fresh, age_s = {}, {}, {}
    for sensor in spec.sensors:
        rows[sensor.name], fresh[sensor.name], age_s[sensor.name] = _fresh_rows(sensor, parts, num_lanes)
    action, reward = np.zeros((num_lanes, spec.action_size), np.float32), np.zeros(num_lanes, np.float32)
    flags = {name: np.zeros(num_lanes, bool) for name in ("is_first", "terminated", "truncated")}
    for tick, place, lane in parts:
        action[lane], reward[lane] = tick.action[place], tick.reward[place]
        for name, values in flags.items():
            values[lane] = getattr(tick, name)[place]
    return Tick(np.arange(num_lanes), rows, fresh, age_s, action, reward, **flags)


def _fresh_rows(
    sensor: SensorSpec, parts: list[tuple[Tick, int, int]], num_lanes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return only what was fresh, ``(N, K, *shape)`` with the least K: held frames would be most of the memory."""
    found = {lane: np.flatnonzero(tick.fresh[sensor.name][place]) for tick, place, lane in parts}
    width = max(map(len, found.values()), default=0)
    rows = np.zeros((num_lanes, width, *sensor.shape), sensor.dtype)
    fresh, age_s = np.zeros((num_lanes, width), bool), np.zeros((num_lanes, width), np.float32)
    for tick, place, lane in parts:
        at = found[lane]
        rows[lane, : len(at)], fresh[lane, : len(at)] = tick.rows[sensor.name][place, at], True
        age_s[lane, : len(at)] = tick.age_s[sensor.name][place, at]
    return rows, fresh, age_s
