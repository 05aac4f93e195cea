"""What a batch is made of: a share of the ring and a share of the long-term memory, in groups of one episode."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from embodied_ssl.buffer.sampling.distinct import draw_distinct
from embodied_ssl.buffer.sampling.reservoir import Reservoir
from embodied_ssl.buffer.sampling.sampler import Ends, Sampler
from embodied_ssl.buffer.windows import Frames, Rows, Windows


@dataclass(frozen=True)
class Picked:
    """The windows of a batch.

    Attributes:
        recent: lanes and ends of windows of the ring.
        kept: slots and ends of windows of the memory; None when it gives none.
        kept_first: whether those of the memory come first in the batch. What comes first has cameras, where only so
            many frames are encoded, so each tier comes first as often as it has windows.
    """

    recent: Ends
    kept: Ends | None = None
    kept_first: bool = False


class WindowSource:
    """Picks batches from a ring and, when there is one, a long-term memory.

    The memory's share grows with the number of its slots that are filled, so that the first few segments are not
    learned by heart.
    """

    def __init__(
        self, sampler: Sampler, distinct_episodes: bool = False, reservoir: Reservoir | None = None, share: float = 0.5
    ) -> None:
        """Bind.

        Args:
            sampler: over the ring.
            distinct_episodes: whether no two groups of a tier are of one episode, while there are enough.
            reservoir: the long-term memory.
            share: of a batch that comes from a full memory, in [0, 1].
        """
        self.sampler, self.distinct_episodes = sampler, distinct_episodes
        self.reservoir, self.share = reservoir, share

    def pick(self, num_windows: int, windows_per_episode: int, rng: np.random.Generator) -> Picked:
        """Pick B windows in groups of one episode; first let the memory take in what leaves the ring.

        Raises:
            BufferFullError: there is no legal window yet.
        """
        num_kept = 0
        if self.reservoir is not None:
            self.reservoir.take_in(rng)
            filled = self.reservoir.num_kept / self.reservoir.num_slots
            num_kept = round(num_windows // windows_per_episode * self.share * filled) * windows_per_episode
        recent = self._draw(self.sampler, num_windows - num_kept, windows_per_episode, rng)
        if self.reservoir is None or num_kept == 0:
            return Picked(recent)
        kept = self._draw(self.reservoir, num_kept, windows_per_episode, rng)
        return Picked(recent, kept, bool(rng.random() < num_kept / num_windows))

    def _draw(self, sampler: Sampler, num_windows: int, per_episode: int, rng: np.random.Generator) -> Ends:
        if num_windows == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if self.distinct_episodes:
            return draw_distinct(sampler, num_windows, rng, per_episode)
        return sampler.draw(num_windows, rng, per_episode)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors of an exact restore; nothing without a memory."""
        return {} if self.reservoir is None else self.reservoir.state()

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        """Restore `state`."""
        if self.reservoir is not None:
            self.reservoir.load_state(tensors)


def join_tiers(recent: Windows, kept: Windows, num_lanes: int, kept_first: bool) -> Windows:
    """Return one batch of the windows of both tiers; lanes of the memory follow those of the ring.

    Args:
        recent: of the ring.
        kept: of the memory, of the same length and sensors.
        num_lanes: of the ring.
        kept_first: which windows come first.
    """
    kept = dataclasses.replace(kept, lane=kept.lane + num_lanes)
    parts = (kept, recent) if kept_first else (recent, kept)

    def join(of: type, first: object, second: object) -> dict[str, torch.Tensor]:
        names = [field.name for field in dataclasses.fields(of)]
        pairs = {name: (getattr(first, name), getattr(second, name)) for name in names}
        return {name: torch.cat(pair) for name, pair in pairs.items() if isinstance(pair[0], torch.Tensor)}

    first, second = parts
    return Windows(
        rows={name: Rows(**join(Rows, rows, second.rows[name])) for name, rows in first.rows.items()},
        frames={name: Frames(**join(Frames, frames, second.frames[name])) for name, frames in first.frames.items()},
        **join(Windows, first, second),
    )
