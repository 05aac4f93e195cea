"""The pilot: acts on embeddings of one snapshot, and trains its policy from the learner's buffer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import AgentConfig
from embodied_ssl.errors import ConfigError
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.learner.stream import Stream
from embodied_ssl.objectives import Latents
from embodied_ssl.rl.noise import ColouredNoise
from embodied_ssl.rl.sac import SACAgent
from embodied_ssl.rl.sac_losses import Transitions

MAX_FRAMES = 200
"""Camera frames encoded for one set of agent updates."""


class Pilot:
    """Coloured noise first, then SAC on the embedding.

    A set of agent updates encodes one batch of windows once, with the newest snapshot, and makes several minibatches
    of its transitions. The embeddings are constants for SAC; when ``encoder_grad`` names the critic, its loss is
    handed to the learner as an extra loss, computed from published copies of the critic: it moves the encoder only.
    When it does not name ``ssl``, the objectives' heads go on learning (so skill and health stay readings of this
    encoder) but leave the encoder alone; ``frozen`` also keeps the normalisation fitted by the first update.
    """

    def __init__(self, learner: OnlineLearner, config: AgentConfig, seed: int) -> None:
        """Build the agent on ``learner``'s embedding; decide which losses move the encoder.

        Raises:
            ConfigError: nothing would be left to learn.
        """
        self.learner, self.config = learner, config
        seeds = np.random.SeedSequence(seed).spawn(5)
        self.noise = ColouredNoise(learner.num_lanes, learner.spec.action_size, np.random.default_rng(seeds[0]))
        self.rng = np.random.default_rng(seeds[1])
        self.action_rng = np.random.default_rng(seeds[4])  # not `rng`: acting and learning run in two threads
        self.generator = torch.Generator().manual_seed(int(seeds[2].generate_state(1)[0]))
        self.critic_generator = torch.Generator().manual_seed(int(seeds[3].generate_state(1)[0]))
        features, actions = learner.config.encoder.features_dim, learner.spec.action_size
        agent_seed = int(seeds[2].generate_state(2)[1])
        self.agent = SACAgent(features, actions, config, learner.device, agent_seed)
        self.published = self.agent.published()
        self.num_updates = 0
        self._encoder = copy.deepcopy(learner.model.encoder).eval().requires_grad_(False)
        self._version = -1
        self._metrics_sum: Tensor | None = None
        self._metrics_count = 0
        self._assign_encoder()

    def _assign_encoder(self) -> None:
        step, losses = self.learner.update_step, self.config.encoder_grad
        step.objectives_move_encoder = "ssl" in losses
        if "critic" in losses:
            step.extra_losses["critic"] = self.encoder_loss
        if losses == "frozen":
            step.statistics_updates = 1
            if next(self.learner.model.objectives.parameters(), None) is None:
                raise ConfigError("agent.encoder_grad is 'frozen' and no objective has a head; add forward_prediction")

    @property
    def learns(self) -> bool:
        """Whether there is a policy at all."""
        return self.config.name != "none"

    def act(self, stream: Stream) -> np.ndarray:
        """Return actions ``(N, A)`` in [-1, 1] for the newest tick of ``stream``.

        The first ``noise_lanes`` lanes go on exploring with coloured noise for good, so that the encoder does not
        forget the movements that the policy has stopped making.
        """
        explore = self.noise.sample()
        if not self.learns or self.learner.env_steps < self.config.learning_starts:
            return explore
        embedding = stream.embed()
        noise = self.action_rng.standard_normal(explore.shape, dtype=np.float32)
        action = self.agent.act(embedding, torch.from_numpy(noise).to(embedding.device), self.published.actor)
        return np.concatenate([explore[: self.config.noise_lanes], action.cpu().numpy()[self.config.noise_lanes :]])

    @property
    def num_due(self) -> int:
        """Sets of agent updates that the ratio allows now."""
        past = self.learner.env_steps - self.config.learning_starts
        if not self.learns or past <= 0 or self.learner.buffer.num_legal(self.learner.shape) == 0:
            return 0
        return max(0, int(past * self.config.updates_per_step) - self.num_updates) // self.config.minibatches

    def update(self) -> None:
        """Encode one batch of windows and make ``minibatches`` agent updates from it."""
        transitions = self._transitions()
        order = torch.from_numpy(self.rng.permutation(len(transitions.reward))).to(self.learner.device)
        for part in order.chunk(self.config.minibatches):
            batch = Transitions(*(field[part] for field in transitions))
            metrics = self.agent.update(batch, self.agent.make_draws(len(part), self.generator))
            self._metrics_sum = metrics if self._metrics_sum is None else self._metrics_sum + metrics
            self._metrics_count += 1
            self.num_updates += 1
        self.published = self.agent.published()

    @torch.no_grad()
    def _transitions(self) -> Transitions:
        """Draw windows, encode them with the newest snapshot, and flatten their steps."""
        learner, shape = self.learner, self.learner.shape
        num_windows = max(1, round(self.config.batch_size * self.config.minibatches / shape.horizon))
        lanes, ends = learner.buffer.draw(shape, num_windows, self.rng)
        _, last = learner.buffer.table.bounds(lanes, ends)
        device = learner.device
        at = torch.from_numpy(lanes).to(device), torch.from_numpy(ends).to(device)
        windows = learner.buffer.gather(*at, shape.length).limit_frames(MAX_FRAMES)
        if self._version != learner.snapshot.version:
            snapshot = learner.snapshot
            self._encoder.load_state_dict(snapshot.weights)
            self._version = snapshot.version
        embedding = self._encoder(windows)
        steps = steps_of(windows, embedding, embedding, shape.context)
        weight = inclusion_weight(windows, torch.from_numpy(last).to(device), shape.context, shape.horizon)
        steps = steps._replace(mask=steps.mask * weight)
        return Transitions(*(field.flatten(0, 1) for field in steps))

    def encoder_loss(self, latents: Latents, windows: Windows) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the critic's loss on the learner's own batch; gradient reaches the online embedding only."""
        steps = steps_of(windows, latents.online, latents.target, self.learner.shape.context)
        batch = Transitions(*(field.flatten(0, 1) for field in steps))
        draws = self.agent.make_draws(len(batch.reward), self.critic_generator)
        loss, value = self.agent.critic_loss(batch, self.published, draws)
        loss = loss * float(self.num_updates > 0)  # a critic that has learned nothing yet has nothing to say
        return loss, {"action_value": value}

    def read_metrics(self) -> dict[str, float]:
        """Return the mean of every agent metric since the last call, and reset."""
        if self._metrics_sum is None:
            return {}
        values = (self._metrics_sum / self._metrics_count).tolist()
        self._metrics_sum, self._metrics_count = None, 0
        return dict(zip(self.agent.metric_names, values, strict=True))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and JSON of an exact resume."""
        tensors = dict(self.agent.state_dict())
        tensors = {f"agent.{name}": value.clone() for name, value in tensors.items()}
        tensors |= {f"encoder.{name}": value.clone() for name, value in self._encoder.state_dict().items()}
        tensors |= {"generator": self.generator.get_state(), "critic_generator": self.critic_generator.get_state()}
        if self._metrics_sum is not None:
            tensors["metrics_sum"] = self._metrics_sum.clone()
        facts = {
            "num_updates": self.num_updates,
            "version": self._version,
            "metrics_count": self._metrics_count,
            "rng": self.rng.bit_generator.state,
            "action_rng": self.action_rng.bit_generator.state,
            "noise": self.noise.state(),
        }
        return tensors, facts

    def load_state(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore `state`."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.agent.load_state_dict(part("agent."))
        self._encoder.load_state_dict(part("encoder."))
        self.generator.set_state(tensors["generator"])
        self.critic_generator.set_state(tensors["critic_generator"])
        self.published = self.agent.published()
        self.num_updates, self._version = facts["num_updates"], facts["version"]
        self._metrics_count = facts["metrics_count"]
        self._metrics_sum = tensors["metrics_sum"].to(self.learner.device) if "metrics_sum" in tensors else None
        self.rng.bit_generator.state = facts["rng"]
        self.action_rng.bit_generator.state = facts["action_rng"]
        self.noise.load_state(facts["noise"])


def steps_of(windows: Windows, embedding: Tensor, next_embedding: Tensor, context: int) -> Transitions:
    """Return the ``(B, P - 1)`` environment steps between the positions of windows.

    Args:
        windows: ``(B, L, ...)``.
        embedding: ``(B, P, D)`` of what the policy saw.
        next_embedding: ``(B, P, D)`` of what it saw next, same positions, without gradient.
        context: C; position p is tick C - 1 + p.
    """
    valid = windows.valid[:, context - 1 :]
    return Transitions(
        embedding=embedding[:, :-1],
        action=windows.action[:, context:],
        reward=windows.reward[:, context:],
        next_embedding=next_embedding[:, 1:].detach(),
        terminated=windows.terminated[:, context:],
        mask=(valid[:, :-1] & windows.action_mask[:, context:]).to(windows.reward.dtype),
    )


def inclusion_weight(windows: Windows, last: Tensor, context: int, horizon: int) -> Tensor:
    """Return ``(B, P - 1)`` weights that make steps drawn through windows count as if drawn uniformly.

    Windows are uniform over their legal ends, so the first and last ``horizon`` steps of an episode lie in fewer
    windows than the others; without this a terminal step would be seen ``horizon`` times less often.

    Args:
        windows: as gathered.
        last: ``(B,)`` newest tick of each window's episode.
        context: C.
        horizon: H.
    """
    reached = windows.tick[:, context:]
    first_end = torch.maximum(reached, windows.start[:, None] + horizon)
    last_end = torch.minimum(reached - 1 + horizon, last[:, None])
    num_windows = (last_end - first_end + 1).clamp(min=1)
    weight = horizon / num_windows.to(windows.reward.dtype)
    return weight / weight.mean()
