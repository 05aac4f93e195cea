"""The ring that stores every row once, raw, and gathers windows by index.

Each sensor has a ring of rows of its own at its own rate; a tick keeps the 64-bit number of the newest row. A row
is legal while the number stored beside it is still the number asked for, which is exact whatever was overwritten.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.window_index import EpisodeTable, WindowIndex, WindowShape
from embodied_ssl.buffer.windows import Frames, Rows, Windows
from embodied_ssl.errors import BufferFullError
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick


@dataclass(frozen=True)
class _RowRing:
    """Rows of one sensor: ``values (C, N, *shape)``, and per row its number, arrival tick and age at arrival."""

    values: Tensor
    number: Tensor
    tick: Tensor
    age_s: Tensor
    newest: Tensor  # (T, N): number of the newest row at each tick

    @classmethod
    def empty(cls, sensor: SensorSpec, rows: int, ticks: int, lanes: int, device: torch.device) -> _RowRing:
        dtype = getattr(torch, sensor.dtype)
        return cls(
            values=torch.zeros((rows, lanes, *sensor.shape), dtype=dtype, device=device),
            number=torch.full((rows, lanes), -1, dtype=torch.int64, device=device),
            tick=torch.zeros((rows, lanes), dtype=torch.int64, device=device),
            age_s=torch.zeros((rows, lanes), device=device),
            newest=torch.full((ticks, lanes), -1, dtype=torch.int64, device=device),
        )


class StreamBuffer:
    """Rings of ticks and rows for ``N`` lanes, each lane with its own 64-bit write counter.

    One writer and any number of readers: `append` fills slots before it moves the counters, and readers never
    draw windows that reach into the oldest ``guard_ticks``.
    """

    def __init__(
        self,
        spec: StreamSpec,
        num_lanes: int,
        capacity_ticks: int,
        shapes: tuple[WindowShape, ...],
        device: torch.device | str = "cpu",
        guard_ticks: int = 0,
    ) -> None:
        """Allocate the rings.

        Args:
            spec: the sensors.
            num_lanes: N.
            capacity_ticks: T, ticks kept per lane.
            shapes: the window shapes that will be drawn.
            device: where storage lives.
            guard_ticks: oldest ticks that draws leave alone.

        Raises:
            BufferFullError: no window of a shape fits into the capacity, or memory is too small (sizes named).
        """
        for shape in shapes:
            if capacity_ticks < shape.length + guard_ticks:
                raise BufferFullError(
                    f"capacity_ticks is {capacity_ticks}, expected at least {shape.length + guard_ticks} "
                    f"for windows of {shape.length} ticks and a guard of {guard_ticks}"
                )
        self.spec, self.num_lanes, self.capacity = spec, num_lanes, capacity_ticks
        self.device = torch.device(device)
        self.lock = threading.Lock()
        self.row_count = {sensor.name: np.zeros(num_lanes, np.int64) for sensor in spec.sensors}
        self.num_overflow_rows = dict.fromkeys((sensor.name for sensor in spec.sensors), 0)
        try:
            self.table = EpisodeTable(num_lanes, capacity_ticks)
            self.indices = {shape: WindowIndex(shape, self.table, guard_ticks) for shape in shapes}
            self._allocate()
        except (RuntimeError, MemoryError) as error:
            raise BufferFullError(
                f"the buffer needs {self.num_bytes(spec, num_lanes, capacity_ticks) / 1e9:.1f} GB on {self.device}, "
                f"which could not be had ({str(error).splitlines()[0]}); lower buffer.capacity_ticks"
            ) from error

    @staticmethod
    def num_bytes(spec: StreamSpec, num_lanes: int, capacity_ticks: int) -> int:
        """Bytes of sensor values that such a buffer stores."""
        per_lane = sum(spec.row_capacity(s, capacity_ticks) * s.size * np.dtype(s.dtype).itemsize for s in spec.sensors)
        return per_lane * num_lanes

    def _allocate(self) -> None:
        ticks, lanes, device = self.capacity, self.num_lanes, self.device
        self._rings = {
            s.name: _RowRing.empty(s, self.spec.row_capacity(s, ticks), ticks, lanes, device) for s in self.spec.sensors
        }
        self._action = torch.zeros((ticks, lanes, self.spec.action_size), device=device)
        self._reward = torch.zeros((ticks, lanes), device=device)
        self._is_first = torch.zeros((ticks, lanes), dtype=torch.bool, device=device)
        self._terminated = torch.zeros_like(self._is_first)
        self._truncated = torch.zeros_like(self._is_first)
        self._start = torch.zeros((ticks, lanes), dtype=torch.int64, device=device)
        self._number = torch.full((ticks, lanes), -1, dtype=torch.int64, device=device)

    @property
    def num_ticks(self) -> int:
        """Lane-ticks ever appended."""
        return int(self.table.count.sum())

    def num_legal(self, shape: WindowShape) -> int:
        """Windows of ``shape`` that can be drawn now."""
        with self.lock:
            return self.indices[shape].num_legal

    def append(self, tick: Tick) -> None:
        """Store one tick of its lanes: rows first, then the counters that make them visible."""
        lanes = tick.lanes
        slots = self.table.count[lanes] % self.capacity
        at = (self._tensor(slots), self._tensor(lanes))
        starts = tick.is_first | (self.table.count[lanes] == 0)
        before = self.table.start[(self.table.count[lanes] - 1) % self.capacity, lanes]
        for sensor in self.spec.sensors:
            self._append_rows(sensor, tick, at)
        self._number[at] = self._tensor(self.table.count[lanes])
        self._action[at] = self._tensor(tick.action)
        self._reward[at] = self._tensor(tick.reward)
        self._is_first[at] = self._tensor(starts)
        self._terminated[at] = self._tensor(tick.terminated)
        self._truncated[at] = self._tensor(tick.truncated)
        self._start[at] = self._tensor(np.where(starts, self.table.count[lanes], before))
        with self.lock:
            self.table.append(lanes, tick.is_first)
            for index in self.indices.values():
                index.append(lanes)

    def _append_rows(self, sensor: SensorSpec, tick: Tick, at: tuple[Tensor, Tensor]) -> None:
        ring, count = self._rings[sensor.name], self.row_count[sensor.name]
        rows, fresh, age_s = tick.rows[sensor.name], tick.fresh[sensor.name], tick.age_s[sensor.name]
        surplus = fresh.shape[1] - self.spec.tick_room(sensor)
        if surplus > 0:  # a burst: the oldest rows give way
            self.num_overflow_rows[sensor.name] += int(fresh[:, :surplus].sum())
            rows, fresh, age_s = rows[:, surplus:], fresh[:, surplus:], age_s[:, surplus:]
        lane_of, row_of = np.nonzero(fresh)
        if len(lane_of):
            lanes = tick.lanes[lane_of]
            number = count[lanes] + (np.cumsum(fresh, axis=1)[lane_of, row_of] - 1)
            place = (self._tensor(number % ring.values.shape[0]), self._tensor(lanes))
            ring.values[place] = self._tensor(_pick(rows, lane_of, row_of))
            ring.number[place] = self._tensor(number)
            ring.tick[place] = self._tensor(self.table.count[lanes])
            ring.age_s[place] = self._tensor(age_s[lane_of, row_of])
            count[tick.lanes] += fresh.sum(1)
        ring.newest[at] = self._tensor(count[tick.lanes] - 1)

    def _tensor(self, array: np.ndarray | Tensor) -> Tensor:
        if isinstance(array, Tensor):
            return array.to(self.device, non_blocking=True)
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)

    def draw(
        self, shape: WindowShape, num_windows: int, rng: np.random.Generator, windows_per_episode: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw windows: lanes ``(B,)`` and end ticks ``(B,)`` on the host.

        With ``windows_per_episode`` = M the batch is B / M episodes (drawn in proportion to their legal windows)
        with M windows each, windows of an episode side by side; each window is uniform over all legal ones.

        Raises:
            BufferFullError: there is no legal window yet.
        """
        with self.lock:
            index = self.indices[shape]
            if index.num_legal == 0:
                raise BufferFullError(
                    f"no legal window of {shape.length} ticks among {self.num_ticks} stored lane-ticks; "
                    f"episodes need more than {shape.horizon} ticks"
                )
            lanes, ends = index.draw(num_windows // windows_per_episode, rng)
            if windows_per_episode > 1:
                more_lanes, more_ends = index.draw_siblings(lanes, ends, windows_per_episode - 1, rng)
                lanes = np.concatenate([lanes[:, None], more_lanes], 1).ravel()
                ends = np.concatenate([ends[:, None], more_ends], 1).ravel()
        return lanes, ends

    def newest(self, lanes: np.ndarray) -> np.ndarray:
        """Return the newest tick number of ``lanes`` (-1: none yet)."""
        return self.table.count[lanes] - 1

    def gather(self, lanes: Tensor, ends: Tensor, length: int) -> Windows:
        """Gather windows of ``length`` ticks that end at ``ends`` of ``lanes``; ``(B,)`` int64 on the device.

        Ticks before the episode of the end, and rows that are no longer or not yet stored, come masked.
        """
        offsets = torch.arange(1 - length, 1, device=self.device)
        tick = ends[:, None] + offsets
        flat = torch.remainder(tick, self.capacity) * self.num_lanes + lanes[:, None]
        start = self._take(self._start, flat[:, -1])
        # A slot that a writer has meanwhile given to a newer tick is masked, whatever the guard.
        valid = (tick >= start[:, None]) & (self._take(self._number, flat) == tick)
        moved = valid & ~self._take(self._is_first, flat)
        rows, frames = {}, {}
        for sensor in self.spec.sensors:
            if sensor.is_image:
                frames[sensor.name] = self._gather_frames(sensor, lanes, tick, flat, start, valid)
            else:
                rows[sensor.name] = self._gather_rows(sensor, lanes, tick, flat, start, valid)
        return Windows(
            rows=rows,
            frames=frames,
            action=self._take(self._action, flat) * moved[..., None],
            action_mask=moved,
            reward=self._take(self._reward, flat) * moved,
            terminated=self._take(self._terminated, flat) & moved,
            valid=valid,
            tick=tick,
            start=start,
            lane=lanes,
        )

    @staticmethod
    def _take(storage: Tensor, flat: Tensor) -> Tensor:
        """Read ``storage (T, N, ...)`` at flat row numbers of any shape; whole rows, so a block copy each."""
        rows = storage.view(-1, *storage.shape[2:])
        return rows.index_select(0, flat.reshape(-1)).view(*flat.shape, *storage.shape[2:])

    def _find(self, ring: _RowRing, lanes: Tensor, number: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return flat places of row ``number``, whether it is stored there, its arrival tick and age."""
        lanes = lanes.view(-1, *[1] * (number.dim() - 1))
        flat = torch.remainder(number, ring.values.shape[0]) * self.num_lanes + lanes
        stored = (self._take(ring.number, flat) == number) & (number >= 0)
        return flat, stored, self._take(ring.tick, flat), self._take(ring.age_s, flat)

    def _gather_rows(
        self, sensor: SensorSpec, lanes: Tensor, tick: Tensor, flat: Tensor, start: Tensor, valid: Tensor
    ) -> Rows:
        ring, num_rows = self._rings[sensor.name], self.spec.rows_per_tick(sensor)
        back = torch.arange(1 - num_rows, 1, device=self.device)
        number = self._take(ring.newest, flat)[..., None] + back
        place, stored, arrived, age_s = self._find(ring, lanes, number)
        usable = stored & valid[..., None] & (arrived >= start[:, None, None])
        fresh = usable & (arrived == tick[..., None])
        mask = fresh if num_rows > 1 else usable
        values = self._take(ring.values, place) * mask.view(*mask.shape, *[1] * len(sensor.shape))
        age_s = (age_s + (tick[..., None] - arrived) * self.spec.tick_s) * mask
        return Rows(values, mask, fresh, age_s)

    def _gather_frames(
        self, sensor: SensorSpec, lanes: Tensor, tick: Tensor, flat: Tensor, start: Tensor, valid: Tensor
    ) -> Frames:
        ring, num_frames = self._rings[sensor.name], self.spec.frames_per_window(sensor, tick.shape[1])
        newest = self._take(ring.newest, flat)
        first = newest[:, -1:] - (num_frames - 1)
        number = first + torch.arange(num_frames, device=self.device)
        place, stored, arrived, age_s = self._find(ring, lanes, number)
        usable = stored & (arrived >= start[:, None])
        slot = newest - first
        held = slot.clamp(0, num_frames - 1)
        mask = valid & (slot >= 0) & usable.gather(1, held)
        age_s = (age_s.gather(1, held) + (tick - arrived.gather(1, held)) * self.spec.tick_s) * mask
        return Frames(self._take(ring.values, place), held, mask, age_s)

    def export_since(self, ticks: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """Return all that is stored and was appended after per-lane counts ``ticks (N,)`` and ``rows[name] (N,)``.

        The form is flat: per stored tick its lane and number, and per stored row its lane and number.
        """
        lanes, numbers = _spans(np.maximum(ticks, self.table.count - self.capacity), self.table.count)
        flat = self._tensor(numbers % self.capacity * self.num_lanes + lanes)
        out = {"lane": self._tensor(lanes), "tick": self._tensor(numbers)}
        out |= {name: self._take(table, flat) for name, table in self._tick_tables().items()}
        for name, ring in self._rings.items():
            capacity = ring.values.shape[0]
            lanes, numbers = _spans(np.maximum(rows[name], self.row_count[name] - capacity), self.row_count[name])
            place = self._tensor(numbers % capacity * self.num_lanes + lanes)
            out |= {f"{name}/lane": self._tensor(lanes), f"{name}/number": self._tensor(numbers)}
            out |= {f"{name}/{key}": self._take(table, place) for key, table in _row_tables(ring).items()}
        return {name: tensor.cpu().contiguous() for name, tensor in out.items()}

    def import_ticks(self, stored: dict[str, Tensor]) -> None:
        """Write what `export_since` returned back to its slots; counters and tables are restored apart from it."""
        at = (stored["tick"] % self.capacity, stored["lane"])
        for name, table in self._tick_tables().items():
            table[at] = stored[name].to(self.device)
        for name, ring in self._rings.items():
            number = stored[f"{name}/number"]
            place = (number % ring.values.shape[0], stored[f"{name}/lane"])
            ring.number[place] = number.to(self.device)
            for key, table in _row_tables(ring).items():
                table[place] = stored[f"{name}/{key}"].to(self.device)

    def _tick_tables(self) -> dict[str, Tensor]:
        tables = {
            "number": self._number,
            "action": self._action,
            "reward": self._reward,
            "is_first": self._is_first,
            "terminated": self._terminated,
            "truncated": self._truncated,
            "start": self._start,
        }
        return tables | {f"{name}/newest": ring.newest for name, ring in self._rings.items()}


def _pick(rows: np.ndarray | Tensor, lanes: np.ndarray, places: np.ndarray) -> np.ndarray | Tensor:
    """Return rows ``(M, K, ...)`` at pairs of host indices; a tensor's are gathered on its own device."""
    if isinstance(rows, Tensor):
        return rows[torch.from_numpy(lanes).to(rows.device), torch.from_numpy(places).to(rows.device)]
    return rows[lanes, places]


def _row_tables(ring: _RowRing) -> dict[str, Tensor]:
    return {"values": ring.values, "arrived": ring.tick, "age_s": ring.age_s}


def _spans(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lane and number of every entry of ``[low[n], high[n])``, lane by lane."""
    lanes = np.repeat(np.arange(len(low)), high - low)
    numbers = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    return lanes, numbers
