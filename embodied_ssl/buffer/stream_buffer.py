"""The ring that stores every row once, raw, and gathers windows by index.

Each sensor has a ring of rows of its own at its own rate; a tick keeps the number of every sensor's newest row. What
is read is whole: numbers are 64-bit and per lane, a writer says which it will overwrite before it does, and a reader
asks for that after it has read, and masks what may have changed.

Reading order: `SlotRing` (one table), `TickRing` and `RowRing` (what is in it), `StreamBuffer`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer import disk
from embodied_ssl.buffer.episodes import EpisodeTable
from embodied_ssl.buffer.lane_counter import LaneCounter
from embodied_ssl.buffer.masking import clear
from embodied_ssl.buffer.placement import Placement, Storage
from embodied_ssl.buffer.row_ring import bind_rows, row_shapes
from embodied_ssl.buffer.slot_ring import RingShape, SlotRing
from embodied_ssl.buffer.tick_ring import TickRing
from embodied_ssl.buffer.window_index import WindowIndex, WindowShape
from embodied_ssl.buffer.windows import Frames, Rows, Windows
from embodied_ssl.errors import BufferFullError
from embodied_ssl.spec import StreamSpec, Tick


class StreamBuffer:
    """Rings of ticks and rows for ``N`` lanes, each lane with its own 64-bit write counter.

    One writer and any number of readers, who never draw windows that reach into the oldest ``guard_ticks``.
    """

    def __init__(
        self,
        spec: StreamSpec,
        num_lanes: int,
        capacity_ticks: int,
        shapes: tuple[WindowShape, ...],
        device: torch.device | str = "cpu",
        guard_ticks: int = 0,
        storage: Storage = "auto",
        folder: Path | str | None = None,
        min_rows: Mapping[str, int] | None = None,
    ) -> None:
        """Allocate the rings.

        Args:
            spec: the sensors.
            num_lanes: N.
            capacity_ticks: T, ticks kept per lane.
            shapes: the window shapes that will be drawn.
            device: where windows are delivered.
            guard_ticks: oldest ticks that draws leave alone.
            storage: where rows live. ``device``; ``host`` memory; ``disk``: memory-mapped files in ``folder``;
                ``auto``: on the device if its free memory is 2.5 times the buffer, else on the host.
            folder: an empty or new folder, for ``disk``.
            min_rows: per sensor rows of a lane that must fit, where more are known to come than its rate says.

        Raises:
            BufferFullError: no window of a shape fits into the capacity, or memory is too small (sizes named).
        """
        for shape in shapes:
            shape.check_fits(capacity_ticks, guard_ticks)
        rings = self.ring_shapes(spec, num_lanes, capacity_ticks, shapes, min_rows or {})
        num_bytes = sum(ring.num_bytes for ring in rings.values())
        placement = Placement.choose(storage, num_bytes, torch.device(device), folder)
        self.adopt(spec, num_lanes, capacity_ticks, shapes, torch.device(device), guard_ticks, placement, min_rows)
        self.bind({name: SlotRing(ring, placement.zeros(name, ring)) for name, ring in rings.items()})

    def adopt(
        self,
        spec: StreamSpec,
        num_lanes: int,
        capacity_ticks: int,
        shapes: tuple[WindowShape, ...],
        device: torch.device,
        guard_ticks: int,
        placement: Placement,
        min_rows: Mapping[str, int] | None = None,
    ) -> None:
        """Take over what the buffer is; `bind` gives it its storage. Both are for `__init__` and `reopen`."""
        self.spec, self.num_lanes, self.capacity, self.guard_ticks = spec, num_lanes, capacity_ticks, guard_ticks
        self.shapes, self.device, self.placement = shapes, device, placement
        self.min_rows = dict(min_rows or {})
        self.lock = threading.Lock()

    @staticmethod
    def ring_shapes(
        spec: StreamSpec, num_lanes: int, ticks: int, shapes: Sequence[WindowShape], min_rows: Mapping[str, int]
    ) -> dict[str, RingShape]:
        """Return the rings that such a buffer consists of."""
        longest = max((shape.length for shape in shapes), default=1)
        rings = {"ticks": TickRing.shape_of(num_lanes, ticks, longest, len(spec.sensors), spec.action_size)}
        for at, sensor in enumerate(spec.sensors):
            parts = row_shapes(spec, sensor, num_lanes, ticks, longest, min_rows.get(sensor.name, 0))
            rings |= {f"sensor{at}.{part}": ring for part, ring in parts.items()}
        return rings

    def bind(self, rings: dict[str, SlotRing]) -> None:
        """Build all tables over the storage."""
        self.rings, lanes = rings, self.num_lanes
        self.storage_device = rings["ticks"].memory.device
        horizons = [shape.horizon for shape in self.shapes]
        self.table = EpisodeTable(lanes, self.capacity, horizons)
        self.indices = {shape: WindowIndex(shape, self.table, self.guard_ticks) for shape in self.shapes}
        done = LaneCounter(lanes, self.storage_device, host=self.table.count)
        self.ticks = TickRing(rings["ticks"], len(self.spec.sensors), done)
        pin = self.device.type == "cuda" and self.storage_device.type == "cpu"
        self.rows = bind_rows(self.spec, rings, self.capacity, pin)
        self._everyone = np.arange(lanes)

    @property
    def num_bytes(self) -> int:
        """Bytes of all rings."""
        return sum(ring.shape.num_bytes for ring in self.rings.values())

    @property
    def num_ticks(self) -> int:
        """Lane-ticks ever appended."""
        return int(self.table.count.sum())

    @property
    def row_count(self) -> dict[str, np.ndarray]:
        """Rows ever stored, ``(N,)`` per sensor."""
        return {name: ring.count for name, ring in self.rows.items()}

    @property
    def num_overflow_rows(self) -> dict[str, int]:
        """Rows per sensor that no tick shows: beyond what a tick reads, or overwritten while their tick is stored."""
        return {name: ring.num_overflow for name, ring in self.rows.items()}

    def num_legal(self, shape: WindowShape) -> int:
        """Windows of ``shape`` that can be drawn now."""
        with self.lock:
            return self.indices[shape].num_legal

    def append(self, tick: Tick) -> None:
        """Store one tick of its lanes: rows first, then the counters that make them visible."""
        lanes = tick.lanes
        if not len(lanes):
            return
        self.placement.touched()
        count = self.table.count[lanes]
        whole = len(lanes) == self.num_lanes and bool((lanes == self._everyone).all())
        self.ticks.begun.set(lanes, count + 1)
        newest = []
        for name, ring in self.rows.items():
            ring.append(lanes, whole, count, tick.rows[name], tick.fresh[name], tick.age_s[name])
            newest.append(ring.count[lanes] - 1)
        since = count - self.table.start_of(lanes, tick.is_first)
        flags = tick.terminated + 2 * tick.truncated.astype(np.int32)
        alike = whole and bool((count == count[0]).all())
        where = (slice(None), int(count[0]) % self.capacity) if alike else (lanes, count % self.capacity)
        self.ticks.write(*where, since, flags, newest, tick.reward, tick.action)
        with self.lock:
            self.table.append(lanes, tick.is_first)
            self.ticks.done.sync()

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

    def gather(self, lanes: Tensor, ends: Tensor, length: int, offsets: Sequence[int] | None = None) -> Windows:
        """Gather windows of ``length`` ticks that end at ``ends`` of ``lanes``; ``(B,)`` int64.

        Ticks before the episode of the end, and ticks and rows that are no longer or not yet stored, come masked; a
        window whose end is not stored, wholly.

        Args:
            lanes: lane of each window.
            ends: its last tick.
            length: L.
            offsets: only these ticks of the window, ascending from above ``-length`` to 0, the end; L is then their
                number. An image sensor has a frame for each of them.
        """
        lanes, ends = lanes.to(self.storage_device), ends.to(self.storage_device)
        seen = self.ticks.see(lanes, ends, length, offsets)
        moved = seen.valid & (seen.since != 0)
        rows: dict[str, Rows] = {}
        frames: dict[str, Frames] = {}
        for at, (name, ring) in enumerate(self.rows.items()):
            found = ring.gather(seen, seen.newest[..., at])
            if isinstance(found, Frames):
                frames[name] = found
            else:
                rows[name] = found
        windows = Windows(
            rows=rows,
            frames=frames,
            action=clear(seen.action, moved),
            action_mask=moved,
            reward=clear(seen.reward, moved),
            terminated=seen.terminated & moved,
            valid=seen.valid,
            tick=seen.tick,
            start=seen.start,
            lane=lanes,
        )
        return windows if self.device == self.storage_device else windows.to(self.device)

    def persist(self, key: str) -> None:
        """Make what is stored on disk whole, under a content ``key`` of the caller; the next append unmakes it.

        Raises:
            BufferFullError: the storage is not ``disk``, or the disk refuses.
        """
        disk.persist(self, key)

    @classmethod
    def reopen(cls, folder: Path | str, key: str, device: torch.device | str = "cpu") -> StreamBuffer:
        """Open what `persist` left in ``folder`` if its key is ``key``; what is appended stays in memory.

        Raises:
            BufferFullError: there is none, it is of another key, or its files are not whole; the reason is named.
        """
        return disk.reopen(cls, Path(folder), key, torch.device(device))
