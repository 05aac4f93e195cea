"""Running standardisation of a vector sensor, as tensors that live and travel with the encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardizer(nn.Module):
    """Mean and variance of every value of a sensor, merged batch by batch.

    Chan, Golub & LeVeque's parallel update of Welford's sums. ``count`` is capped, so the statistics keep
    following a drifting sensor slowly instead of freezing.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...], max_count: float = 1e6, limit: float = 10.0) -> None:
        """Start as the identity.

        Args:
            shape: shape of one row.
            max_count: rows after which the statistics become an exponential average over about that many.
            limit: standardised values are clipped to [-limit, limit].
        """
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.register_buffer("count", torch.zeros(()))
        self.max_count, self.limit = max_count, limit

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values (..., *shape)`` standardised."""
        return ((values - self.mean) * (self.variance + 1e-6).rsqrt()).clamp(-self.limit, self.limit)

    def inverse(self, standardized: Tensor) -> Tensor:
        """Return values in sensor units."""
        return standardized * (self.variance + 1e-6).sqrt() + self.mean

    @torch.no_grad()
    def update(self, values: Tensor, mask: Tensor) -> None:
        """Merge rows ``(..., *shape)`` where ``mask (...)``; a batch with no row changes nothing."""
        dims = tuple(range(mask.dim()))
        weight = mask.to(values.dtype).view(*mask.shape, *[1] * self.mean.dim())
        num = weight.sum()
        mean = (values * weight).sum(dims) / num.clamp(min=1)
        variance = ((values - mean).square() * weight).sum(dims) / num.clamp(min=1)
        share = num / (self.count + num).clamp(min=1)
        delta = mean - self.mean
        # One row in all has no spread: the unit variance stands in for it, and is not merged.
        before = torch.where(self.count > 1, self.variance, torch.zeros_like(self.variance))
        merged = before * (1 - share) + variance * share + delta.square() * share * (1 - share)
        self.variance.copy_(torch.where(self.count + num > 1, merged, self.variance))
        self.mean.add_(delta * share)
        self.count.copy_((self.count + num).clamp(max=self.max_count))
