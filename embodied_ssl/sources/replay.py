"""A log of recorded ticks as a source: the very steps of the live run, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import LogRows
from embodied_ssl.logs.tick_recorder import FORMAT, IS_FIRST, TERMINATED, TRUNCATED, recorded_streams, stream_names
from embodied_ssl.sources.replay_cursor import RowCursor
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick


def is_recording_of_ticks(log: StreamLog) -> bool:
    """Return whether a log holds ticks, rather than packets that must be aligned first."""
    return log.facts.get("recorded") == FORMAT


class TickReplay:
    """Gives back the steps of a recording in order, each a list of ticks for `StreamBuffer.append`.

    A row is padded where its lanes have different numbers of fresh rows; rows that were not fresh live were never
    stored, here or in the live buffer. A recording that is still written can be read on after ``log.refresh()``.
    """

    def __init__(self, log: StreamLog) -> None:
        """Open a recording at its first step.

        Raises:
            LogError: the log holds no ticks.
        """
        if not is_recording_of_ticks(log):
            raise LogError(f"{log.path} holds packets, not ticks; read it with LogTicks(log, control_hz)")
        self.log = log
        self.spec = StreamSpec.from_json(log.facts["spec"])
        self.num_lanes = int(log.facts["num_lanes"])
        missing = {stream.name for stream in recorded_streams(self.spec)} - set(log.streams)
        if missing:
            raise LogError(f"{log.path} says it holds ticks but lacks the streams {sorted(missing)}; record it again")
        self._names = stream_names(self.spec)
        self.num_lost_rows = dict.fromkeys((sensor.name for sensor in self.spec.sensors), 0)
        self._start({}, 0, np.full(self.num_lanes, -1, np.int64))

    def _start(self, rows: Mapping[str, int], step: int, newest: np.ndarray) -> None:
        self._cursors = {s.name: RowCursor(self.log, s.name, rows.get(s.name, 0)) for s in recorded_streams(self.spec)}
        self.step, self._newest, self._last_ns = step, newest, -1

    @property
    def num_ticks(self) -> int:
        """Lane-ticks that are committed."""
        return self.log.num_rows(self._names["tick"])

    @property
    def num_steps(self) -> int:
        """Env steps that are committed; reads through the stream of ticks."""
        count, last = 0, None
        for block in self.log.blocks(self._names["tick"]):
            times = block.t_recv_ns
            if len(times):
                count += int((np.diff(times) != 0).sum()) + (last is None or int(times[0]) != last)
                last = int(times[-1])
        return count

    def __iter__(self) -> Iterator[list[Tick]]:
        """Yield the steps from the present one on."""
        while (step := self.next_step()) is not None:
            yield step

    def next_step(self) -> list[Tick] | None:
        """Return all ticks of the next env step; None at the end of what is committed."""
        time_ns = self._cursors[self._names["tick"]].peek_ns()
        if time_ns is None:
            return None
        taken = {name: cursor.take(time_ns) for name, cursor in self._cursors.items()}
        heads = taken[self._names["tick"]]
        part = heads.data[:, 1]
        ticks = [self._tick(taken, heads, np.flatnonzero(part == number)) for number in range(int(part.max()) + 1)]
        self.step, self._last_ns = self.step + 1, time_ns
        return [tick for tick in ticks if len(tick.lanes)]

    def _tick(self, taken: Mapping[str, LogRows], heads: LogRows, chosen: np.ndarray) -> Tick:
        """Build one tick of the lane-ticks ``chosen`` of a step."""
        lanes, numbers, flags = heads.lane[chosen], heads.tick[chosen], heads.data[chosen, 0]
        # After a hole (a damaged chunk left out) nothing of before may be seen.
        is_first = (flags & IS_FIRST > 0) | (numbers != self._newest[lanes] + 1)
        self._newest[lanes] = numbers
        rows, fresh, age_s = {}, {}, {}
        for position, sensor in enumerate(self.spec.sensors):
            found = _of_ticks(taken[sensor.name], lanes, numbers)
            rows[sensor.name], fresh[sensor.name], age_s[sensor.name] = _padded(sensor, found, len(lanes))
            expected = int(heads.data[chosen, 2 + position].sum())
            self.num_lost_rows[sensor.name] += expected - int(fresh[sensor.name].sum())
        return Tick(
            lanes=lanes.copy(),
            rows=rows,
            fresh=fresh,
            age_s=age_s,
            action=self._column("action", taken, lanes, numbers, self.spec.action_size),
            reward=self._column("reward", taken, lanes, numbers, 1)[:, 0],
            is_first=is_first,
            terminated=flags & TERMINATED > 0,
            truncated=flags & TRUNCATED > 0,
        )

    def _column(
        self, kind: str, taken: Mapping[str, LogRows], lanes: np.ndarray, numbers: np.ndarray, width: int
    ) -> np.ndarray:
        """Return one row ``(M, width)`` a lane-tick; zeros where it was lost."""
        values = np.zeros((len(lanes), width), np.float32)
        if width:
            found, owner = _of_ticks(taken[self._names[kind]], lanes, numbers)
            values[owner] = found.data
        return values

    def state(self) -> dict[str, Any]:
        """Return a JSON-able cursor for `load_state`."""
        return {
            "step": self.step,
            "rows": {name: cursor.start for name, cursor in self._cursors.items()},
            "last_ns": self._last_ns,
            "newest": self._newest.tolist(),
            "num_lost_rows": dict(self.num_lost_rows),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state` was taken, in the same recording.

        Raises:
            LogError: the cursor is of another recording.
        """
        if set(state["rows"]) != set(self._cursors) or len(state["newest"]) != self.num_lanes:
            raise LogError(f"the cursor is of another recording than {self.log.path}; start at its beginning")
        self._start(state["rows"], int(state["step"]), np.asarray(state["newest"], np.int64))
        self._last_ns = int(state["last_ns"])
        self.num_lost_rows = {name: int(count) for name, count in state["num_lost_rows"].items()}
        for cursor in self._cursors.values():
            cursor.take(self._last_ns)


def _of_ticks(rows: LogRows, lanes: np.ndarray, numbers: np.ndarray) -> tuple[LogRows, np.ndarray]:
    """Return those of ``rows`` that belong to lane-ticks ``(M,)``, and for each its position among them."""
    order = np.argsort(lanes, kind="stable")
    place = np.searchsorted(lanes[order], rows.lane).clip(max=len(lanes) - 1)
    owner = order[place]
    belongs = (lanes[owner] == rows.lane) & (numbers[owner] == rows.tick)
    return LogRows(rows.data[belongs], rows.index[belongs]), owner[belongs]


def _padded(
    sensor: SensorSpec, found: tuple[LogRows, np.ndarray], num_lanes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows ``(M, K, *shape)``, fresh and ages ``(M, K)``, each lane's rows first and oldest first."""
    rows, owner = found
    count = np.bincount(owner, minlength=num_lanes)
    order = np.argsort(owner, kind="stable")
    place = np.arange(len(owner)) - (np.cumsum(count) - count)[owner[order]]
    at = owner[order], place
    width = max(1, int(count.max(initial=0)))
    values = np.zeros((num_lanes, width, *sensor.shape), sensor.dtype)
    fresh, age_s = np.zeros((num_lanes, width), bool), np.zeros((num_lanes, width), np.float32)
    values[at], fresh[at] = rows.data[order], True
    age_s[at] = ((rows.t_recv_ns - rows.t_ns)[order] / 1e9).astype(np.float32)
    return values, fresh, age_s
