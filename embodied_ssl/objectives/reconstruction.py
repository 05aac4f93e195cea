"""Sensor reconstruction: the recent readings must be readable from the embedding."""

from __future__ import annotations

from torch import Tensor, nn

from embodied_ssl.errors import ConfigError
from embodied_ssl.objectives.base import OBJECTIVES, Dims, Latents, Objective, change_error, sensor_mean


@OBJECTIVES.register("sensor_reconstruction")
class SensorReconstruction(Objective):
    """Decode the clean standardised rows of the last ticks linearly from the embedding of a jittered view.

    The plainest form of sensor modelling: a denoising autoencoder over the newest ``num_ticks`` ticks. The decoder is
    linear on purpose, so that what is in the window (velocity in positions) stays linearly readable.
    """

    def __init__(self, dims: Dims, num_ticks: int = 8, change_weight: float = 1.0) -> None:
        """Build the linear decoder.

        Args:
            dims: sizes.
            num_ticks: how many ticks back, at most the context.
            change_weight: weight of the error in the change from tick to tick beside that of the levels.
        """
        super().__init__(dims)
        if not dims.readings_dim:
            raise ConfigError(
                "sensor_reconstruction needs a vector sensor and this stream has pictures only; "
                "fix: --objectives.sensor_reconstruction null"
            )
        if not 1 <= num_ticks <= dims.context_ticks:
            raise ConfigError(
                f"sensor_reconstruction.num_ticks is {num_ticks}, expected 1 to the context ({dims.context_ticks})"
            )
        self.num_ticks, self.change_weight = num_ticks, change_weight
        self.decoder = nn.Linear(dims.features_dim, num_ticks * dims.readings_dim)

    def forward(self, latents: Latents, draws: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean over sensors of the squared error of levels and changes, and the parts."""
        first = self.dims.context_ticks - self.num_ticks
        # (B, P, num_ticks, S): the last ticks of each position, as a view.
        recent = latents.readings[:, first:].unfold(1, self.num_ticks, 1).transpose(2, 3)
        present = latents.readings_mask[:, first:].unfold(1, self.num_ticks, 1).transpose(2, 3)
        present = present & latents.valid[..., None, None]
        decoded = self.decoder(latents.online).view(recent.shape)
        error = (decoded - recent).square()
        level = sensor_mean(error, present, self.dims.sensor_dims)
        change = sensor_mean(*change_error(decoded, recent, present), self.dims.sensor_dims)
        newest = sensor_mean(error[:, :, -1], present[:, :, -1], self.dims.sensor_dims)
        return level + self.change_weight * change, {"level": level, "change": change, "newest": newest}
