"""Temporal contrast: which moment of this episode comes k ticks later?"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embodied_ssl.errors import ConfigError
from embodied_ssl.objectives.base import OBJECTIVES, Dims, Latents, Objective, mlp, take_positions


@OBJECTIVES.register("temporal_contrast")
class TemporalContrast(Objective):
    """Augmented temporal contrast: InfoNCE between an anchor and the EMA embedding k ticks later.

    ``loss = -log exp(s(a, p)) / (exp(s(a, p)) + sum_n exp(s(a, n)))`` with the bilinear score
    ``s(a, c) = f(z_a)' W zbar_c``, ``f`` a residual MLP.

    Source: Stooke et al. 2020, "Decoupling Representation Learning from Reinforcement Learning" (arXiv 2009.08319),
    eq. 1 and 2. Deviations: k is drawn per pair from [C / 2, H], so anchor and positive share at most half of their
    input rows; negatives are drawn so that at least half come from the anchor's own episode (else the identity of
    the episode solves the task); candidates of the same episode nearer to the positive or the anchor than C / 2 ticks
    are masked as false negatives.
    """

    def __init__(self, dims: Dims, num_pairs: int = 4, hidden_dim: int = 256) -> None:
        """Build the anchor head and W.

        Args:
            dims: sizes.
            num_pairs: anchors per window, K.
            hidden_dim: width of the anchor MLP.
        """
        super().__init__(dims)
        self.min_gap = math.ceil(dims.context_ticks / 2)
        if dims.horizon_ticks < self.min_gap:
            raise ConfigError(
                f"temporal_contrast needs a horizon of at least half the context ({self.min_gap} ticks), "
                f"got {dims.horizon_ticks}; raise learner.horizon_ticks"
            )
        if num_pairs < 1:
            raise ConfigError(f"temporal_contrast.num_pairs is {num_pairs}, expected at least 1")
        self.num_pairs = num_pairs
        self.anchor = mlp(dims.features_dim, hidden_dim, dims.features_dim)
        self.bilinear = nn.Parameter(torch.randn(dims.features_dim, dims.features_dim) / dims.features_dim)

    def draw(self, batch_size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw anchor positions and gaps ``(B, K)``."""
        shape = (batch_size, self.num_pairs)
        gap = rng.integers(self.min_gap, self.dims.horizon_ticks + 1, size=shape)
        anchor = rng.integers(0, self.dims.horizon_ticks + 1 - gap)
        return {"anchor": anchor, "gap": gap}

    def forward(self, latents: Latents, draws: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return InfoNCE and: top-1 accuracy among all and among own-episode candidates, and that by gap."""
        anchor, positive = draws["anchor"], draws["anchor"] + draws["gap"]
        query = take_positions(latents.online, anchor)
        query = (query + self.anchor(query)) @ self.bilinear
        key = take_positions(latents.target, positive)
        tick = latents.tick.gather(1, positive)
        usable = latents.valid.gather(1, anchor) & latents.valid.gather(1, positive)
        from_tick = latents.tick.gather(1, anchor)
        own, other = self._logits(query, key, from_tick, tick, latents.episode, usable)
        logits = torch.cat([own, other], dim=-1)
        label = torch.arange(own.shape[1], device=logits.device).expand(own.shape[:2])
        counted = usable.view(label.shape) & ((own > -torch.inf).sum(-1) > 1)
        # An uncounted row may hold no finite logit at all: give it a harmless one before the softmax.
        logits = torch.where(counted[..., None], logits, torch.zeros_like(logits))
        losses = F.cross_entropy(logits.flatten(0, 1), label.flatten(), reduction="none").view(label.shape)
        weight = counted.to(losses.dtype)
        total = weight.sum().clamp(min=1)
        hit, hit_own = logits.argmax(-1) == label, own.argmax(-1) == label
        gap = draws["gap"].view(label.shape)
        near = weight * (gap <= (self.min_gap + self.dims.horizon_ticks) // 2)
        far = weight - near
        return (losses * weight).sum() / total, {
            "top1": (hit * weight).sum() / total,
            "top1_within_episode": (hit_own * weight).sum() / total,
            "top1_near_gap": (hit * near).sum() / near.sum().clamp(min=1),
            "top1_far_gap": (hit * far).sum() / far.sum().clamp(min=1),
            "num_candidates": ((logits > -torch.inf).sum(-1) * weight).sum() / total,
        }

    def _logits(
        self, query: Tensor, key: Tensor, from_tick: Tensor, tick: Tensor, episode: Tensor, usable: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return scores against own-episode and other-episode candidates, each ``(G, M K, M K)``, -inf = masked.

        A batch is G groups of M windows of one episode; the other-episode candidates of a group are those of the
        next group, cut to as many as own-episode negatives remain.
        """
        members = self.dims.windows_per_episode * self.num_pairs
        query, key = query.reshape(-1, members, query.shape[2]), key.reshape(-1, members, key.shape[2])
        tick, from_tick = tick.reshape(-1, members), from_tick.reshape(-1, members)
        usable = usable.reshape(-1, members)
        episode = episode.repeat_interleave(self.num_pairs).view(-1, members)
        own = query @ key.transpose(1, 2)
        self_pair = torch.eye(members, dtype=torch.bool, device=own.device)
        near_positive = (tick[:, :, None] - tick[:, None, :]).abs() < self.min_gap
        near_anchor = (from_tick[:, :, None] - tick[:, None, :]).abs() < self.min_gap
        false_negative = near_positive | near_anchor
        own_mask = (usable[:, None, :] & ~false_negative) | self_pair
        other = query @ key.roll(-1, dims=0).transpose(1, 2)
        other_mask = usable.roll(-1, dims=0)[:, None, :] & (episode[:, :, None] != episode.roll(-1, dims=0)[:, None, :])
        num_own = own_mask.sum(-1, keepdim=True) - 1
        other_mask = other_mask & (other_mask.cumsum(-1) <= num_own)
        return own.masked_fill(~own_mask, -torch.inf), other.masked_fill(~other_mask, -torch.inf)
