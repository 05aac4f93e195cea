"""The causal temporal core: an embedding from the features of the last C ticks."""

from __future__ import annotations

from torch import Tensor, nn


class WindowCore(nn.Module):
    """A residual MLP on the last C ticks with a linear path, slid along the window.

    Its first layer is a causal convolution over ticks with a kernel of C; half of its outputs go straight to the
    embedding, so what a window holds linearly (velocity in positions) stays linear in the embedding. Finite
    receptive field: exactly C ticks.
    """

    def __init__(self, tick_dim: int, context_ticks: int, hidden_dim: int, features_dim: int) -> None:
        """Build the layers.

        Args:
            tick_dim: width of the features of one tick.
            context_ticks: C.
            hidden_dim: width of hidden layers.
            features_dim: width of the embedding, D.
        """
        super().__init__()
        self.context_ticks, self.features_dim = context_ticks, features_dim
        self.read = nn.Conv1d(tick_dim, hidden_dim + features_dim, context_ticks)
        self.mix = nn.Sequential(nn.LayerNorm(hidden_dim), nn.GELU(), nn.Linear(hidden_dim, features_dim))
        self.refine = nn.Sequential(
            nn.LayerNorm(features_dim),
            nn.Linear(features_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, features_dim),
        )
        self.norm = nn.LayerNorm(features_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Return embeddings ``(B, P, D)`` at the last P = L - C + 1 ticks of ``features (B, L, F)``."""
        both = self.read(features.transpose(1, 2)).transpose(1, 2)
        linear, hidden = both[..., : self.features_dim], both[..., self.features_dim :]
        embedding = linear + self.mix(hidden)
        return self.norm(embedding + self.refine(embedding))
