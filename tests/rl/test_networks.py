import math

import torch
from torch.nn import functional

from embodied_ssl.rl import networks


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def constant_actor(mean: float, raw_log_std: float, action_size: int = 1) -> networks.Weights:
    """An actor that ignores its input."""
    weights = networks.init_actor(2, action_size, 4, generator())
    weights["weight2"].zero_()
    weights["bias2"][..., :action_size] = mean
    weights["bias2"][..., action_size:] = raw_log_std
    return weights


def test_log_prob_is_the_slope_of_the_cumulative_probability():
    actor = constant_actor(0.4, 0.3)
    embedding, noise = torch.zeros(5, 2), torch.linspace(-2, 2, 5)[:, None]
    action, log_prob = networks.sample_action(actor, embedding, noise)
    mean, log_std = networks.policy(actor, embedding)

    def cumulative(value: torch.Tensor) -> torch.Tensor:
        return 0.5 * (1 + torch.erf((torch.atanh(value) - mean.double()) / log_std.double().exp() / math.sqrt(2)))

    width, at = 1e-6, action.double()
    density = (cumulative(at + width) - cumulative(at - width)) / (2 * width)
    torch.testing.assert_close(log_prob.double(), density.log()[:, 0], atol=1e-4, rtol=1e-4)


def test_density_integrates_to_one_over_the_box():
    actor = constant_actor(-0.2, 0.1)
    mean, log_std = networks.policy(actor, torch.zeros(1, 2))
    actions = torch.linspace(-0.99999, 0.99999, 20001, dtype=torch.float64)
    noise = ((torch.atanh(actions) - mean[0].double()) / log_std[0].double().exp()).float()[:, None]
    _, log_prob = networks.sample_action(actor, torch.zeros(len(actions), 2), noise)
    assert abs(torch.trapezoid(log_prob.double().exp(), actions).item() - 1.0) < 1e-3


def test_log_prob_stays_finite_and_exact_where_tanh_rounds_to_one():
    actor = constant_actor(30.0, 0.0)
    action, log_prob = networks.sample_action(actor, torch.zeros(1, 2), torch.zeros(1, 1))
    log_std = networks.policy(actor, torch.zeros(1, 2))[1]
    # 1 - tanh(30)^2 = 4 exp(-60) to double precision
    expected = -log_std - 0.5 * math.log(2 * math.pi) - (math.log(4.0) - 60.0)
    assert action.item() == 1.0
    torch.testing.assert_close(log_prob, expected[:, 0])


def test_log_std_stays_inside_its_limits_with_gradient():
    for raw in (-3.0, 3.0):
        actor = constant_actor(0.0, raw)
        actor["bias2"].requires_grad_()
        _, log_std = networks.policy(actor, torch.zeros(1, 2))
        assert networks.LOG_STD_LOW <= log_std.item() <= networks.LOG_STD_HIGH
        (grad,) = torch.autograd.grad(log_std.sum(), actor["bias2"])
        assert grad[..., 1].item() > 0


def test_twin_critics_equal_two_separate_perceptrons():
    critic = networks.init_critic(5, 2, 16, generator())
    embedding, action = torch.randn(7, 5, generator=generator(1)), torch.rand(7, 2, generator=generator(2))
    values = networks.twin_values(critic, embedding, action)
    for index in range(2):
        x = torch.cat([embedding, action], -1)
        for layer in (0, 1):
            x = functional.linear(x, critic[f"weight{layer}"][index].T, critic[f"bias{layer}"][index, 0])
            x = functional.relu(functional.layer_norm(x, (16,)))
        x = functional.linear(x, critic["weight2"][index].T, critic["bias2"][index, 0])
        torch.testing.assert_close(values[index], x[:, 0])
    assert not torch.equal(values[0], values[1])


def test_same_seed_same_weights_and_a_new_actor_is_centred():
    first, second = (networks.init_actor(5, 2, 16, generator(3)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    mean, _ = networks.policy(first, torch.randn(32, 5, generator=generator()))
    assert mean.abs().max() < 0.1
