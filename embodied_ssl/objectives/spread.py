"""Spread: keep every dimension of the embedding alive and different from the others."""

from __future__ import annotations

from torch import Tensor

from embodied_ssl.objectives.base import OBJECTIVES, Dims, Latents, Objective


@OBJECTIVES.register("spread")
class Spread(Objective):
    """Variance hinge and covariance penalty over all valid positions of the batch.

    ``mean_d max(0, 1 - std_d) + w * sum_{d != e} Cov_{de}^2 / D``.

    Source: VICReg, Bardes, Ponce & LeCun 2021 (arXiv 2105.04906), eq. 1 and 3. Deviation: no invariance term (other
    objectives hold views together), weights relative to the variance term.
    """

    def __init__(self, dims: Dims, covariance_weight: float = 0.04) -> None:
        """Keep the weight (the paper's 1 / 25)."""
        super().__init__(dims)
        self.covariance_weight = covariance_weight

    def forward(self, latents: Latents, draws: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and the smallest and mean standard deviation."""
        embedding = latents.online.flatten(0, 1)
        weight = latents.valid.flatten().to(embedding.dtype)
        total = weight.sum().clamp(min=2)
        mean = (embedding * weight[:, None]).sum(0) / total
        centred = (embedding - mean) * weight[:, None]
        covariance = centred.T @ centred / (total - 1)
        deviation = (covariance.diagonal() + 1e-4).sqrt()
        variance_loss = (1 - deviation).clamp(min=0).mean()
        square = covariance.square()
        covariance_loss = (square.sum() - square.diagonal().sum()) / covariance.shape[0]
        return variance_loss + self.covariance_weight * covariance_loss, {
            "std_min": deviation.min(),
            "std_mean": deviation.mean(),
        }
