"""One table of the buffer: slots of ``N`` lanes, read in runs of consecutive slots, each run one block copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray | Tensor


@dataclass(frozen=True)
class RingShape:
    """What a ring holds.

    Attributes:
        lanes: N.
        slots: rows kept per lane, C.
        run: longest run of slots that is one block, at most ``slots``.
        row: shape of a row.
        dtype: numpy name of the type.
    """

    lanes: int
    slots: int
    run: int
    row: tuple[int, ...]
    dtype: str

    @property
    def stored(self) -> tuple[int, ...]:
        """Shape of the memory: a lane's slots one after the other, the first ``run - 1`` again behind the last."""
        return (self.lanes, self.slots + self.run - 1, *self.row)

    @property
    def num_bytes(self) -> int:
        """Bytes of the memory."""
        return int(np.prod(self.stored, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class SlotRing:
    """A ring of rows per lane; a run that goes round the end is still contiguous, for the first slots are kept twice.

    Row by row a gather of small rows is bound by the number of copies; by runs it is bound by the memory.
    """

    def __init__(self, shape: RingShape, memory: Tensor) -> None:
        """Bind ``memory`` of ``shape.stored``."""
        self.shape, self.memory = shape, memory
        self.stride = shape.slots + shape.run - 1
        # On the host rows are written through NumPy, whose calls cost a third of torch's.
        self._array = memory.numpy() if memory.device.type == "cpu" else None
        self._flat = memory.view(shape.lanes * self.stride, -1)
        self._runs: dict[int, Tensor] = {}

    def write(self, lanes: np.ndarray | slice, slots: np.ndarray | int, rows: Array) -> None:
        """Write ``rows (M, *row)`` to one slot of each of ``lanes``: a slot each, or the same of all lanes."""
        self._put(lanes, slots, rows)
        again = self.shape.run - 1
        if isinstance(slots, int):
            if slots < again:
                self._put(lanes, slots + self.shape.slots, rows)
        elif (twice := slots < again).any():
            places = np.flatnonzero(twice)
            lanes = np.arange(self.shape.lanes)[lanes]
            self._put(lanes[places], slots[places] + self.shape.slots, rows[places])

    def _put(self, lanes: np.ndarray | slice, slots: np.ndarray | int, rows: Array) -> None:
        if self._array is not None and isinstance(rows, np.ndarray):
            self._array[lanes, slots] = rows
            return
        at = tuple(
            torch.from_numpy(i).to(self.memory.device) if isinstance(i, np.ndarray) else i for i in (lanes, slots)
        )
        self.memory[at] = torch.as_tensor(rows).to(self.memory.device, non_blocking=True)

    def take(self, lanes: Tensor, slots: Tensor, run: int = 1, pin: bool = False) -> Tensor:
        """Read runs that begin at ``slots (...)`` of ``lanes (...)``.

        Args:
            lanes: int64, shaped as ``slots``.
            slots: int64 in ``[0, C)``.
            run: consecutive slots of one run, at most ``shape.run``.
            pin: return page-locked memory, from which a copy to a GPU does not wait.

        Returns:
            ``(..., run, *row)``.
        """
        first = torch.add(slots, lanes, alpha=self.stride).view(-1)
        blocks = self._blocks(run)
        out = None
        if pin:
            out = torch.empty((len(first), blocks.shape[1]), dtype=blocks.dtype, pin_memory=True)
        taken = torch.index_select(blocks, 0, first, out=out)
        return taken.view(*slots.shape, run, *self.shape.row)

    def _blocks(self, run: int) -> Tensor:
        """Return the view ``(places, run * width)`` in which the runs from every place overlap."""
        if run not in self._runs:
            places, width = self._flat.shape
            self._runs[run] = self._flat.as_strided((places - run + 1, run * width), (width, 1))
        return self._runs[run]
