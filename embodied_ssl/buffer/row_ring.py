"""The rows of one sensor: a ring at the sensor's own rate, to which ticks refer by the number of the newest row."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.lane_counter import LaneCounter
from embodied_ssl.buffer.masking import clear
from embodied_ssl.buffer.slot_ring import Array, RingShape, SlotRing
from embodied_ssl.buffer.tick_ring import Seen
from embodied_ssl.buffer.windows import Frames, Rows
from embodied_ssl.spec import SensorSpec, StreamSpec

_SLACK = 1 / 16
"""Rows kept beyond what the declared rate asks for: a sensor may be this much faster before old ticks lose rows."""


def row_shapes(
    spec: StreamSpec, sensor: SensorSpec, lanes: int, ticks: int, length: int, min_rows: int = 0
) -> dict[str, RingShape]:
    """Return the rings of one sensor beside ``ticks`` ticks, read in windows of up to ``length`` ticks.

    They have room for what the declared rate asks for and some slack, and for ``min_rows`` rows of a lane at least.
    """
    rate = sensor.rate_hz / spec.control_hz
    slots = max(math.ceil(math.ceil(ticks * rate) * (1 + _SLACK)), min_rows) + 2 * spec.tick_room(sensor)
    run = spec.frames_per_window(sensor, length) if sensor.is_image else length * spec.rows_per_tick(sensor)
    return {
        "values": RingShape(lanes, slots, min(run, slots), sensor.shape, sensor.dtype),
        "meta": RingShape(lanes, slots, min(run, slots), (2,), "int32"),
    }


class RowRing:
    """Values, and per row its arrival tick (low word) and its age at arrival (float32 bits)."""

    def __init__(
        self,
        spec: StreamSpec,
        sensor: SensorSpec,
        values: SlotRing,
        meta: SlotRing,
        capacity_ticks: int,
        pin: bool = False,
    ) -> None:
        """Bind the two rings, beside a ring of ``capacity_ticks``; ``pin``: gather values into page-locked memory."""
        self.spec, self.sensor, self.values, self.meta = spec, sensor, values, meta
        self.capacity = values.shape.slots
        self.count = np.zeros(values.shape.lanes, np.int64)
        self.begun = LaneCounter(values.shape.lanes, values.memory.device)
        self.num_overflow = 0
        self._level = True  # all lanes have the same count
        self._rows, self._pin = spec.rows_per_tick(sensor), pin
        self._ticks = capacity_ticks
        # Branches on what was read are free on the host; elsewhere each would wait for the device.
        self.may_look = values.memory.device.type == "cpu"
        # Low words of arrival ticks: on the host as they are stored, elsewhere a second time.
        stored = (values.shape.lanes, self.capacity)
        self._arrived = meta.memory.numpy()[..., 0] if self.may_look else np.zeros(stored, np.int32)

    def append(
        self, lanes: np.ndarray, whole: bool, ticks: np.ndarray, rows: Array, fresh: np.ndarray, age: np.ndarray
    ) -> None:
        """Store the fresh rows of one tick: of a burst the newest `StreamSpec.rows_per_tick`, for no tick reads more.

        Args:
            lanes: ``(M,)``.
            whole: they are all lanes in order.
            ticks: ``(M,)``: the number of this tick.
            rows: ``(M, K, *shape)``, oldest first.
            fresh: ``(M, K)``.
            age: ``(M, K)``.
        """
        if fresh.shape[1] > self._rows:
            fresh = self._without_surplus(fresh)
        alike = whole and self._level and (fresh.all() or (fresh == fresh[0]).all())
        if alike:
            self._append_columns(ticks, rows, np.flatnonzero(fresh[0]), age)
        else:
            self._append_ragged(lanes, ticks, rows, fresh, age)

    def _without_surplus(self, fresh: np.ndarray) -> np.ndarray:
        surplus = int((fresh.sum(1) - self._rows).clip(min=0).sum())
        if not surplus:
            return fresh
        self.num_overflow += surplus
        return fresh & (fresh[:, ::-1].cumsum(1)[:, ::-1] <= self._rows)

    def _append_columns(self, ticks: np.ndarray, rows: Array, columns: np.ndarray, age: np.ndarray) -> None:
        """Store rows that all lanes have alike: each is one block of all lanes."""
        everything, number = slice(None), int(self.count[0])
        self.begun.set(everything, self.count + len(columns))
        for column in columns.tolist():
            self._count_lost(everything, number % self.capacity, ticks, number >= self.capacity)
            self._write(everything, number % self.capacity, ticks, rows[:, column], age[:, column])
            number += 1
        self.count[:] = number

    def _append_ragged(
        self, lanes: np.ndarray, ticks: np.ndarray, rows: Array, fresh: np.ndarray, age: np.ndarray
    ) -> None:
        lane_of, row_of = np.nonzero(fresh)
        if not len(lane_of):
            return
        number = (self.count[lanes, None] + np.cumsum(fresh, axis=1) - 1)[lane_of, row_of]
        self.begun.set(lanes, self.count[lanes] + fresh.sum(1))
        self._count_lost(lanes[lane_of], number % self.capacity, ticks[lane_of], number >= self.capacity)
        self._write(
            lanes[lane_of], number % self.capacity, ticks[lane_of], _pick(rows, lane_of, row_of), age[lane_of, row_of]
        )
        self.count[lanes] += fresh.sum(1)
        self._level = bool((self.count == self.count[0]).all())

    def _count_lost(
        self, lanes: np.ndarray | slice, slots: np.ndarray | int, ticks: np.ndarray, full: np.ndarray | bool
    ) -> None:
        """Count rows that are about to be overwritten while the tick they came with is still stored."""
        if np.any(full):
            ago = (ticks - self._arrived[lanes, slots]).astype(np.int32)
            self.num_overflow += int(np.count_nonzero((ago < self._ticks) & full))

    def restore(self, count: np.ndarray) -> None:
        """Set the counters; the rows are restored apart from them."""
        self.count[:] = count
        self.begun.set(slice(None), count)
        self._level = bool((count == count[0]).all())

    def _write(
        self, lanes: np.ndarray | slice, slots: np.ndarray | int, ticks: np.ndarray, rows: Array, age: np.ndarray
    ) -> None:
        meta = np.empty((len(ticks), 2), np.int32)
        meta[:, 0] = ticks
        meta.view(np.float32)[:, 1] = age
        self.values.write(lanes, slots, rows)
        self.meta.write(lanes, slots, meta)
        if not self.may_look:
            self._arrived[lanes, slots] = meta[:, 0]

    def gather(self, seen: Seen, newest: Tensor) -> Rows | Frames:
        """Read what ticks see of this sensor; ``newest (B, L)`` int32, low words of row numbers."""
        now = self.begun.of(seen.lanes)
        behind = now.int()[:, None] - newest
        if not self.sensor.is_image:
            return self._gather_rows(seen, now, behind)
        length = int(seen.tick.shape[1])
        if seen.in_a_row:
            return self._gather_frames(seen, now, behind, self.spec.frames_per_window(self.sensor, length))
        values, mask, _, age_s = self._look_up(seen, now, behind, 1)
        slot = torch.arange(length, device=mask.device).expand(len(mask), length)
        return Frames(values[:, :, 0], slot, mask[..., 0], clear(age_s, mask)[..., 0])

    def _gather_rows(self, seen: Seen, now: Tensor, behind: Tensor) -> Rows:
        values, usable, fresh, age_s = self._look_up(seen, now, behind, self._rows)
        mask = fresh if self._rows > 1 else usable
        return Rows(clear(values, mask), mask, fresh, clear(age_s, mask))

    def _look_up(self, seen: Seen, now: Tensor, behind: Tensor, num_rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the newest ``num_rows`` rows at each tick, which are usable, which are fresh, and ages; unmasked."""
        behind = behind[..., None]
        if num_rows > 1:
            behind = behind + torch.arange(num_rows - 1, -1, -1, dtype=torch.int32, device=behind.device)
        values, meta = self._read_rows(seen, now, behind)
        ticks_ago = seen.low[..., None] - meta[..., 0]
        usable = (
            seen.valid[..., None] & (behind <= self._reach(seen, now)[..., None]) & (ticks_ago <= seen.since[..., None])
        )
        fresh = usable & (ticks_ago == 0)
        return values, usable, fresh, meta.view(torch.float32)[..., 1] + ticks_ago * self.spec.tick_s

    def _reach(self, seen: Seen, now: Tensor) -> Tensor:
        """Return ``(B, 1)`` how far behind ``now`` rows are whole; asked after the rows are read."""
        written = self.begun.of(seen.lanes) - now
        return torch.minimum(self.capacity - written, now).int()[:, None]

    def _read_rows(self, seen: Seen, now: Tensor, behind: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and meta of rows ``behind (B, L, R)``: of whole windows in one copy where they lie in a row."""
        num_windows, length, num_rows = behind.shape
        run = length * num_rows
        lanes = seen.lanes
        if (
            self.may_look
            and seen.in_a_row
            and run <= self.values.shape.run
            and self._in_a_row(behind[..., 0], num_rows)
        ):
            slots = (now - behind[:, 0, 0]).remainder(self.capacity)
        else:
            slots = (now[:, None] - behind[..., 0]).remainder(self.capacity)
            lanes, run = lanes[:, None], num_rows
        shape = (num_windows, length, num_rows)
        values = self.values.take(lanes, slots, run, self._pin).view(*shape, *self.sensor.shape)
        return values, self.meta.take(lanes, slots, run).view(*shape, 2)

    @staticmethod
    def _in_a_row(behind: Tensor, num_rows: int) -> bool:
        return bool((behind[:, :-1] - behind[:, 1:] == num_rows).all())

    def _gather_frames(self, seen: Seen, now: Tensor, behind: Tensor, num_frames: int) -> Frames:
        newest = behind[:, -1:]
        back = torch.arange(num_frames - 1, -1, -1, dtype=torch.int32, device=behind.device)
        slots = (now[:, None] - newest - (num_frames - 1)).remainder(self.capacity)
        lanes, run = seen.lanes, num_frames
        if run <= self.values.shape.run:
            slots = slots[:, 0]
        else:
            slots = (slots + torch.arange(num_frames, device=slots.device)).remainder(self.capacity)
            lanes, run = lanes[:, None], 1
        values = self.values.take(lanes, slots, run, self._pin).view(-1, num_frames, *self.sensor.shape)
        meta = self.meta.take(lanes, slots, run).view(-1, num_frames, 2)
        arrived = meta[..., 0]
        usable = (newest + back <= self._reach(seen, now)) & (seen.low[:, -1:] - arrived <= seen.since[:, -1:])
        slot = num_frames - 1 - (behind - newest).long()
        held = slot.clamp(0, num_frames - 1)
        mask = seen.valid & (slot >= 0) & usable.gather(1, held)
        age_s = (
            meta.view(torch.float32)[..., 1].gather(1, held) + (seen.low - arrived.gather(1, held)) * self.spec.tick_s
        )
        return Frames(values, held, mask, clear(age_s, mask))


def bind_rows(spec: StreamSpec, rings: Mapping[str, SlotRing], capacity_ticks: int, pin: bool) -> dict[str, RowRing]:
    """Return the `RowRing` of every sensor; rings are called ``sensor<number>.values`` and ``.meta``."""
    pairs = {s: (rings[f"sensor{at}.values"], rings[f"sensor{at}.meta"]) for at, s in enumerate(spec.sensors)}
    return {s.name: RowRing(spec, s, *pair, capacity_ticks, pin) for s, pair in pairs.items()}


def _pick(rows: Array, lanes: np.ndarray, places: np.ndarray) -> Array:
    """Return rows ``(M, K, ...)`` at pairs of host indices; a tensor's are gathered on its own device."""
    if isinstance(rows, Tensor):
        return rows[torch.from_numpy(lanes).to(rows.device), torch.from_numpy(places).to(rows.device)]
    return rows[lanes, places]
