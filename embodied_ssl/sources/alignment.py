"""Irregular packets of one robot to ticks of an even grid, in blocks, in bounded memory.

Time flows as packets arrived: every stream is screened (`alignment_packets`), ticks exist while sensors speak
(`alignment_spans`), each tick shows rows by the method of its sensor (`alignment_methods`). See ``docs/alignment.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.sources.alignment_counts import AlignmentCounts
from embodied_ssl.sources.alignment_packets import PacketScreen
from embodied_ssl.sources.alignment_queue import PacketQueue
from embodied_ssl.sources.alignment_rows import TickRows
from embodied_ssl.sources.alignment_settings import AlignmentSettings, screen_settings
from embodied_ssl.sources.alignment_spans import Activity, Alive, Grid, common
from embodied_ssl.sources.alignment_spec import aligned_spec, choose_methods, choose_sensors, of_role
from embodied_ssl.spec import SensorSpec, Tick

CHUNK_TICKS = 512
"""Ticks that are worked out at a time."""


class Aligner:
    """Turns the packets of one lane into ticks.

    Example:
        >>> aligner = Aligner(list(log.streams.values()), control_hz=50.0)
        >>> aligner.push("imu", data, t_ns, t_recv_ns, seq)
        >>> for tick in aligner.ready(): ...
        >>> for tick in aligner.finish("truncated"): ...
    """

    def __init__(
        self, streams: Sequence[LogStream], control_hz: float, settings: AlignmentSettings | None = None
    ) -> None:
        """Begin before the first packet.

        Raises:
            LogError: an unknown sensor, method or setting.
        """
        self.settings = settings = settings or AlignmentSettings()
        self.spec = aligned_spec(streams, control_hz, settings.methods, settings.sensors)
        chosen = choose_sensors(streams, settings.sensors)
        self.methods = choose_methods(chosen, control_hz, settings.methods)
        self._screens = screen_settings(self.spec, settings)
        for name in (*settings.essential, *settings.faults):
            if name not in self.methods:
                raise LogError(f"{name!r} is not aligned; {nearest(name, self.methods)}")
        self._roles = {stream.name: stream.role for stream in streams}
        self._queues = {sensor.name: self._queue(sensor) for sensor in self.spec.sensors}
        others = [s for role in ("action", "reward") for s in of_role(streams, role)]
        self._queues |= {stream.name: self._queue(_plain(stream.sensor)) for stream in others}
        self._rows = TickRows(
            self.spec, self.methods, self._queues, settings, [s.name for s in of_role(streams, "action")],
            [s.name for s in of_role(streams, "reward")], self._screens.max_gap_ns,
        )  # fmt: skip
        self._look_ns = 0
        if set(self.methods.values()) - {"latest", "window"}:
            self._look_ns = 2 * self._screens.max_gap_ns + self._screens.reorder_ns
        self._held_back: tuple[int, Tick] | None = None
        self.time_ns: int | None = None
        """Time of the tick that was yielded last, on the clock of arrival; None before the first."""
        self._begin_piece()

    def _queue(self, sensor: SensorSpec) -> PacketQueue:
        return PacketQueue(sensor, PacketScreen(sensor, self._screens, self.settings.faults.get(sensor.name)))

    def _begin_piece(self) -> None:
        sensors = [sensor.name for sensor in self.spec.sensors]
        self._groups = [sensors, *([name] for name in self.settings.essential)]
        self._activity = [Activity(self._screens.max_gap_ns) for _ in self._groups]
        self._begin: int | None = None
        self._grid, self._next = Grid.of(0, self.spec.control_hz), 0

    # --- packets in ---------------------------------------------------------------------------------------------

    @property
    def streams(self) -> list[str]:
        """The streams that are wanted: sensors, actions and rewards."""
        return list(self._queues)

    @property
    def counts(self) -> dict[str, AlignmentCounts]:
        """What became of the packets so far, by stream."""
        return {name: queue.screen.counts for name, queue in self._queues.items()}

    @property
    def wanted(self) -> str | None:
        """The stream that holds the ticks back: its packets are wanted next; None: all have ended."""
        waiting = {name: queue.loaded_ns for name, queue in self._queues.items() if not queue.closed}
        if not waiting:
            waiting = {name: queue.loaded_ns for name, queue in self._queues.items() if not queue.ended}
        unheard = [name for name, loaded in waiting.items() if loaded is None]
        if unheard or not waiting:
            return unheard[0] if unheard else None
        return min(waiting, key=lambda name: waiting[name] or 0)

    def push(self, name: str, data: Any, t_ns: Any, t_recv_ns: Any = None, seq: Any = None) -> None:
        """Take in packets of one stream, in order of arrival.

        Args:
            name: the stream.
            data: ``(n, *shape)``.
            t_ns: ``(n,)`` int64 capture times.
            t_recv_ns: ``(n,)`` int64 arrival times; None: the same clock and moment.
            seq: ``(n,)`` numbers of the source; None: it has none.

        Raises:
            LogError: the stream is not aligned, has ended, or its data has another shape.
        """
        if name not in self._queues:
            raise LogError(f"{name!r} is not aligned; {nearest(name, self._queues)}")
        queue, data, t_ns = self._queues[name], np.asarray(data), np.asarray(t_ns, np.int64)
        if data.shape[1:] not in (queue.sensor.shape, () if queue.sensor.shape == (1,) else queue.sensor.shape):
            raise LogError(f"stream {name!r} got rows of {data.shape[1:]}, expected {queue.sensor.shape}")
        if queue.ended:
            raise LogError(f"stream {name!r} has ended; begin a new Aligner")
        arrival = t_ns if t_recv_ns is None else np.asarray(t_recv_ns, np.int64)
        numbers = np.full(len(t_ns), -1) if seq is None else np.asarray(seq, np.int64)
        queue.push(queue.screen.screen(t_ns, arrival, numbers, data))

    def end(self, name: str) -> None:
        """Say that no more packets of a stream will come."""
        self._queues[name].ended = True

    # --- ticks out ----------------------------------------------------------------------------------------------

    def ready(self) -> Iterator[Tick]:
        """Yield the ticks for which all streams have come far enough, but for the newest one."""
        for time_ns, tick in self._advance():
            if self._held_back is not None:
                self.time_ns, held = self._held_back
                yield dataclasses.replace(held, truncated=np.array([True])) if tick.is_first[0] else held
            self._held_back = time_ns, tick

    def finish(self, kind: str = "unknown") -> Iterator[Tick]:
        """End all streams and yield the remaining ticks; ``kind`` says how the episode ended, as in a log."""
        for name in self._queues:
            self.end(name)
        yield from self.ready()
        if self._held_back is not None:
            ends = {"terminated": np.array(["terminated" in kind]), "truncated": np.array([kind != "terminated"])}
            (self.time_ns, held), self._held_back = self._held_back, None
            yield dataclasses.replace(held, **ends)

    def _advance(self) -> Iterator[tuple[int, Tick]]:
        while (reached := self._frontier()) is not None:
            limit_ns, closing = reached
            self._hear(limit_ns)
            for alive in self._alive(closing):
                if self._begin is not None and alive.begin < self._begin:
                    continue
                if alive.begin != self._begin:
                    self._begin_segment(alive.begin)
                stop = self._stop(alive, limit_ns, closing)
                yield from self._segment(stop, limit_ns)
                if not (alive.closed and self._next > self._grid.num_before(alive.end)):
                    break
            if not closing:
                return
            for queue in self._queues.values():
                queue.next_piece(limit_ns)
            self._begin_piece()
            if all(queue.ended and not len(queue.held.arrival) for queue in self._queues.values()):
                return

    def _frontier(self) -> tuple[int, bool] | None:
        """Return up to when everything has arrived, and whether the piece ends there; None: not enough is known."""
        queues = self._queues.values()
        open_ns = [queue.loaded_ns for queue in queues if not queue.closed]
        if any(loaded is None for loaded in open_ns):
            return None
        broken = [(q.loaded_ns, self._patience_ns(q)) for q in queues if q.held.breaks and q.loaded_ns is not None]
        reached = min((loaded for loaded in open_ns if loaded is not None), default=None)
        if broken:
            # The others step back too, at their next packets: until then it is not known where the piece ends.
            end_ns = max(loaded for loaded, _ in broken)
            settled = reached is None or reached > max(loaded + patience for loaded, patience in broken)
            return (end_ns, True) if settled or reached is None else (min(reached, end_ns), False)
        if reached is not None:
            return reached, False
        last = [queue.loaded_ns for queue in queues if queue.loaded_ns is not None]
        return (max(last), True) if last else None

    def _patience_ns(self, queue: PacketQueue) -> int:
        return max(self._screens.max_gap_ns, round(3e9 / queue.sensor.rate_hz))

    def _hear(self, limit_ns: int) -> None:
        heard = {name: queue.new_arrivals(limit_ns) for name, queue in self._queues.items()}
        for group, activity in zip(self._groups, self._activity, strict=True):
            activity.add(np.sort(np.concatenate([heard[name] for name in group])))

    def _alive(self, closing: bool) -> list[Alive]:
        spans = self._activity[0].spans(closing)
        for activity in self._activity[1:]:
            spans = common(spans, activity.spans(closing))
        return spans

    def _begin_segment(self, begin_ns: int) -> None:
        phase_ns = round(self.settings.phase * self._screens.tick_ns)
        self._begin, self._next = begin_ns, 0
        self._grid = Grid.of(begin_ns + phase_ns, self.spec.control_hz)
        for activity in self._activity:
            activity.forget(begin_ns)
        for queue in self._queues.values():
            queue.begin_segment()

    def _stop(self, alive: Alive, limit_ns: int, closing: bool) -> int:
        """Return the number of the first tick of the segment that cannot be made yet, or does not exist."""
        last = self._grid.num_before(alive.end) + 1 if alive.closed else self._grid.num_before(alive.end)
        return last if closing else min(last, self._grid.num_before(limit_ns - self._look_ns))

    def _segment(self, stop: int, limit_ns: int) -> Iterator[tuple[int, Tick]]:
        assert self._begin is not None, "a segment was begun"
        while self._next < stop:
            count = min(CHUNK_TICKS, stop - self._next)
            times = self._grid.times(self._next, count)
            before = int(self._grid.times(self._next - 1, 1)[0]) if self._next else self._begin - 1
            made = self._rows.ticks(times, before, self._begin, self._next == 0, limit_ns)
            yield from zip(times.tolist(), made, strict=True)
            self._next += count
            for queue in self._queues.values():
                queue.prune(int(times[-1]), int(times[-1]) - 2 * self._look_ns)


def _plain(sensor: SensorSpec) -> SensorSpec:
    """Return the spec of an action or reward stream in float32."""
    return dataclasses.replace(sensor, dtype="float32", shape=sensor.shape or (1,), modality="vector")
