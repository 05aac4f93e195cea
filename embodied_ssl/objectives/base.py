"""What every objective sees and gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from embodied_ssl.registry import Registry

OBJECTIVES: Registry[type[Objective]] = Registry("objective")


@dataclass(frozen=True)
class Dims:
    """Sizes that heads are built from.

    Attributes:
        features_dim: D, width of the embedding.
        action_size: A.
        sensor_dims: width of each vector sensor's readings at one tick, in the order of `Latents.readings`.
        context_ticks: C, ticks an embedding sees.
        horizon_ticks: H, ticks a window reaches past its first anchor; P = H + 1 positions have embeddings.
        windows_per_episode: M, consecutive windows of a batch that share an episode.
    """

    features_dim: int
    action_size: int
    sensor_dims: tuple[int, ...]
    context_ticks: int
    horizon_ticks: int
    windows_per_episode: int

    @property
    def readings_dim(self) -> int:
        """Width of the standardised readings of one tick, S."""
        return sum(self.sensor_dims)

    @property
    def num_positions(self) -> int:
        """Positions with an embedding, P."""
        return self.horizon_ticks + 1


@dataclass(frozen=True)
class Latents:
    """The shared passes over a batch of windows. Position p of P is tick C - 1 + p of the window's L.

    Attributes:
        online: ``(B, P, D)`` embeddings of view 1, with gradient.
        target: ``(B, P, D)`` embeddings of view 2 by the target encoder, without gradient.
        action: ``(B, L, A)`` the action that led to each tick.
        action_mask: ``(B, L)`` bool: the tick has such an action.
        action_hidden: ``(B,)`` bool: the online encoder did not see the actions of this window.
        readings: ``(B, L, S)`` standardised clean readings.
        readings_mask: ``(B, L, S)`` bool: the reading arrived at this tick.
        valid: ``(B, P)`` bool: the position lies in the episode.
        tick: ``(B, P)`` int64 per-lane tick numbers.
        episode: ``(B,)`` int64, equal for windows of one episode only.
    """

    online: Tensor
    target: Tensor
    action: Tensor
    action_mask: Tensor
    action_hidden: Tensor
    readings: Tensor
    readings_mask: Tensor
    valid: Tensor
    tick: Tensor
    episode: Tensor


class Objective(nn.Module, ABC):
    """A loss on shared latents with heads of its own.

    Subclasses take ``dims`` and their options as keyword arguments, and define `forward`; those with randomness
    define `draw`, which is called outside the update.
    """

    def __init__(self, dims: Dims) -> None:
        """Keep the sizes."""
        super().__init__()
        self.dims = dims

    def draw(self, batch_size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the random numbers of one update, as arrays of fixed shapes."""
        return {}

    @abstractmethod
    def forward(self, latents: Latents, draws: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar loss and scalar metrics, as tensors on the device."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of ``values`` where ``mask`` (same shape); 0 where nothing counts, never NaN."""
    weight = mask.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp(min=1)


def sensor_mean(error: Tensor, mask: Tensor, sensor_dims: tuple[int, ...]) -> Tensor:
    """Return the mean over sensors of each one's masked mean, so that a wide or fast sensor does not drown the others.

    Args:
        error: ``(..., S)``.
        mask: ``(..., S)`` bool.
        sensor_dims: widths that sum to S; none at all gives 0.
    """
    if not sensor_dims:
        return error.new_zeros(())
    parts = zip(error.split(sensor_dims, dim=-1), mask.split(sensor_dims, dim=-1), strict=True)
    return torch.stack([masked_mean(part, present) for part, present in parts]).mean()


def change_error(predicted: Tensor, actual: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return squared errors of the change from tick to tick, in units of that change's own variance.

    Slow, wide movement makes up most of a reading's variance, so a loss on levels alone is content without the fine
    movement between ticks, which is where velocities are.

    Args:
        predicted: ``(..., T, S)``.
        actual: ``(..., T, S)``.
        present: ``(..., T, S)`` bool.

    Returns:
        Errors ``(..., T - 1, S)`` and where both ticks are present.
    """
    change, both = actual.diff(dim=-2), present[..., 1:, :] & present[..., :-1, :]
    dims = tuple(range(change.dim() - 1))
    weight = both.to(change.dtype)
    variance = (change.square() * weight).sum(dims) / weight.sum(dims).clamp(min=1)
    return (predicted.diff(dim=-2) - change).square() / variance.clamp(min=1e-3), both


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Return the small head used by objectives: layer norm, one hidden layer, GELU."""
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


def take_positions(values: Tensor, index: Tensor) -> Tensor:
    """Return ``values (B, P, D)`` at positions ``index (B, K)``: ``(B, K, D)``."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))
