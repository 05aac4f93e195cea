"""Long-term memory: segments copied out of a ring before they are overwritten, in slots.

The slots are the lanes of a `StreamBuffer`; keeping a segment is appending it as a new episode of its slot's lane, so
windows of it come out of the same gather as those of the ring.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.sampling.keep_random import Keeper
from embodied_ssl.buffer.sampling.sampler import Ends
from embodied_ssl.buffer.sampling.segment_copy import ticks_of
from embodied_ssl.buffer.sampling.segment_cutter import SegmentCutter, Segments
from embodied_ssl.buffer.sampling.segment_features import Features, reading_statistics
from embodied_ssl.buffer.segments import export_since, import_rows, load_tables, tables_state
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.errors import BufferFullError


class Reservoir:
    """Slots of segments; a sampler like any other, uniform over the windows that lie whole in a segment.

    Such a window is the one that the ring would have given, value for value (ages to a rounding): context that the
    segment has lost would show as missing, so windows that reach for it are left out.
    """

    def __init__(
        self,
        ring: StreamBuffer,
        shape: WindowShape,
        num_slots: int,
        segment_ticks: int,
        keeper: Keeper,
        guard_ticks: int = 0,
        features: Features = reading_statistics,
    ) -> None:
        """Allocate the slots beside ``ring``.

        Args:
            ring: what is recent.
            shape: of the windows.
            num_slots: segments kept.
            segment_ticks: ticks of a segment; more than a window, at most a third of the ring.
            keeper: which segments to keep.
            guard_ticks: oldest ticks of the ring that a writer may be overwriting.
            features: what a segment is like, for keepers that ask.

        Raises:
            BufferFullError: the lengths do not fit, or memory is too small.
        """
        if not shape.length < segment_ticks <= ring.capacity // 3:
            raise BufferFullError(
                f"segments have {segment_ticks} ticks, expected more than a window ({shape.length}) and at most a "
                f"third of the ring ({ring.capacity // 3})"
            )
        self.ring, self.shape, self.keeper, self.features = ring, shape, keeper, features
        self.cutter = SegmentCutter(ring, shape, segment_ticks, guard_ticks)
        self.buffer = StreamBuffer(ring.spec, num_slots, segment_ticks, (shape,), ring.device)
        self._low = np.zeros(num_slots, np.int64)  # legal ends of a slot are [low, high)
        self._high = np.zeros(num_slots, np.int64)

    @property
    def num_slots(self) -> int:
        """Segments that fit."""
        return self.buffer.num_lanes

    @property
    def num_kept(self) -> int:
        """Segments that are there."""
        return int((self._high > self._low).sum())

    def take_in(self, rng: np.random.Generator) -> int:
        """Look at what is about to leave the ring and keep of it what the keeper wants; call it every few ticks.

        Returns:
            The number of segments copied.
        """
        with self.ring.lock:
            segments = self.cutter.due()
        if not len(segments):
            return 0
        windows = self._gather(segments) if self.keeper.wants_features else None
        features = None if windows is None else self.features(windows)
        slots = self.keeper.place(len(segments), features, rng)
        # Of several that take one slot the last one stays; np.unique keeps the first, so it reads backwards.
        kept, back = np.unique(slots[::-1], return_index=True)
        chosen = len(slots) - 1 - back[kept >= 0]
        if len(chosen):
            self._copy(segments[chosen], slots[chosen])
        return len(chosen)

    def _gather(self, segments: Segments) -> Windows:
        lanes, last = (torch.from_numpy(a).to(self.ring.device) for a in (segments.lanes, segments.last))
        return self.ring.gather(lanes, last, self.cutter.segment_ticks)

    def _copy(self, segments: Segments, slots: np.ndarray) -> None:
        windows = self._gather(segments)
        lengths = segments.last - segments.first + 1
        for tick in ticks_of(windows, slots, lengths):
            self.buffer.append(tick)
        self._high[slots] = self.buffer.newest(slots) + 1
        self._low[slots] = self._high[slots] - (segments.last - segments.low + 1)
        # A tick that a writer overwrote meanwhile was read as masked: such a segment is of no use.
        inside = np.arange(windows.valid.shape[1]) >= windows.valid.shape[1] - lengths[:, None]
        torn = (inside & ~windows.valid.cpu().numpy()).any(axis=1)
        self._low[slots[torn]] = self._high[slots[torn]]
        self.cutter.num_missed += lengths[torn].sum()

    def draw(self, num_windows: int, rng: np.random.Generator, windows_per_episode: int = 1) -> Ends:
        """Draw slots and ends ``(B,)`` in groups of one segment, with replacement.

        Raises:
            BufferFullError: nothing is kept yet.
        """
        ahead = np.cumsum(self._high - self._low)
        if ahead[-1] == 0:
            raise BufferFullError("the long-term memory holds no segment yet; draw when num_kept is above 0")
        pick = rng.integers(ahead[-1], size=num_windows // windows_per_episode)
        slots = np.repeat(np.searchsorted(ahead, pick, side="right"), windows_per_episode)
        return slots, rng.integers(self._low[slots], self._high[slots])

    def episodes(self, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the slots: each holds one segment, which counts as an episode."""
        return lanes

    def weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return slots and ends of every window, and ones."""
        counts = self._high - self._low
        slots = np.repeat(np.arange(self.num_slots), counts)
        within = np.arange(len(slots)) - np.repeat(np.cumsum(counts) - counts, counts)
        return slots, self._low[slots] + within, np.ones(len(slots))

    def state(self) -> dict[str, Tensor]:
        """Return everything, rows too, for an exact restore."""
        nothing = np.zeros(self.num_slots, np.int64)
        rows = export_since(self.buffer, nothing, dict.fromkeys(self.buffer.row_count, nothing))
        arrays = {"low": self._low, "high": self._high, "cursor": self.cutter.cursor, "missed": self.cutter.num_missed}
        arrays |= {f"keeper.{name}": array for name, array in self.keeper.state().items()}
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        tensors |= {f"tables.{name}": tensor for name, tensor in tables_state(self.buffer).items()}
        return tensors | {f"rows.{name}": tensor for name, tensor in rows.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore `state` into a reservoir of the same sizes."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        load_tables(self.buffer, part("tables."))
        import_rows(self.buffer, part("rows."))
        self.keeper.load_state({name: tensor.numpy() for name, tensor in part("keeper.").items()})
        self._low[:], self._high[:] = tensors["low"].numpy(), tensors["high"].numpy()
        self.cutter.cursor[:] = tensors["cursor"].numpy()
        self.cutter.num_missed[:] = tensors["missed"].numpy()
