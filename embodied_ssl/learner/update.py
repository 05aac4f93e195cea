"""The update: a tensor-only function of the model, the gathered windows and the draws. No host sync, no randomness.

Reading order: `SSLModel` (what is learned), `shared_passes` (one online and one target pass), `Update` (one step).
"""

# pyright: reportPrivateImportUsage=false
# (the fused list operations of torch carry an underscore; they are what its own optimisers use)
from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import LearnerConfig
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.learner.draws import Draws
from embodied_ssl.objectives import Latents, Objective

ExtraLoss = Callable[[Latents, Windows], tuple[Tensor, dict[str, Tensor]]]


class SSLModel(nn.Module):
    """The online encoder, its slow copy, and the objectives with their heads."""

    def __init__(self, encoder: StreamEncoder, objectives: dict[str, Objective]) -> None:
        """Copy ``encoder`` for targets; both share one running normalisation."""
        super().__init__()
        self.encoder = encoder
        self.target_encoder = copy.deepcopy(encoder).requires_grad_(False)
        for online, target in zip(encoder.tokenizers, self.target_encoder.tokenizers, strict=True):
            if hasattr(online, "standardizer"):
                target.standardizer = online.standardizer
        self.objectives = nn.ModuleDict(objectives)


def shared_passes(model: SSLModel, windows: Windows, draws: Draws) -> Latents:
    """Encode a batch once online (view 1) and once by the target encoder (view 2); all objectives read these."""
    context = model.encoder.context_ticks
    online = model.encoder(windows, draws.online)
    with torch.no_grad():
        target = model.target_encoder(windows, draws.target)
        readings, readings_mask = model.encoder.readings(windows)
    keep = draws.online.keep
    return Latents(
        online=online,
        target=target,
        action=windows.action,
        action_mask=windows.action_mask,
        action_hidden=~keep[:, -1] if keep is not None else torch.zeros_like(windows.lane, dtype=torch.bool),
        readings=readings,
        readings_mask=readings_mask,
        valid=windows.valid[:, context - 1 :],
        tick=windows.tick[:, context - 1 :],
        # Unique for fewer than 2^31 lanes; ticks stay below 2^32 for years of any control rate.
        episode=windows.lane * 2**32 + windows.start,
    )


class Update:
    """One optimiser step. A non-finite loss or gradient leaves all state untouched, decided on the device.

    AdamW (fused), global-norm clipping, linear warm-up then a constant rate; biases, norms and other vectors are
    not decayed.
    """

    def __init__(self, model: SSLModel, weights: dict[str, float], config: LearnerConfig) -> None:
        """Bind to ``model``; ``weights`` names and weighs its objectives."""
        self.model, self.weights, self.config = model, weights, config
        self.extra_losses: dict[str, ExtraLoss] = {}
        self.objectives_move_encoder = True  # False: their heads learn on latents that are constants
        self.statistics_updates = math.inf  # updates after which the running normalisation stands still
        self.metric_names: list[str] = []
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        device = self.parameters[0].device
        self._lr = torch.tensor(config.lr, device=device)
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=self._lr, fused=True)
        self._statistics = list(model.encoder.buffers())
        self._targets: list[Tensor] = list(model.target_encoder.parameters())
        self._followed: list[Tensor] = list(model.encoder.parameters())

    def __call__(self, windows: Windows, draws: Draws, num_updates: int) -> Tensor:
        """Do update number ``num_updates`` (from 0) and return the metrics, in the order of `metric_names`.

        Returns:
            ``(M,)`` float32 on the device: read it later, it is not ready when this returns on a GPU.
        """
        self._lr.fill_(self.config.lr * min(1.0, (num_updates + 1) / max(1, self.config.warmup_updates)))
        statistics = [value.clone() for value in self._statistics]
        if num_updates < self.statistics_updates:
            self.model.encoder.observe_statistics(windows)
        loss, metrics = self._loss(windows, draws)
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        norm, bad = self._clip(loss)
        # Where this is 1 the fused optimiser skips the whole step, moments too; gradient scalers set it the same way.
        setattr(self.optimizer, "found_inf", bad)  # noqa: B010
        self.optimizer.step()
        self._move_target(1 - bad)
        for value, before in zip(self._statistics, statistics, strict=True):
            value.copy_(torch.where(bad > 0, before, value))
        metrics = {"loss": loss.detach(), **metrics, "grad_norm": norm, "bad": bad}
        self.metric_names = list(metrics)
        return torch.stack([value.detach().float() for value in metrics.values()])

    def _loss(self, windows: Windows, draws: Draws) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of objectives and extra losses, and all metrics by ``<objective>/<name>``."""
        latents = shared_passes(self.model, windows, draws)
        seen = latents
        if not self.objectives_move_encoder:
            seen = dataclasses.replace(latents, online=latents.online.detach())
        parts: dict[str, tuple[Tensor, dict[str, Tensor]]] = {}
        for name, objective in self.model.objectives.items():
            parts[name] = objective(seen, draws.objectives[name])
        for name, extra in self.extra_losses.items():
            parts[name] = extra(latents, windows)
        total = latents.online.new_zeros(())
        metrics: dict[str, Tensor] = {}
        for name, (loss, details) in parts.items():
            total = total + self.weights.get(name, 1.0) * loss
            metrics[f"loss/{name}"] = loss
            metrics.update({f"{name}/{key}": value for key, value in details.items()})
        return total, metrics

    def _clip(self, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Scale gradients to the largest allowed norm; return the norm and 1.0 where loss or norm is not finite."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(grads)).norm()
        bad = (~(torch.isfinite(norm) & torch.isfinite(loss))).float()
        torch._foreach_mul_(grads, (self.config.clip_norm / norm.clamp(min=self.config.clip_norm)))
        return norm, bad

    @torch.no_grad()
    def _move_target(self, good: Tensor) -> None:
        """Move the target encoder by tau towards the online one, or not at all after a bad step."""
        step = list(torch._foreach_sub(self._followed, self._targets))
        torch._foreach_mul_(step, self.config.ema_tau * good)
        torch._foreach_add_(self._targets, step)
