"""The ticks of a stretch of grid: which rows each shows, and where one grew too old to be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from embodied_ssl.sources.alignment_methods import PICKERS, Picks, Span
from embodied_ssl.sources.alignment_packets import IN_ORDER
from embodied_ssl.sources.alignment_queue import PacketQueue
from embodied_ssl.sources.alignment_settings import AlignmentSettings
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

_LANE = np.zeros(1, np.int64)


@dataclass(frozen=True)
class _Held:
    """What a sensor shows that holds its row until the next.

    Attributes:
        fresh: ``(m,)`` a row is delivered at the tick.
        capture: ``(m,)`` capture time of the row shown.
        stale: ``(m,)`` that row is older than allowed.
        cut: ``(m,)`` it has just become so.
        row: ``(m,)`` position of that row, -1: none.
    """

    fresh: np.ndarray
    row: np.ndarray
    capture: np.ndarray
    stale: np.ndarray
    cut: np.ndarray


class TickRows:
    """Makes ticks from the queues of all streams."""

    def __init__(
        self,
        spec: StreamSpec,
        methods: Mapping[str, str],
        queues: Mapping[str, PacketQueue],
        settings: AlignmentSettings,
        actions: Sequence[str],
        rewards: Sequence[str],
        max_gap_ns: int,
    ) -> None:
        """Bind; ``actions`` and ``rewards`` name their streams."""
        self._spec, self._methods, self._queues = spec, methods, queues
        self._actions, self._rewards, self._bounds = actions, rewards, settings.action_bounds
        self._max_gap_ns, self._half_tick_ns = max_gap_ns, round(0.5e9 / spec.control_hz)
        self._max_age_ns = {s.name: _max_age_ns(s, settings, max_gap_ns) for s in spec.sensors}

    def ticks(self, times: np.ndarray, before: int, begin: int, first: bool, limit_ns: int) -> Iterator[Tick]:
        """Yield the ticks at ``times (m,)`` of a segment.

        Args:
            times: consecutive ticks.
            before: the tick before them.
            begin: begin of the segment.
            first: whether the first of them is the first of the segment.
            limit_ns: packets that arrived later are not yet to be looked at.
        """
        picks = {s.name: self._pick(s, times, before, begin, limit_ns) for s in self._spec.sensors}
        is_first = np.zeros(len(times), bool)
        is_first[0] = first
        held = {s.name: self._hold(s, times, picks[s.name]) for s in self._spec.sensors if self._holds(s)}
        for one in held.values():
            is_first |= one.cut
        for name, one in held.items():
            picks[name] = self._show_again(times, picks[name], one, is_first)
        actions, rewards = self._act(times, before, begin), self._reward(times, before, begin)
        values = {s.name: self._values(s, picks[s.name]) for s in self._spec.sensors if not s.is_image}
        for k in range(len(times)):
            yield self._tick(k, picks, values, actions[k], rewards[k], bool(is_first[k]))

    def _holds(self, sensor: SensorSpec) -> bool:
        return self._spec.rows_per_tick(sensor) == 1

    def _pick(self, sensor: SensorSpec, times: np.ndarray, before: int, begin: int, limit_ns: int) -> Picks:
        queue = self._queues[sensor.name]
        rows, held = queue.rows_until(limit_ns), queue.held
        room = self._spec.tick_room(sensor)
        span = Span(times, before, begin, self._max_age_ns[sensor.name], self._max_gap_ns, room, queue.sent_position)
        columns = (held.arrival[:rows], held.capture[:rows], held.order[:rows], held.masked[:rows])
        picks = PICKERS[self._methods[sensor.name]](*columns, span)
        for name, count in picks.counts.items():
            setattr(queue.screen.counts, name, getattr(queue.screen.counts, name) + count)
        return picks

    def _hold(self, sensor: SensorSpec, times: np.ndarray, picks: Picks) -> _Held:
        """Follow the row that is shown, and when it grows too old; moves the queue's memory of it on."""
        queue, number = self._queues[sensor.name], np.arange(len(times))
        present = (picks.rows >= 0) if picks.share is None else (picks.rows[:, :1] >= 0)
        newest = np.where(present.any(1), picks.rows[number, present.sum(1).clip(1) - 1], -1)
        captured = times if picks.share is not None or not len(queue.held.capture) else queue.held.capture[newest]
        last = np.maximum.accumulate(np.where(newest >= 0, number, -1))
        row = np.where(last >= 0, newest[last], queue.sent_position)
        capture = np.where(last >= 0, captured[last], queue.sent_ns)
        stale = (row >= 0) & (times - capture > self._max_age_ns[sensor.name])
        cut = stale & ~np.concatenate([[queue.stale], stale[:-1]])
        queue.screen.counts.stale_cuts += int(cut.sum())
        queue.stale = bool(stale[-1])
        if row[-1] >= 0:
            queue.sent, queue.sent_ns = queue.base + int(row[-1]), int(capture[-1])
        return _Held(newest >= 0, row, capture, stale, cut)

    @staticmethod
    def _show_again(times: np.ndarray, picks: Picks, held: _Held, is_first: np.ndarray) -> Picks:
        """Deliver the row that is held once more where a cut begins a new episode in the midst of a segment."""
        again = is_first & ~held.fresh & ~held.stale & (held.row >= 0)
        if picks.share is not None or not again.any():
            return picks
        rows, age_ns = picks.rows.copy(), picks.age_ns.copy()
        rows[again, 0], age_ns[again, 0] = held.row[again], (times - held.capture)[again]
        return Picks(rows, age_ns, None, picks.counts)

    # --- values -------------------------------------------------------------------------------------------------

    def _values(self, sensor: SensorSpec, picks: Picks) -> np.ndarray:
        """Return rows ``(m, K, *shape)`` of a vector sensor; zeros where there is none."""
        data = self._queues[sensor.name].held.data
        if not len(data):
            return np.zeros((*picks.rows.shape, *sensor.shape), sensor.dtype)
        rows = data[picks.rows]
        if picks.share is not None:
            low, high = rows[:, 0].astype(np.float64), rows[:, 1].astype(np.float64)
            share = picks.share.reshape(-1, *[1] * len(sensor.shape))
            rows = (low + (high - low) * share).astype(sensor.dtype)[:, None]
        present = picks.rows[:, : rows.shape[1]] >= 0
        return np.where(present.reshape(*present.shape, *[1] * len(sensor.shape)), rows, 0).astype(sensor.dtype)

    def _frames(self, sensor: SensorSpec, picks: Picks, k: int) -> np.ndarray:
        """Return the frames ``(K, *shape)`` of one tick."""
        frames = np.zeros((picks.rows.shape[1], *sensor.shape), sensor.dtype)
        present = picks.rows[k] >= 0
        frames[present] = self._queues[sensor.name].held.data[picks.rows[k, present]]
        return frames

    def _tick(
        self,
        k: int,
        picks: Mapping[str, Picks],
        values: Mapping[str, np.ndarray],
        action: np.ndarray,
        reward: float,
        is_first: bool,
    ) -> Tick:
        rows = {
            s.name: self._frames(s, picks[s.name], k) if s.is_image else values[s.name][k] for s in self._spec.sensors
        }
        return Tick(
            lanes=_LANE.copy(),
            rows={name: row[None] for name, row in rows.items()},
            fresh={name: picks[name].rows[None, k, : len(row)] >= 0 for name, row in rows.items()},
            age_s={
                name: (picks[name].age_ns[None, k, : len(row)] / 1e9).astype(np.float32) for name, row in rows.items()
            },
            action=action[None] * np.float32(not is_first),
            reward=np.array([0.0 if is_first else reward], np.float32),
            is_first=np.array([is_first]),
            terminated=np.zeros(1, bool),
            truncated=np.zeros(1, bool),
        )

    def _act(self, times: np.ndarray, before: int, begin: int) -> np.ndarray:
        """Return the actions ``(m, A)`` that led to each tick: the commands in force midway from the tick before.

        A robot answers a tick some time after it; only from then on does the new command act.
        """
        midway = np.concatenate([[before], times[:-1]]) + self._half_tick_ns
        parts = []
        for name in self._actions:
            queue = self._queues[name]
            held, rows = queue.held, queue.piece_rows
            usable = np.flatnonzero(((held.order == IN_ORDER) & ~held.masked & (held.arrival >= begin))[:rows])
            last = np.searchsorted(held.arrival[usable], midway, "right") - 1
            values = np.full((len(times), queue.sensor.size), np.nan)
            if len(usable):
                chosen = held.data[usable[last.clip(0)]].reshape(len(times), -1)
                values = np.where(last[:, None] >= 0, chosen, np.nan)
            parts.append(values)
        if not parts:
            return np.zeros((len(times), self._spec.action_size), np.float32)
        actions = np.concatenate(parts, 1)
        known = ~np.isnan(actions)
        scaled = self._bounds.scaled(actions) if self._bounds is not None else actions.clip(-1, 1)
        return np.where(known, scaled, 0).astype(np.float32)

    def _reward(self, times: np.ndarray, before: int, begin: int) -> np.ndarray:
        """Return the rewards ``(m,)`` that arrived since the tick before, added up."""
        total = np.zeros(len(times))
        for name in self._rewards:
            held = self._queues[name].held
            inside = (held.arrival > before) & (held.arrival <= times[-1]) & (held.arrival >= begin) & ~held.masked
            inside[self._queues[name].piece_rows :] = False
            value = held.data[inside].reshape(int(inside.sum()), -1).astype(np.float64).sum(1)
            total += np.bincount(np.searchsorted(times, held.arrival[inside]), value, minlength=len(times))
        return total


def _max_age_ns(sensor: SensorSpec, settings: AlignmentSettings, max_gap_ns: int) -> int:
    given = settings.max_age_s
    age_s = given.get(sensor.name) if isinstance(given, Mapping) else given
    return max(max_gap_ns, round(3e9 / sensor.rate_hz)) if age_s is None else round(age_s * 1e9)
