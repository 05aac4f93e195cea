"""TorchRL's slice sampler on LazyTensorStorage(ndim=2). It reads whole spans; the ticks asked are picked after."""

# pyright: reportMissingImports=false
# (TorchRL lives in another environment)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensordict
import torch
import torchrl
from buffer_workload import Case
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, ReplayBuffer, SliceSampler

__all__ = ["System"]


class System:
    """`ReplayBuffer(LazyTensorStorage(ndim=2), SliceSampler)`."""

    def __init__(self, case: Case) -> None:
        """Allocate; the storage does so at the first add."""
        self.case = case
        self.buffer = ReplayBuffer(
            storage=LazyTensorStorage(case.capacity_ticks * case.lanes, ndim=2),
            sampler=SliceSampler(slice_len=case.span, end_key="done"),
            batch_size=case.batch * case.span,
            dim_extend=0,
        )
        self.pick = torch.tensor(case.offsets) - case.offsets[0]

    def add(self, keys: dict[str, np.ndarray], reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        """Extend by one tick of all lanes."""
        rows = {name: torch.from_numpy(value)[None] for name, value in keys.items()}
        rows |= {"reward": torch.from_numpy(reward)[None, :, None], "done": torch.from_numpy(done)[None, :, None]}
        self.buffer.extend(TensorDict(rows, [1, self.case.lanes]))

    def sync(self) -> None:
        """Nothing is under way."""

    def sample(self) -> Any:
        """Sample spans and keep the ticks asked."""
        spans = self.buffer.sample().view(-1, self.case.span)
        return spans if len(self.pick) == self.case.span else spans[:, self.pick]

    def kernels(self) -> list[Callable[[], Any]]:
        """Return the one way there is."""
        return [self.sample]

    def marks(self, batch: Any) -> np.ndarray:
        """Return the marks."""
        return batch[self.case.marks][:, :, :2].numpy()

    def versions(self) -> dict[str, str]:
        """Return versions."""
        return {"torchrl": torchrl.__version__, "tensordict": tensordict.__version__, "torch": torch.__version__}
