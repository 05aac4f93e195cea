"""Forward prediction: roll the embedding forward under the actions taken, and be right in two spaces."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embodied_ssl.errors import ConfigError
from embodied_ssl.objectives.base import (
    OBJECTIVES,
    Dims,
    Latents,
    Objective,
    change_error,
    masked_mean,
    mlp,
    sensor_mean,
)


@OBJECTIVES.register("forward_prediction")
class ForwardPrediction(Objective):
    """An H-step action-conditioned rollout ``z_{h+1} = z_h + g(z_h, a_{h+1})`` with two targets.

    At every step the standardised sensor readings and their change since the step before (mean squared error, every
    sensor counting the same), and the stop-gradient EMA embedding
    (``1 - cos``) at every step of at least C / 2: nearer embeddings share most of their input rows with the anchor
    and could be matched by copying.

    Source: the rollout and the cosine to an EMA target follow SPR, Schwarzer et al. 2020 (arXiv 2007.05929), eq. 2-5.
    Deviations: a residual MLP on vectors instead of convolutions, no projection between rollout and target beyond a
    linear predictor, and the sensor targets, without which latent losses alone fell below a random encoder.
    """

    def __init__(
        self,
        dims: Dims,
        num_anchors: int = 2,
        hidden_dim: int = 256,
        latent_weight: float = 0.5,
        change_weight: float = 0.3,
    ) -> None:
        """Build transition, predictor and sensor head.

        Args:
            dims: sizes.
            num_anchors: rollouts per window, evenly spaced; later ones see fewer steps.
            hidden_dim: width of the transition.
            latent_weight: weight of the latent term beside 1 for the levels of the readings.
            change_weight: weight of the error in the readings' change from step to step.
        """
        super().__init__(dims)
        if not 1 <= num_anchors <= dims.num_positions:
            raise ConfigError(f"forward_prediction.num_anchors is {num_anchors}, expected 1 to {dims.num_positions}")
        self.min_gap = math.ceil(dims.context_ticks / 2)
        self.latent_weight, self.change_weight = latent_weight, change_weight
        self.anchors = [dims.num_positions * i // num_anchors for i in range(num_anchors)]
        self.transition = mlp(dims.features_dim + dims.action_size, hidden_dim, dims.features_dim)
        self.predictor = nn.Linear(dims.features_dim, dims.features_dim)
        self.sensors = nn.Linear(dims.features_dim, dims.readings_dim) if dims.readings_dim else None

    def rollout(self, embedding: Tensor, actions: Tensor) -> Tensor:
        """Return predicted embeddings ``(B, H, D)`` from ``embedding (B, D)`` under ``actions (B, H, A)``."""
        steps = []
        for action in actions.unbind(1):
            embedding = embedding + self.transition(torch.cat([embedding, action], dim=-1))
            steps.append(embedding)
        return torch.stack(steps, dim=1)

    def predict_readings(self, embedding: Tensor, actions: Tensor) -> Tensor:
        """Return predicted standardised readings ``(B, H, S)``: what health and evaluation judge."""
        return self.implied_readings(self.rollout(embedding, actions))

    def implied_readings(self, embedding: Tensor) -> Tensor:
        """Return the standardised readings ``(..., S)`` that an embedding implies; S is 0 for pictures only."""
        return embedding[..., :0] if self.sensors is None else self.sensors(embedding)

    def forward(self, latents: Latents, draws: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum and each term; rollouts of all anchors run side by side, padded to H steps."""
        horizon, context = self.dims.horizon_ticks, self.dims.context_ticks
        actions = torch.cat([self._after(latents.action, context + p, horizon) for p in self.anchors])
        start = torch.cat([latents.online[:, p] for p in self.anchors])
        rolled = self.rollout(start, actions)
        # From the anchor's own tick on, so that the first change is judged too.
        first = [context - 1 + p for p in self.anchors]
        readings = torch.cat([self._after(latents.readings, tick, horizon + 1) for tick in first])
        present = torch.cat([self._after(latents.readings_mask, tick, horizon + 1) for tick in first])
        valid = torch.cat([latents.valid[:, p] for p in self.anchors])
        present = present & valid[:, None, None]
        predicted = self.implied_readings(torch.cat([start[:, None], rolled], dim=1))
        error = (predicted - readings).square()
        level = sensor_mean(error, present, self.dims.sensor_dims)
        change = sensor_mean(*change_error(predicted, readings, present), self.dims.sensor_dims)
        target = torch.cat([self._after(latents.target, p + 1, horizon) for p in self.anchors])
        reached = torch.cat([self._reached(latents, p) for p in self.anchors]) & valid[:, None]
        distance = 1 - F.cosine_similarity(self.predictor(rolled), target, dim=-1)
        latent_loss = masked_mean(distance, reached)
        return level + self.change_weight * change + self.latent_weight * latent_loss, {
            "level": level,
            "change": change,
            "latent": latent_loss,
            "sensor_1": sensor_mean(error[:, 1], present[:, 1], self.dims.sensor_dims),
            "sensor_last": sensor_mean(error[:, -1], present[:, -1], self.dims.sensor_dims),
        }

    @staticmethod
    def _after(sequence: Tensor, first: int, horizon: int) -> Tensor:
        """Return ``horizon`` entries of ``sequence (B, L, ...)`` from ``first``, zero-padded past its end."""
        seen = sequence[:, first : first + horizon]
        if seen.shape[1] == horizon:
            return seen
        padding = seen.new_zeros(seen.shape[0], horizon - seen.shape[1], *seen.shape[2:])
        return torch.cat([seen, padding], dim=1)

    def _reached(self, latents: Latents, anchor: int) -> Tensor:
        """Return ``(B, H)`` bool: the step has a target embedding, at least C / 2 ticks ahead."""
        horizon = self.dims.horizon_ticks
        ahead = torch.arange(1, horizon + 1, device=latents.online.device)
        valid = self._after(latents.valid, anchor + 1, horizon)
        return valid & (ahead >= self.min_gap)
