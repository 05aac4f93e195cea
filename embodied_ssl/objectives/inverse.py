"""Inverse dynamics: which action led from one embedding to the next?"""

from __future__ import annotations

import torch
from torch import Tensor

from embodied_ssl.objectives.base import OBJECTIVES, Dims, Latents, Objective, masked_mean, mlp


@OBJECTIVES.register("inverse_dynamics")
class InverseDynamics(Objective):
    """Read the action of a tick from the latent difference ``z_{t+1} - z_t``, mean squared error.

    Source: Delta-JEPA (arXiv 2606.31232), action from displacement. Deviation: our encoder may see past actions, so
    an embedding could carry the answer itself; the loss counts only windows whose actions were hidden from the
    online encoder (`Latents.action_hidden`).
    """

    def __init__(self, dims: Dims, hidden_dim: int = 256) -> None:
        """Build the read-out."""
        super().__init__(dims)
        self.readout = mlp(dims.features_dim, hidden_dim, dims.action_size)

    def forward(self, latents: Latents, draws: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and ``r2``, the share of the actions' variance that is read."""
        difference = latents.online[:, 1:] - latents.online[:, :-1]
        action = latents.action[:, self.dims.context_ticks :]
        moved = latents.action_mask[:, self.dims.context_ticks :]
        counted = (moved & latents.valid[:, :-1] & latents.action_hidden[:, None])[..., None].expand_as(action)
        error = (self.readout(difference) - action).square()
        loss = masked_mean(error, counted)
        mean = (action * counted).sum((0, 1)) / counted.sum((0, 1)).clamp(min=1)
        variance = masked_mean((action - mean).square(), counted)
        return loss, {"r2": torch.where(variance > 0, 1 - loss.detach() / variance.clamp(min=1e-9), 0.0)}
