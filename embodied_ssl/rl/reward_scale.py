"""A running standard deviation of rewards, kept on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MEMORY_BATCHES = 1000  # plain average up to here, a slow moving one after: the scale settles, and can follow
SMALLEST_STD = 1e-6


class RewardScale(NamedTuple):
    """Moments of the reward, scalars: so that one set of hyperparameters serves robots of any reward unit.

    Only the spread is divided out, never the mean taken off: a shift would change which policy is best where episodes
    terminate.
    """

    num_batches: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def new(cls, device: torch.device) -> RewardScale:
        """Return moments that have seen nothing."""
        return cls(*(torch.zeros((), device=device) for _ in cls._fields))

    def after(self, reward: Tensor, mask: Tensor) -> RewardScale:
        """Return the moments after a batch ``(B,)`` of rewards; unchanged when none of them is legal."""
        weight = mask / mask.sum().clamp_min(1.0)
        mean = (weight * reward).sum()
        variance = (weight * (reward - mean).square()).sum()
        num_batches = self.num_batches + (mask.sum() > 0)
        share = (mask.sum() > 0) / num_batches.clamp(1.0, MEMORY_BATCHES)
        delta = mean - self.mean
        spread = self.variance + share * (variance + (1.0 - share) * delta.square() - self.variance)
        return RewardScale(num_batches.clamp_max(MEMORY_BATCHES), self.mean + share * delta, spread)

    def std(self) -> Tensor:
        """Return the standard deviation, 1 as long as all rewards were equal."""
        std = self.variance.sqrt()
        return torch.where(std > SMALLEST_STD, std, 1.0)
