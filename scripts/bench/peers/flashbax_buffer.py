"""flashbax's trajectory buffer, jitted, state donated. It knows no episodes: its windows may cross their ends."""

# pyright: reportMissingImports=false
# (flashbax and JAX live in another environment)
from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import flashbax
import jax
import numpy as np
from buffer_workload import Case

__all__ = ["System"]


class System:
    """`make_trajectory_buffer`, one add a tick."""

    def __init__(self, case: Case) -> None:
        """Allocate."""
        self.case, self.key = case, jax.random.PRNGKey(0)
        self.buffer = flashbax.make_trajectory_buffer(
            add_batch_size=case.lanes,
            sample_batch_size=case.batch,
            sample_sequence_length=case.span,
            period=1,
            min_length_time_axis=case.span,
            max_length_time_axis=case.capacity_ticks,
        )
        step = {name: np.zeros(shape, dtype) for name, (shape, dtype) in case.keys.items()}
        self.state = self.buffer.init(step | {"reward": np.zeros((), np.float32), "done": np.zeros((), bool)})
        pick = np.asarray(case.offsets) - case.offsets[0]
        whole = len(pick) == case.span
        self._add = jax.jit(self.buffer.add, donate_argnums=0)

        def sample(state: Any, key: Any) -> Any:
            spans = self.buffer.sample(state, key).experience
            return spans if whole else jax.tree.map(lambda value: value[:, pick], spans)

        self._sample = jax.jit(sample)

    def add(self, keys: dict[str, np.ndarray], reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        """Add one tick of all lanes."""
        rows = {name: value[:, None] for name, value in keys.items()}
        self.state = self._add(self.state, rows | {"reward": reward[:, None], "done": done[:, None]})

    def sync(self) -> None:
        """Wait for what is under way."""
        jax.block_until_ready(self.state)

    def sample(self) -> Any:
        """Sample spans and keep the ticks asked."""
        self.key, key = jax.random.split(self.key)
        return jax.block_until_ready(self._sample(self.state, key))

    def kernels(self) -> list[Callable[[], Any]]:
        """Return the one way there is."""
        return [self.sample]

    def marks(self, batch: Any) -> np.ndarray:
        """Return the marks."""
        return np.asarray(batch[self.case.marks])[:, :, :2]

    def versions(self) -> dict[str, str]:
        """Return versions."""
        return {"flashbax": metadata.version("flashbax"), "jax": jax.__version__}
