"""The three losses of soft actor-critic, as pure functions of weights, transitions and draws.

Source: Haarnoja et al. 2018, arXiv 1812.05905: equations 5 and 6 (critics), 9 (actor), 18 (temperature).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from embodied_ssl.rl.networks import Weights, sample_action, twin_values


class Transitions(NamedTuple):
    """A batch of steps.

    Attributes:
        embedding: ``(B, D)``, what the policy saw.
        action: ``(B, A)``, what it did, in [-1, 1].
        reward: ``(B,)``, what it got for that.
        next_embedding: ``(B, D)``, what it saw next.
        terminated: ``(B,)``, true or 1 where the episode ended there for good; a truncated step is 0 and bootstraps.
        mask: ``(B,)``, weight of the transition: 0 where it is not one, across an episode end, say.
    """

    embedding: Tensor
    action: Tensor
    reward: Tensor
    next_embedding: Tensor
    terminated: Tensor
    mask: Tensor


class SACDraws(NamedTuple):
    """Standard normal noise of an update, each ``(B, A)``: for the actor's loss and for the action after the next."""

    now: Tensor
    following: Tensor


class SACParameters(NamedTuple):
    """All that acting and the losses read."""

    actor: Weights
    critic: Weights
    target: Weights
    log_temperature: Tensor
    reward_scale: Tensor


def without_illegal(batch: Transitions) -> Transitions:
    """Return the batch with zeros where its mask is 0, so that even a NaN there has no influence."""
    legal = batch.mask > 0
    wide = legal.unsqueeze(-1)
    return Transitions(
        torch.where(wide, batch.embedding, 0.0),
        torch.where(wide, batch.action, 0.0),
        torch.where(legal, batch.reward, 0.0),
        torch.where(wide, batch.next_embedding, 0.0),
        torch.where(legal, batch.terminated.to(batch.reward.dtype), 0.0),
        batch.mask.to(batch.reward.dtype),
    )


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the last axis weighted by ``mask``; 0 where nothing is legal."""
    return (values * mask).sum(-1) / mask.sum().clamp_min(1.0)


@torch.no_grad()
def bellman_target(params: SACParameters, batch: Transitions, noise: Tensor, gamma: float) -> Tensor:
    """Return ``r / std(r) + gamma (1 - terminated) (min_i Q'_i(s', a') - temperature log pi(a'|s'))``, ``(B,)``."""
    action, log_prob = sample_action(params.actor, batch.next_embedding, noise)
    value = twin_values(params.target, batch.next_embedding, action).amin(0)
    value = value - params.log_temperature.exp() * log_prob
    return params.reward_scale * batch.reward + gamma * (1.0 - batch.terminated) * value


def critic_loss(params: SACParameters, batch: Transitions, noise: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Return the squared Bellman error, summed over both critics, and the mean action value.

    Gradient reaches the critics and ``batch.embedding``, never the target, ``next_embedding`` or the actor.
    """
    target = bellman_target(params, batch, noise, gamma)
    values = twin_values(params.critic, batch.embedding, batch.action)
    loss = 0.5 * masked_mean((values - target).square(), batch.mask).sum()
    return loss, masked_mean(values.detach().mean(0), batch.mask)


def actor_loss(params: SACParameters, batch: Transitions, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``mean(temperature log pi(a|s) - min_i Q_i(s, a))`` with ``a`` from the policy, and the entropy.

    The embedding is a constant here: the actor never moves the encoder.
    """
    embedding = batch.embedding.detach()
    action, log_prob = sample_action(params.actor, embedding, noise)
    value = twin_values(params.critic, embedding, action).amin(0)
    loss = masked_mean(params.log_temperature.detach().exp() * log_prob - value, batch.mask)
    return loss, -masked_mean(log_prob.detach(), batch.mask)


def temperature_loss(log_temperature: Tensor, entropy: Tensor, target_entropy: float) -> Tensor:
    """Return ``temperature (entropy - target_entropy)``, which lowers the temperature of a policy random enough."""
    return log_temperature.exp() * (entropy.detach() - target_entropy)
