"""Ticks to a log: every fresh row once, and one row a lane-tick that says which rows it came with.

Time of a recording is counted in ticks, not read from a clock: step number ``n`` of the env is at ``n * tick_ns``, and
a row was captured its age earlier. So what is read back is the live run bit for bit, whatever the machine's clock did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import LogRows, LogStream
from embodied_ssl.logs.writer import LogWriter
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

FORMAT = "ticks"
"""Value of the fact ``recorded`` of such a log."""

IS_FIRST, TERMINATED, TRUNCATED = 1, 2, 4
"""Bits of the first column of the stream of ticks."""


def tick_length_ns(control_hz: float) -> int:
    """Return the length of a tick in whole nanoseconds."""
    return round(1e9 / control_hz)


def stream_names(spec: StreamSpec) -> dict[str, str]:
    """Return what the streams beside the sensors are called; a name that a sensor has gets an underscore."""
    taken = {sensor.name for sensor in spec.sensors}
    names = {}
    for kind in ("action", "reward", "tick"):
        name = kind
        while name in taken:
            name += "_"
        names[kind] = name
    return names


def recorded_streams(spec: StreamSpec) -> list[LogStream]:
    """Return the streams of a recording of ticks: the sensors, ``action``, ``reward`` and ``tick``.

    A row of ``tick`` (role ``other``) is int32 ``[flags, part, rows of sensor 0, rows of sensor 1, ...]`` of one
    lane-tick; ``part`` counts the ticks of one env step, of which there are two when lanes were reset within it.
    """
    names, rate = stream_names(spec), spec.control_hz
    streams = [LogStream(sensor) for sensor in spec.sensors]
    if spec.action_size:
        action = SensorSpec(names["action"], "action", (spec.action_size,), "float32", rate, low=-1.0, high=1.0)
        streams.append(LogStream(action, "action"))
    streams.append(LogStream(SensorSpec(names["reward"], "reward", (1,), "float32", rate), "reward"))
    tick = SensorSpec(names["tick"], "tick", (2 + len(spec.sensors),), "int32", rate)
    return [*streams, LogStream(tick, "other")]


def recorded_facts(spec: StreamSpec, num_lanes: int, env: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the facts of a recording of ticks; ``env`` is what the caller says of the env."""
    return {
        "recorded": FORMAT,
        "spec": spec.to_json(),
        "num_lanes": num_lanes,
        "control_hz": spec.control_hz,
        "env": dict(env or {}),
    }


class TickRecorder:
    """Writes the ticks of a set of lanes to a log.

    Example:
        >>> with StreamLog.create(path, recorded_streams(spec), recorded_facts(spec, num_lanes)) as writer:
        ...     recorder = TickRecorder(writer, spec, num_lanes)
        ...     recorder.write(tick_maker.step(action, *outcome))
    """

    def __init__(self, writer: LogWriter, spec: StreamSpec, num_lanes: int) -> None:
        """Bind to a log with the streams of `recorded_streams`; one that holds ticks already is gone on with.

        Going on, the first tick of every lane begins an episode in the log: what was between is not known.

        Raises:
            LogError: the log was made for other streams or lanes.
        """
        self.spec, self.num_lanes = spec, num_lanes
        self._writer, self._names = writer, stream_names(spec)
        log = StreamLog.open(writer.root)
        expected = {stream.name: stream for stream in recorded_streams(spec)}
        if log.streams != expected or log.facts.get("num_lanes") != num_lanes:
            raise LogError(
                f"{writer.root} was not made for these {num_lanes} lanes and streams {sorted(expected)}; "
                "record to a new folder"
            )
        self._ticks = np.zeros(num_lanes, np.int64)
        self._rows = {name: np.zeros(num_lanes, np.int64) for name in expected}
        self._running = np.zeros(num_lanes, bool)
        self._tick_ns = tick_length_ns(spec.control_hz)
        self._now_ns = self._count_recorded(log)

    def _count_recorded(self, log: StreamLog) -> int:
        """Set the counters from what is recorded; return the time of the next step."""
        newest = -self._tick_ns
        for name, counts in self._rows.items():
            rows = LogRows(np.zeros(0), log.index(name))
            np.maximum.at(counts, rows.lane, rows.seq + 1)
            np.maximum.at(self._ticks, rows.lane, rows.tick + 1)
            newest = max(newest, int(rows.t_recv_ns.max(initial=newest)))
        return newest + self._tick_ns

    def write(self, ticks: Sequence[Tick]) -> None:
        """Record all ticks of one env step, in their order.

        Raises:
            LogError: a tick does not fit the spec, or the disk refused an earlier commit.
        """
        ticks = [tick for tick in ticks if len(tick.lanes)]
        if not ticks:
            return
        for tick in ticks:
            self._check(tick)
        numbers = [self._number(tick) for tick in ticks]
        firsts = [self._note_ends(tick, number) for tick, number in zip(ticks, numbers, strict=True)]
        for sensor in self.spec.sensors:
            self._write_rows(sensor, ticks, numbers)
        if self.spec.action_size:
            self._write_column("action", np.concatenate([_host(tick.action) for tick in ticks]), ticks, numbers)
        self._write_column("reward", np.concatenate([_host(tick.reward) for tick in ticks])[:, None], ticks, numbers)
        # Last, and in one piece: a lane-tick that was committed has all its rows.
        self._write_column("tick", np.concatenate(self._tick_rows(ticks, firsts)), ticks, numbers)
        self._now_ns += self._tick_ns

    def _check(self, tick: Tick) -> None:
        if len(np.unique(tick.lanes)) != len(tick.lanes) or not (
            0 <= min(tick.lanes) <= max(tick.lanes) < self.num_lanes
        ):
            raise LogError(f"a tick has lanes {tick.lanes}, expected distinct numbers below {self.num_lanes}")
        for sensor in self.spec.sensors:
            fresh, age_s, room = tick.fresh[sensor.name], tick.age_s[sensor.name], self.spec.tick_room(sensor)
            if fresh.shape[1] > room:
                raise LogError(f"sensor {sensor.name!r} sent {fresh.shape[1]} rows in a tick, expected at most {room}")
            if not np.isfinite(age_s[fresh]).all():
                raise LogError(f"sensor {sensor.name!r} sent a row without a finite age; it cannot be recorded")

    def _number(self, tick: Tick) -> np.ndarray:
        """Count the lane-ticks of a tick; return their per-lane numbers."""
        numbers = self._ticks[tick.lanes].copy()
        self._ticks[tick.lanes] += 1
        return numbers

    def _note_ends(self, tick: Tick, numbers: np.ndarray) -> np.ndarray:
        """Begin and end the episodes of lanes; return ``(M,)`` bool: the tick begins one in the log."""
        is_first = tick.is_first | ~self._running[tick.lanes]
        ended = tick.terminated | tick.truncated
        for i in np.flatnonzero(is_first | ended):
            lane, number = int(tick.lanes[i]), int(numbers[i])
            if is_first[i]:
                self._writer.begin_episode(self._now_ns, lane, number)
            if ended[i]:
                kind = "+".join(k for k in ("terminated", "truncated") if getattr(tick, k)[i])
                self._writer.end_episode(self._now_ns, lane, number, kind)
        self._running[tick.lanes] = ~ended
        return is_first

    def _write_rows(self, sensor: SensorSpec, ticks: Sequence[Tick], numbers: Sequence[np.ndarray]) -> None:
        """Append the fresh rows of one sensor, lane by lane, oldest first."""
        parts = [_fresh_rows(sensor, tick, number) for tick, number in zip(ticks, numbers, strict=True)]
        data, age_ns, lane, tick = (np.concatenate(column) for column in zip(*parts, strict=True))
        if not len(data):
            return
        time = np.full(len(data), self._now_ns)
        self._writer.append(sensor.name, data, time - age_ns, time, self._sequence(sensor.name, lane), lane, tick)

    def _write_column(self, kind: str, data: np.ndarray, ticks: Sequence[Tick], numbers: Sequence[np.ndarray]) -> None:
        """Append one row a lane-tick."""
        name, lane = self._names[kind], np.concatenate([tick.lanes for tick in ticks])
        time = np.full(len(data), self._now_ns)
        self._writer.append(name, data, time, time, self._sequence(name, lane), lane, np.concatenate(numbers))

    def _sequence(self, name: str, lane: np.ndarray) -> np.ndarray:
        """Return the per-lane numbers of rows of ``lane (n,)``, and count them."""
        order = np.argsort(lane, kind="stable")
        grouped = lane[order]
        rank = np.empty(len(lane), np.int64)
        rank[order] = np.arange(len(lane)) - np.searchsorted(grouped, grouped)
        numbers = self._rows[name][lane] + rank
        np.add.at(self._rows[name], lane, 1)
        return numbers

    def _tick_rows(self, ticks: Sequence[Tick], firsts: Sequence[np.ndarray]) -> list[np.ndarray]:
        rows = []
        for part, (tick, is_first) in enumerate(zip(ticks, firsts, strict=True)):
            flags = is_first * IS_FIRST + tick.terminated * TERMINATED + tick.truncated * TRUNCATED
            counts = [tick.fresh[sensor.name].sum(1) for sensor in self.spec.sensors]
            rows.append(np.stack([flags, np.full(len(flags), part), *counts], 1).astype(np.int32))
        return rows


def create_recording(
    path: Path | str, spec: StreamSpec, num_lanes: int, env: Mapping[str, Any] | None = None, **options: Any
) -> LogWriter:
    """Make an empty log for ticks; ``options`` are those of `StreamLog.create`."""
    return StreamLog.create(path, recorded_streams(spec), recorded_facts(spec, num_lanes, env), **options)


def _host(values: Any) -> np.ndarray:
    """Return an array, or a tensor of any device, as a float32 array."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values, np.float32)


def _fresh_rows(sensor: SensorSpec, tick: Tick, numbers: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return values, ages in ns, lanes and tick numbers of a tick's fresh rows of one sensor."""
    lane_of, row_of = np.nonzero(tick.fresh[sensor.name])
    rows = tick.rows[sensor.name][lane_of, row_of]
    data = np.asarray(rows.cpu() if hasattr(rows, "cpu") else rows, sensor.dtype)
    age_ns = np.rint(tick.age_s[sensor.name][lane_of, row_of].astype(np.float64) * 1e9).astype(np.int64)
    return data, age_ns, np.asarray(tick.lanes)[lane_of], numbers[lane_of]
