"""Where an update's batch comes from: made when it is asked for, or ahead in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from embodied_ssl.buffer.prefetch import Prefetch
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.learner.draws import Draws


class Batch(NamedTuple):
    """Gathered windows and every other random number of an update."""

    windows: Windows
    draws: Draws


class Batches(Protocol):
    """Gives batches one by one."""

    def next(self) -> Batch:
        """Return the next batch."""
        ...

    @property
    def rng_state(self) -> dict[str, Any]:
        """State of the generator after the batches given so far: from there a restored run goes on."""
        ...


class DirectBatches:
    """Makes a batch when it is asked for: what synchronous learning from a growing buffer needs."""

    def __init__(self, make: Callable[[], Batch], rng: np.random.Generator) -> None:
        """Bind the maker and the generator that it draws from."""
        self.next, self._rng = make, rng

    @property
    def rng_state(self) -> dict[str, Any]:
        """State of the generator."""
        return dict(self._rng.bit_generator.state)


class PrefetchedBatches:
    """Makes batches ahead; while it is open only its thread may use the generator."""

    def __init__(self, make: Callable[[], Batch], rng: np.random.Generator, device: torch.device) -> None:
        """Start making batches."""
        self._rng = rng
        self.rng_state: dict[str, Any] = dict(rng.bit_generator.state)
        self._ahead = Prefetch(lambda: (make(), dict(rng.bit_generator.state)), device)

    def next(self) -> Batch:
        """Return the next batch, as it would have been made without prefetching from a buffer that stands still."""
        batch, self.rng_state = self._ahead.next()
        return batch

    def close(self) -> None:
        """Stop, and set the generator back to after the last batch given."""
        self._ahead.close()
        self._rng.bit_generator.state = self.rng_state
