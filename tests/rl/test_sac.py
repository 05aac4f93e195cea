import math

import pytest
import torch
from safetensors.torch import load, save

from embodied_ssl.config import AgentConfig
from embodied_ssl.errors import CheckpointError
from embodied_ssl.rl.sac import SACAgent
from embodied_ssl.rl.sac_losses import SACDraws, Transitions

FEATURES, ACTIONS, BATCH = 6, 2, 16


def make_agent(seed: int = 0) -> SACAgent:
    return SACAgent(FEATURES, ACTIONS, AgentConfig(hidden_dim=16), seed=seed)


def make_batch(seed: int = 0) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn((BATCH, 2 * FEATURES + ACTIONS + 1), generator=generator)
    embedding, following, action, reward = numbers.split([FEATURES, FEATURES, ACTIONS, 1], dim=1)
    number = torch.arange(BATCH)
    return Transitions(embedding, torch.tanh(action), reward[:, 0], following, number % 5 == 0, number % 4 != 3)


def draws(agent: SACAgent, seed: int = 0) -> SACDraws:
    return agent.make_draws(BATCH, torch.Generator().manual_seed(seed))


def train(agent: SACAgent, seeds: range) -> None:
    for seed in seeds:
        agent.update(make_batch(seed), draws(agent, seed))


def copied(agent: SACAgent) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in agent.state_dict().items()}


def differing(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> set[str]:
    assert first.keys() == second.keys()
    return {name for name in first if not torch.equal(first[name], second[name])}


@pytest.fixture
def agent() -> SACAgent:
    """An agent a few updates old, so that no moment, gap or statistic is zero."""
    agent = make_agent()
    train(agent, range(3))
    return agent


def test_actions_are_inside_the_box_and_noise_matters(agent):
    embedding, noise = make_batch().embedding, torch.randn((BATCH, ACTIONS), generator=torch.Generator().manual_seed(4))
    noisy, calm = agent.act(embedding, noise), agent.act(embedding)
    assert noisy.shape == (BATCH, ACTIONS)
    assert not noisy.requires_grad
    assert noisy.abs().max() <= 1
    assert torch.equal(agent.act(embedding, torch.zeros_like(noise)), calm)
    assert not torch.equal(noisy, calm)


def test_an_update_moves_everything_and_reports_every_metric(agent):
    before = copied(agent)
    metrics = agent.update(make_batch(9), draws(agent, 9))
    still = before.keys() - differing(before, agent.state_dict())
    assert still == {"num_skipped"}
    assert metrics.shape == (len(agent.metric_names),)
    assert torch.isfinite(metrics).all()


def test_steps_equal_the_adam_of_torch():
    agent = make_agent()
    weights = [tensor.detach().clone().requires_grad_() for tensor in agent._learned]
    optimiser = torch.optim.Adam(weights, lr=AgentConfig().lr)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        grads = [torch.randn(weight.shape, generator=generator) for weight in weights]
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad
        optimiser.step()
        agent._step(grads, torch.zeros(()))
    for weight, own in zip(weights, agent._learned, strict=True):
        torch.testing.assert_close(own.detach(), weight.detach())


def test_targets_follow_by_tau(agent):
    before = copied(agent)
    agent.update(make_batch(9), draws(agent, 9))
    after, tau = agent.state_dict(), AgentConfig().tau
    expected = before["target.weight1"] + tau * (after["critic.weight1"] - before["target.weight1"])
    torch.testing.assert_close(after["target.weight1"], expected)


@pytest.mark.parametrize("garbage", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["embedding", "action", "reward", "next_embedding"])
def test_a_non_finite_batch_changes_nothing_but_the_count(agent, field, garbage):
    before, batch = copied(agent), make_batch(9)
    getattr(batch, field)[0] = garbage
    metrics = agent.update(batch, draws(agent, 9))
    assert differing(before, agent.state_dict()) == {"num_skipped"}
    assert metrics[agent.metric_names.index("num_skipped")].item() == 1.0


def test_illegal_transitions_do_not_change_an_update(agent):
    twin, batch, spoilt = make_agent(), make_batch(9), make_batch(9)
    twin.load_state_dict(agent.state_dict())
    for field in spoilt[:4]:
        field[~batch.mask] = math.nan
    assert torch.equal(agent.update(batch, draws(agent)), twin.update(spoilt, draws(agent)))
    assert not differing(agent.state_dict(), twin.state_dict())


def test_critic_loss_moves_the_embedding_and_no_parameter(agent):
    params, batch, before = agent.published(), make_batch(9), copied(agent)
    embedding = batch.embedding.clone().requires_grad_()
    loss, value = agent.critic_loss(batch._replace(embedding=embedding), params, draws(agent))
    loss.backward()
    assert embedding.grad is not None
    assert (embedding.grad.abs().sum(1) > 0).tolist() == batch.mask.tolist()
    assert not value.requires_grad
    assert all(weight.grad is None for weight in agent._learned)
    assert not any(weight.requires_grad for part in params[:3] for weight in part.values())
    assert not differing(before, agent.state_dict())


def test_update_sends_no_gradient_into_the_embedding(agent):
    batch = make_batch(9)
    embedding = batch.embedding.clone().requires_grad_()
    metrics = agent.update(batch._replace(embedding=embedding), draws(agent))
    assert embedding.grad is None
    assert not metrics.requires_grad


def test_published_weights_never_change_and_act_alike(agent):
    params, embedding = agent.published(), make_batch().embedding
    action = agent.act(embedding)
    loss, _ = agent.critic_loss(make_batch(9), params, draws(agent))
    train(agent, range(3, 6))
    assert torch.equal(agent.act(embedding, actor=params.actor), action)
    assert not torch.equal(agent.act(embedding), action)
    assert torch.equal(agent.critic_loss(make_batch(9), params, draws(agent))[0], loss)


def test_stop_and_resume_equals_no_stop_bit_for_bit(agent):
    resumed = make_agent(seed=5)
    resumed.load_state_dict(load(save(agent.state_dict())))
    train(agent, range(3, 8))
    train(resumed, range(3, 8))
    assert not differing(agent.state_dict(), resumed.state_dict())


def test_a_state_of_another_shape_or_name_is_refused_in_one_line_and_changes_nothing(agent):
    before = copied(agent)
    narrow = SACAgent(FEATURES, ACTIONS, AgentConfig(hidden_dim=8)).state_dict()
    with pytest.raises(CheckpointError, match=r"actor\.weight0' is \(1, 6, 8\), expected \(1, 6, 16\)"):
        agent.load_state_dict(narrow)
    missing = copied(agent)
    del missing["adam.steps"]
    with pytest.raises(CheckpointError, match=r"adam\.steps' is missing"):
        agent.load_state_dict(missing)
    assert not differing(before, agent.state_dict())


def test_learns_to_stop_a_point_mass_at_the_origin():
    """Position and velocity in, force out; the reward is minus the squared distance."""
    generator = torch.Generator().manual_seed(0)
    agent = SACAgent(2, 1, AgentConfig(hidden_dim=32, gamma=0.9, lr=3e-3, tau=0.02))
    state = 2 * torch.rand((20_000, 2), generator=generator) - 1
    action = 2 * torch.rand((20_000, 1), generator=generator) - 1

    def step(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        velocity = 0.8 * state[:, 1:] + 0.3 * action
        return torch.cat([state[:, :1] + 0.3 * velocity, velocity], 1)

    def distance(policy) -> float:
        state = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.6, 0.5]])
        for _ in range(20):
            state = step(state, policy(state))
        return state[:, 0].abs().mean().item()

    following = step(state, action)
    reward, zeros, ones = -following[:, 0].square(), torch.zeros(128), torch.ones(128)
    untrained = distance(agent.act)
    for _ in range(300):
        rows = torch.randint(len(state), (128,), generator=generator)
        batch = Transitions(state[rows], action[rows], reward[rows], following[rows], zeros, ones)
        agent.update(batch, agent.make_draws(128, generator))
    assert untrained > 0.5
    assert distance(agent.act) < 0.15
