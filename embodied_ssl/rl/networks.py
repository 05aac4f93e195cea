"""Actor and twin critic as pure functions of their weights.

Functions, not modules: another thread may evaluate a published copy of the weights while the optimiser moves the live
ones (`torch.func.functional_call` would swap tensors inside a shared module, which is not safe there).

Shapes: B batch, D embedding, A action, H hidden, C copies of a network that run side by side in one `baddbmm`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]

NUM_CRITICS = 2
LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0
LAST_LAYER_GAIN = 0.01  # a new actor is centred and does not depend on the embedding yet
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
LOG_TWO = math.log(2.0)


def init_stack(sizes: tuple[int, ...], num_copies: int, generator: torch.Generator) -> Weights:
    """Return the weights of ``C`` multi-layer perceptrons, drawn independently.

    Args:
        sizes: widths from input to output.
        num_copies: number of networks ``C``.
        generator: source of the draws, on the CPU.

    Returns:
        ``weight<i>`` ``(C, in, out)`` and ``bias<i>`` ``(C, 1, out)``, uniform in ``+-1/sqrt(in)`` and zero.
    """
    weights = {}
    for layer, (num_in, num_out) in enumerate(itertools.pairwise(sizes)):
        draws = torch.rand((num_copies, num_in, num_out), generator=generator)
        weights[f"weight{layer}"] = (2.0 * draws - 1.0) / math.sqrt(num_in)
        weights[f"bias{layer}"] = torch.zeros(num_copies, 1, num_out)
    return weights


def apply_stack(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Run the networks of `init_stack` side by side.

    Each hidden layer is linear, LayerNorm, ReLU. The LayerNorm has no gain or offset of its own; it bounds how far a
    critic can extrapolate to unseen actions (Ball et al. 2023, arXiv 2302.02948, section 4.2), which is what lets a
    short run take large steps.

    Args:
        weights: from `init_stack`.
        x: ``(B, in)``, the same input for every copy.

    Returns:
        ``(C, B, out)``.
    """
    num_layers = len(weights) // 2
    x = x.expand(weights["weight0"].shape[0], *x.shape)
    for layer in range(num_layers):
        x = torch.baddbmm(weights[f"bias{layer}"], x, weights[f"weight{layer}"])
        if layer < num_layers - 1:
            x = functional.relu(functional.layer_norm(x, x.shape[-1:]))
    return x


def init_actor(features_dim: int, action_size: int, hidden_dim: int, generator: torch.Generator) -> Weights:
    """Return weights of a policy ``D -> H -> H -> 2A``, with a small last layer."""
    weights = init_stack((features_dim, hidden_dim, hidden_dim, 2 * action_size), 1, generator)
    weights["weight2"] *= LAST_LAYER_GAIN
    return weights


def init_critic(features_dim: int, action_size: int, hidden_dim: int, generator: torch.Generator) -> Weights:
    """Return weights of two independent critics ``D + A -> H -> H -> 1``."""
    return init_stack((features_dim + action_size, hidden_dim, hidden_dim, 1), NUM_CRITICS, generator)


def policy(actor: Mapping[str, Tensor], embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log standard deviation of the Gaussian before squashing, each ``(B, A)``.

    The log standard deviation is squashed into ``[LOG_STD_LOW, LOG_STD_HIGH]``: bounded, and never without gradient.
    """
    mean, raw = apply_stack(actor, embedding)[0].chunk(2, dim=-1)
    return mean, LOG_STD_LOW + 0.5 * (LOG_STD_HIGH - LOG_STD_LOW) * (torch.tanh(raw) + 1.0)


def sample_action(actor: Mapping[str, Tensor], embedding: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the action ``tanh(mean + std * noise)`` and its log-probability.

    The change of variables is taken as ``log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u))``, which stays finite and
    exact where the plain form is the logarithm of a rounded zero.

    Args:
        actor: weights from `init_actor`.
        embedding: ``(B, D)``.
        noise: ``(B, A)``, standard normal.

    Returns:
        Action ``(B, A)`` in [-1, 1] and log-probability ``(B,)``.

    Source:
        Haarnoja et al. 2018, arXiv 1812.05905, appendix C, equation 26.
    """
    mean, log_std = policy(actor, embedding)
    raw = mean + log_std.exp() * noise
    log_normal = -0.5 * noise.square() - log_std - HALF_LOG_TWO_PI
    log_slope = 2.0 * (LOG_TWO - raw - functional.softplus(-2.0 * raw))
    return torch.tanh(raw), (log_normal - log_slope).sum(-1)


def twin_values(critic: Mapping[str, Tensor], embedding: Tensor, action: Tensor) -> Tensor:
    """Return the action values of both critics, ``(2, B)``."""
    return apply_stack(critic, torch.cat([embedding, action], dim=-1)).squeeze(-1)
