"""Sensor reconstruction: the recent readings must be readable from the embedding."""

from __future__ import annotations

from torch import Tensor, nn

from embodied_ssl.errors import ConfigError
from embodied_ssl.objectives.base import OBJECTIVES, Dims, Latents, Objective, masked_mean


@OBJECTIVES.register("sensor_reconstruction")
class SensorReconstruction(Objective):
    """Decode the clean standardised rows of the last ticks linearly from the embedding of a jittered view.

    The plainest form of sensor modelling: a denoising autoencoder over the newest ``num_ticks`` ticks. The decoder is
    linear on purpose, so that what is in the window (velocity in positions) stays linearly readable.
    """

    def __init__(self, dims: Dims, num_ticks: int = 8) -> None:
        """Build the linear decoder.

        Args:
            dims: sizes.
            num_ticks: how many ticks back, at most the context.
        """
        super().__init__(dims)
        if not 1 <= num_ticks <= dims.context_ticks:
            raise ConfigError(
                f"sensor_reconstruction.num_ticks is {num_ticks}, expected 1 to the context ({dims.context_ticks})"
            )
        self.num_ticks = num_ticks
        self.decoder = nn.Linear(dims.features_dim, num_ticks * dims.readings_dim)

    def forward(self, latents: Latents, draws: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean squared error over rows that arrived, and that of the newest tick alone."""
        first = self.dims.context_ticks - self.num_ticks
        # (B, P, S, num_ticks): the last ticks of each position, as a view.
        recent = latents.readings[:, first:].unfold(1, self.num_ticks, 1)
        present = latents.readings_mask[:, first:].unfold(1, self.num_ticks, 1)
        present = present & latents.valid[..., None, None]
        decoded = self.decoder(latents.online).view(*latents.online.shape[:2], self.dims.readings_dim, self.num_ticks)
        error = (decoded - recent).square()
        return masked_mean(error, present), {"newest": masked_mean(error[..., -1], present[..., -1])}
