import math

import pytest
import torch

from embodied_ssl.rl.networks import init_actor, init_critic
from embodied_ssl.rl.sac_losses import (
    SACParameters,
    Transitions,
    actor_loss,
    critic_loss,
    masked_mean,
    temperature_loss,
    without_illegal,
)

FEATURES, ACTIONS, BATCH, GAMMA = 5, 2, 12, 0.9


@pytest.fixture
def params() -> SACParameters:
    generator = torch.Generator().manual_seed(0)
    actor = init_actor(FEATURES, ACTIONS, 16, generator)
    actor["weight2"] *= 50.0
    critic, target = (init_critic(FEATURES, ACTIONS, 16, generator) for _ in range(2))
    return SACParameters(actor, critic, target, torch.tensor(-1.0), torch.tensor(0.5))


@pytest.fixture
def batch() -> Transitions:
    generator = torch.Generator().manual_seed(1)
    embedding, following = torch.randn((2, BATCH, FEATURES), generator=generator)
    action = torch.tanh(torch.randn((BATCH, ACTIONS), generator=generator))
    reward = torch.randn(BATCH, generator=generator)
    number = torch.arange(BATCH)
    return without_illegal(Transitions(embedding, action, reward, following, number % 5 == 0, number % 4 != 3))


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn((BATCH, ACTIONS), generator=torch.Generator().manual_seed(2))


def perceptron(weights, copy, x):
    for layer in (0, 1, 2):
        x = x @ weights[f"weight{layer}"][copy] + weights[f"bias{layer}"][copy, 0]
        if layer < 2:
            x = torch.relu((x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5))
    return x


def naive_action(actor, embedding, noise):
    """The squashed sample and its log-probability, by the plain formula, one transition at a time."""
    mean, raw = perceptron(actor, 0, embedding).split(ACTIONS)
    std = torch.exp(-5.0 + 3.5 * (torch.tanh(raw) + 1.0))
    action, log_prob = torch.tanh(mean + std * noise), torch.zeros(())
    for index in range(ACTIONS):
        gaussian = math.exp(-0.5 * float(noise[index]) ** 2) / (float(std[index]) * math.sqrt(2 * math.pi))
        log_prob += math.log(gaussian) - math.log(1 - float(action[index]) ** 2)
    return action, log_prob


def naive_values(critic, embedding, action):
    return [perceptron(critic, copy, torch.cat([embedding, action]))[0] for copy in (0, 1)]


def test_critic_loss_equals_the_equation_one_transition_at_a_time(params, batch, noise):
    total, num_legal = 0.0, 0
    for row in range(BATCH):
        embedding, action, reward, following, terminated, mask = (field[row] for field in batch)
        if mask == 0:
            continue
        next_action, log_prob = naive_action(params.actor, following, noise[row])
        value = min(naive_values(params.target, following, next_action)) - math.exp(-1.0) * log_prob
        target = 0.5 * reward + GAMMA * (1 - terminated) * value
        total += sum(0.5 * (one - target) ** 2 for one in naive_values(params.critic, embedding, action))
        num_legal += 1
    loss, _ = critic_loss(params, batch, noise, GAMMA)
    torch.testing.assert_close(loss, total / num_legal, rtol=1e-4, atol=1e-5)


def test_actor_loss_and_entropy_equal_the_equation(params, batch, noise):
    losses, log_probs = [], []
    for row in range(BATCH):
        if batch.mask[row] > 0:
            action, log_prob = naive_action(params.actor, batch.embedding[row], noise[row])
            losses.append(math.exp(-1.0) * log_prob - min(naive_values(params.critic, batch.embedding[row], action)))
            log_probs.append(log_prob)
    loss, entropy = actor_loss(params, batch, noise)
    torch.testing.assert_close(loss, torch.stack(losses).mean(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(entropy, -torch.stack(log_probs).mean(), rtol=1e-4, atol=1e-4)


def test_actor_loss_sends_no_gradient_into_the_embedding(params, batch, noise):
    embedding = batch.embedding.clone().requires_grad_()
    params.actor["weight0"].requires_grad_()
    loss, _ = actor_loss(params, batch._replace(embedding=embedding), noise)
    by_embedding, by_actor = torch.autograd.grad(loss, [embedding, params.actor["weight0"]], allow_unused=True)
    assert by_embedding is None
    assert by_actor.abs().sum() > 0


def test_critic_loss_sends_gradient_into_the_embedding_but_not_the_next(params, batch, noise):
    now, following = batch.embedding.clone().requires_grad_(), batch.next_embedding.clone().requires_grad_()
    loss, _ = critic_loss(params, batch._replace(embedding=now, next_embedding=following), noise, GAMMA)
    by_now, by_following = torch.autograd.grad(loss, [now, following], allow_unused=True)
    assert by_following is None
    assert (by_now.abs().sum(1) > 0).tolist() == (batch.mask > 0).tolist()


@pytest.mark.parametrize("garbage", [7.0, math.nan, math.inf])
@pytest.mark.parametrize("field", ["embedding", "action", "reward", "next_embedding"])
def test_illegal_transitions_have_no_influence(params, batch, noise, field, garbage):
    spoilt = getattr(batch, field).clone()
    spoilt[batch.mask == 0] = garbage
    spoilt_batch = without_illegal(batch._replace(**{field: spoilt}))
    assert torch.equal(critic_loss(params, batch, noise, GAMMA)[0], critic_loss(params, spoilt_batch, noise, GAMMA)[0])
    assert torch.equal(actor_loss(params, batch, noise)[0], actor_loss(params, spoilt_batch, noise)[0])


def test_a_batch_without_legal_transitions_has_loss_zero():
    assert masked_mean(torch.ones(4), torch.zeros(4)).item() == 0.0


def test_temperature_falls_when_the_policy_is_random_enough_and_rises_else():
    log_temperature = torch.zeros((), requires_grad=True)
    for entropy, sign in ((3.0, 1.0), (-9.0, -1.0)):
        (grad,) = torch.autograd.grad(temperature_loss(log_temperature, torch.tensor(entropy), -2.0), log_temperature)
        assert grad.sign().item() == sign
