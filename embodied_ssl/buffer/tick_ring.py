"""The ticks of the buffer, one packed row each, and what a gather sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.lane_counter import LaneCounter
from embodied_ssl.buffer.slot_ring import Array, RingShape, SlotRing

_SINCE, _FLAGS, _NEWEST = 0, 1, 2  # words of a row; then one word a sensor, the reward, the action


@dataclass(frozen=True)
class Seen:
    """Ticks of windows as they were found.

    Attributes:
        lanes: ``(B,)`` int64.
        tick: ``(B, L)`` int64.
        low: ``(B, L)`` int32, the low words of ``tick``: differences of ticks are exact in them.
        in_a_row: the ticks are consecutive.
        valid: ``(B, L)`` bool: stored, and of the episode of the window's end.
        start: ``(B,)`` int64: first tick of that episode.
        since: ``(B, L)`` int32: ticks since the start of each tick's own episode.
        newest: ``(B, L, S)`` int32: low word of the number of each sensor's newest row.
        terminated: ``(B, L)`` bool, as stored, like the two below.
        reward: ``(B, L)`` float32.
        action: ``(B, L, A)`` float32.
    """

    lanes: Tensor
    tick: Tensor
    low: Tensor
    in_a_row: bool
    valid: Tensor
    start: Tensor
    since: Tensor
    newest: Tensor
    terminated: Tensor
    reward: Tensor
    action: Tensor


class TickRing:
    """Per tick: ticks since the episode's start, flags, the newest row of every sensor, reward and action.

    Packed into one row of 32-bit words, so that a window of ticks is one copy.
    """

    def __init__(self, ring: SlotRing, num_sensors: int, done: LaneCounter) -> None:
        """Bind a ring of `row_words`; ``done`` counts the ticks that may be read."""
        self.ring, self.capacity = ring, ring.shape.slots
        self.done = done
        self.begun = LaneCounter(ring.shape.lanes, ring.memory.device)
        self._reward = _NEWEST + num_sensors
        self._back: dict[int | tuple[int, ...], Tensor] = {}

    @staticmethod
    def shape_of(lanes: int, ticks: int, run: int, num_sensors: int, action_size: int) -> RingShape:
        """Return the shape of the ring."""
        return RingShape(lanes, ticks, min(run, ticks), (_NEWEST + num_sensors + 1 + action_size,), "int32")

    def write(
        self,
        lanes: np.ndarray | slice,
        slots: np.ndarray | int,
        since: np.ndarray,
        flags: np.ndarray,
        newest: list[np.ndarray],
        reward: Array,
        action: Array,
    ) -> None:
        """Write one tick of each of ``lanes``; reward and action may be tensors of any device."""
        words = np.empty((len(since), self.ring.shape.row[0]), np.int32)
        words[:, _SINCE] = since
        words[:, _FLAGS] = flags
        for at, number in enumerate(newest, start=_NEWEST):
            words[:, at] = number
        self.ring.write(lanes, slots, self._complete(words, reward, action))

    def _complete(self, words: np.ndarray, reward: Array, action: Array) -> Array:
        """Put reward and action behind the integers: on the host, or on the device where they may be already."""
        device, at = self.ring.memory.device, self._reward
        if device.type == "cpu" and isinstance(reward, np.ndarray) and isinstance(action, np.ndarray):
            floats = words.view(np.float32)
            floats[:, at], floats[:, at + 1 :] = reward, action
            return words
        rows = torch.from_numpy(words).to(device)
        values = rows.view(torch.float32)
        values[:, at], values[:, at + 1 :] = (
            torch.as_tensor(reward, device=device),
            torch.as_tensor(action, device=device),
        )
        return rows

    def _ticks_back(self, length: int, offsets: Sequence[int] | None) -> Tensor:
        key = length if offsets is None else tuple(offsets)
        if key not in self._back:
            ticks = list(range(1 - length, 1)) if offsets is None else list(offsets)
            if not ticks or ticks[-1] != 0 or ticks[0] <= -length or any(np.diff(ticks) <= 0):
                raise ValueError(f"offsets are {ticks}, expected ascending ticks from above {-length} to 0")
            self._back[key] = torch.tensor(ticks, device=self.ring.memory.device)
        return self._back[key]

    def see(self, lanes: Tensor, ends: Tensor, length: int, offsets: Sequence[int] | None = None) -> Seen:
        """Read the ``length`` ticks up to ``ends``, or those at ``offsets`` from them.

        What a writer touched meanwhile is not valid.
        """
        back, in_a_row = self._ticks_back(length, offsets), offsets is None
        done = self.done.of(lanes)
        tick = ends[:, None] + back
        words = self._read(lanes, tick, in_a_row)
        oldest = self.begun.of(lanes) - self.capacity
        start = ends - words[:, -1, _SINCE]
        # A window whose end is not there shows nothing, for the end's row says where its episode starts.
        there = (ends < done) & (ends >= oldest)
        first = torch.where(there, torch.maximum(start, oldest), torch.iinfo(torch.int64).max)
        floats = words.view(torch.float32)
        return Seen(
            lanes=lanes,
            tick=tick,
            low=tick.int(),
            in_a_row=in_a_row,
            valid=tick >= first[:, None],
            start=start,
            since=words[..., _SINCE],
            newest=words[..., _NEWEST : self._reward],
            terminated=(words[..., _FLAGS] & 1).bool(),
            reward=floats[..., self._reward],
            action=floats[..., self._reward + 1 :],
        )

    def _read(self, lanes: Tensor, tick: Tensor, in_a_row: bool) -> Tensor:
        length = tick.shape[1]
        if in_a_row and length <= self.ring.shape.run:
            return self.ring.take(lanes, tick[:, 0].remainder(self.capacity), length)
        return self.ring.take(lanes[:, None], tick.remainder(self.capacity))[:, :, 0]
