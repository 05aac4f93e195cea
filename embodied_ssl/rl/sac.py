"""Soft actor-critic on embeddings: small, tensor-only, resumable.

An update reads all gradients at the same weights and makes one fused Adam step for actor, critics and temperature. A
non-finite loss or gradient leaves every weight, moment and statistic as it was, decided on the device. Source: Haarnoja
et al. 2018, arXiv 1812.05905; deviations: simultaneous steps, LayerNorm in the hidden layers, scaled rewards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.adam import adam

from embodied_ssl.config import AgentConfig
from embodied_ssl.errors import CheckpointError
from embodied_ssl.rl.networks import Weights, init_actor, init_critic, policy, sample_action
from embodied_ssl.rl.reward_scale import RewardScale
from embodied_ssl.rl.sac_losses import (
    SACDraws,
    SACParameters,
    Transitions,
    actor_loss,
    critic_loss,
    temperature_loss,
    without_illegal,
)

INITIAL_TEMPERATURE = 0.05  # in units of the reward's standard deviation
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def make_draws(batch_size: int, action_size: int, generator: torch.Generator, device: torch.device) -> SACDraws:
    """Return the noise of one update, drawn on the generator's device and moved to ``device``."""
    noise = torch.randn((2, batch_size, action_size), generator=generator, device=generator.device)
    return SACDraws(*noise.to(device).unbind())


class SACAgent:
    """A policy and what it learns from.

    Attributes:
        metric_names: names of the entries of the vector that `update` returns.
        device: where all tensors live.
    """

    metric_names = (
        "critic_loss",
        "actor_loss",
        "temperature",
        "entropy",
        "action_value",
        "reward_std",
        "grad_norm",
        "num_skipped",
    )

    def __init__(
        self,
        features_dim: int,
        action_size: int,
        config: AgentConfig,
        device: torch.device | str = "cpu",
        seed: int = 0,
        *,
        scale_rewards: bool = True,
    ) -> None:
        """Draw new weights.

        Args:
            features_dim: width of the embedding ``D``, which comes from a LayerNorm: no further normaliser is applied.
            action_size: number of action values ``A``.
            config: hyperparameters; ``hidden_dim``, ``lr``, ``gamma`` and ``tau`` are read.
            device: where to live.
            seed: of the initial weights; the same on every device.
            scale_rewards: divide rewards by their running standard deviation.
        """
        generator = torch.Generator().manual_seed(seed)
        self.device = torch.device(device)
        self._config, self._action_size, self._scale_rewards = config, action_size, scale_rewards
        self._actor = self._own(init_actor(features_dim, action_size, config.hidden_dim, generator))
        self._critic = self._own(init_critic(features_dim, action_size, config.hidden_dim, generator))
        self._target = {name: weight.detach().clone() for name, weight in self._critic.items()}
        self._log_temperature = torch.tensor(math.log(INITIAL_TEMPERATURE), device=self.device, requires_grad=True)
        self._learned = [*self._actor.values(), *self._critic.values(), self._log_temperature]
        self._first_moments = [torch.zeros_like(weight) for weight in self._learned]
        self._second_moments = [torch.zeros_like(weight) for weight in self._learned]
        self._adam_steps = torch.zeros(len(self._learned), device=self.device)
        self._reward_scale = RewardScale.new(self.device)
        self._num_skipped = torch.zeros((), device=self.device)

    def _own(self, weights: Weights) -> Weights:
        return {name: weight.to(self.device).requires_grad_() for name, weight in weights.items()}

    @torch.no_grad()
    def act(self, embedding: Tensor, noise: Tensor | None = None, actor: Weights | None = None) -> Tensor:
        """Return actions in [-1, 1].

        Args:
            embedding: ``(N, D)``.
            noise: ``(N, A)``, standard normal; None acts deterministically.
            actor: weights to act with, ``published().actor`` in another thread; None is the newest.

        Returns:
            ``(N, A)``.
        """
        weights = self._actor if actor is None else actor
        if noise is None:
            return torch.tanh(policy(weights, embedding)[0])
        return sample_action(weights, embedding, noise)[0]

    def make_draws(self, batch_size: int, generator: torch.Generator) -> SACDraws:
        """Return the noise of one update or one `critic_loss`."""
        return make_draws(batch_size, self._action_size, generator, self.device)

    def update(self, batch: Transitions, draws: SACDraws) -> Tensor:
        """Take one gradient step of critics, actor and temperature; never waits for the device.

        Args:
            batch: transitions; embeddings are constants.
            draws: from `make_draws`.

        Returns:
            The metrics called `metric_names`, float32, before the step.
        """
        batch = without_illegal(Transitions(*(field.detach() for field in batch)))
        reward_scale = self._reward_scale.after(batch.reward, batch.mask)
        params = self._parameters(reward_scale)
        td_loss, value = critic_loss(params, batch, draws.following, self._config.gamma)
        pi_loss, entropy = actor_loss(params, batch, draws.now)
        heat_loss = temperature_loss(self._log_temperature, entropy, -float(self._action_size))
        grads = [
            *torch.autograd.grad(pi_loss, list(self._actor.values())),
            *torch.autograd.grad(td_loss, list(self._critic.values())),
            *torch.autograd.grad(heat_loss, [self._log_temperature]),
        ]
        norm = get_total_norm(grads)
        losses = torch.stack([td_loss.detach(), pi_loss.detach()])
        is_bad = (~torch.isfinite(losses.sum() + norm)).float()
        temperature = self._log_temperature.detach().exp()
        self._step(grads, is_bad)
        self._remember(reward_scale, is_bad)
        rest = [temperature, entropy, value, reward_scale.std(), norm, self._num_skipped]
        return torch.cat([losses, torch.stack(rest)])

    @torch.no_grad()
    def _step(self, grads: Sequence[Tensor], is_bad: Tensor) -> None:
        """Step Adam, then let the targets follow; both stand still where ``is_bad`` is 1."""
        adam(
            self._learned, list(grads), self._first_moments, self._second_moments, [], list(self._adam_steps.unbind()),
            fused=True, found_inf=is_bad, amsgrad=False, beta1=BETA1, beta2=BETA2, lr=self._config.lr,
            weight_decay=0.0, eps=EPSILON, maximize=False,
        )  # fmt: skip
        share = self._config.tau * (1.0 - is_bad)
        for name, weight in self._target.items():
            weight.lerp_(self._critic[name], share)

    @torch.no_grad()
    def _remember(self, reward_scale: RewardScale, is_bad: Tensor) -> None:
        for old, new in zip(self._reward_scale, reward_scale, strict=True):
            old.copy_(torch.where(is_bad > 0, old, new))
        self._num_skipped += is_bad

    def _parameters(self, reward_scale: RewardScale) -> SACParameters:
        scale = 1.0 / reward_scale.std() if self._scale_rewards else torch.ones((), device=self.device)
        return SACParameters(self._actor, self._critic, self._target, self._log_temperature, scale)

    def published(self) -> SACParameters:
        """Return copies that never change, for other threads; call it between updates, from the updating thread."""
        params = self._parameters(self._reward_scale)
        actor, critic, target = (
            {name: weight.detach().clone() for name, weight in part.items()} for part in params[:3]
        )
        return SACParameters(actor, critic, target, params.log_temperature.detach().clone(), params.reward_scale)

    def critic_loss(self, batch: Transitions, params: SACParameters, draws: SACDraws) -> tuple[Tensor, Tensor]:
        """Return the critics' loss as a loss of the encoder, and the mean action value, detached.

        Reads nothing of this agent but ``gamma``, so another thread may call it during `update`. Gradient reaches
        ``batch.embedding`` only.

        Args:
            batch: transitions whose ``embedding`` carries gradient.
            params: from `published`.
            draws: from `make_draws`.
        """
        return critic_loss(params, without_illegal(batch), draws.following, self._config.gamma)

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything an exact resume needs, as a flat table of the live tensors; copy what must not change."""
        parts = {"actor": self._actor, "critic": self._critic}
        state = {f"{part}.{name}": weight for part, weights in parts.items() for name, weight in weights.items()}
        state["log_temperature"] = self._log_temperature
        names = list(state)
        state |= {f"target.{name}": weight for name, weight in self._target.items()}
        state |= {f"adam.first.{name}": moment for name, moment in zip(names, self._first_moments, strict=True)}
        state |= {f"adam.second.{name}": moment for name, moment in zip(names, self._second_moments, strict=True)}
        state |= {f"reward.{name}": moment for name, moment in self._reward_scale._asdict().items()}
        state |= {"adam.steps": self._adam_steps, "num_skipped": self._num_skipped}
        return {name: tensor.detach() for name, tensor in state.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state_dict`.

        Raises:
            CheckpointError: a tensor is missing, left over, or has another shape than this agent's.
        """
        own = self.state_dict()
        for name in own.keys() ^ state.keys():
            raise CheckpointError(f"agent tensor {name!r} is {'missing' if name in own else 'not of this agent'}")
        for name, tensor in own.items():
            if tensor.shape != state[name].shape:
                raise CheckpointError(
                    f"agent tensor {name!r} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}; "
                    "load it with the agent and encoder widths that it was saved with"
                )
        for name, tensor in own.items():
            tensor.copy_(state[name])
