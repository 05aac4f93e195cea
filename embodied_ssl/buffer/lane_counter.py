"""What a writer has begun to write: asked after a gather, it tells which of the slots read may have changed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class LaneCounter:
    """A 64-bit number per lane, on the host and where the storage is.

    A writer advances it before it touches a slot. So a reader that first copies slots and then finds that the number
    of a slot is still within the ring of this counter has read what it asked for, whole.
    """

    def __init__(self, num_lanes: int, device: torch.device, host: np.ndarray | None = None) -> None:
        """Start at zero, or share ``host (N,)``."""
        self.host = np.zeros(num_lanes, np.int64) if host is None else host
        self._shared = device.type == "cpu"
        self.there: Tensor = torch.from_numpy(self.host) if self._shared else torch.from_numpy(self.host).to(device)

    def set(self, lanes: np.ndarray | slice, values: np.ndarray) -> None:
        """Write new numbers of ``lanes``."""
        self.host[lanes] = values
        self.sync()

    def sync(self) -> None:
        """Send the host's numbers to the storage, in the order of what is written there."""
        if not self._shared:
            self.there.copy_(torch.from_numpy(self.host), non_blocking=False)

    def of(self, lanes: Tensor) -> Tensor:
        """Return the numbers ``(B,)`` of ``lanes`` now."""
        return self.there.index_select(0, lanes)
