"""Our buffer under the benchmark's workloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from buffer_workload import Case

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

__all__ = ["System"]


class System:
    """A `StreamBuffer` whose sensors are the keys of the case."""

    def __init__(self, case: Case) -> None:
        """Allocate."""
        self.case, self.lanes = case, np.arange(case.lanes)
        sensors = [(name, kind) for name, kind in case.keys.items() if name != "action"]
        self.spec = StreamSpec(
            tuple(SensorSpec(name, "any", shape, dtype) for name, (shape, dtype) in sensors),
            action_size=case.keys["action"][0][0],
            control_hz=20.0,
        )
        self.shape = WindowShape(1, case.span - 1)
        self.buffer = StreamBuffer(self.spec, case.lanes, case.capacity_ticks, (self.shape,))
        self.fresh = dict.fromkeys((s.name for s in self.spec.sensors), np.ones((case.lanes, 1), bool))
        self.age = dict.fromkeys((s.name for s in self.spec.sensors), np.zeros((case.lanes, 1), np.float32))
        self.never, self.rng = np.zeros(case.lanes, bool), np.random.default_rng(0)
        self.offsets = None if len(case.offsets) == case.span else case.offsets

    def add(self, keys: dict[str, np.ndarray], reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        """Append one tick."""
        rows = {name: keys[name][:, None] for name in self.fresh}
        tick = Tick(self.lanes, rows, self.fresh, self.age, keys["action"], reward, first, done, self.never)
        self.buffer.append(tick)

    def sync(self) -> None:
        """Nothing is under way."""

    def sample(self) -> Any:
        """Draw and gather a batch, masks and ages included."""
        lanes, ends = self.buffer.draw(self.shape, self.case.batch, self.rng)
        return self.buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), self.case.span, self.offsets)

    def kernels(self) -> list[Callable[[], Any]]:
        """Return the one way there is."""
        return [self.sample]

    def marks(self, windows: Any) -> np.ndarray:
        """Return the marks; a masked tick has none."""
        rows = windows.rows[self.case.marks]
        return np.where(rows.mask[..., None].numpy(), rows.values.numpy(), -1)[:, :, 0, :2]

    def versions(self) -> dict[str, str]:
        """Return versions."""
        return {"torch": torch.__version__}
