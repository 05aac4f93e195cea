"""What every registered objective promises, whatever it computes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from latents import BATCH, DIMS, make_latents, select, with_all_masked

from embodied_ssl.objectives import OBJECTIVES

SEEDS = range(4)
OPTIONS = {"sensor_reconstruction": {"num_ticks": 3}}
"""Options of objectives whose defaults do not fit the small made-up context."""


def build(name, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OBJECTIVES[name](DIMS, **OPTIONS.get(name, {}))


def draws_of(objective, seed=0):
    return {k: torch.from_numpy(v) for k, v in objective.draw(BATCH, np.random.default_rng(seed)).items()}


@pytest.fixture(params=list(OBJECTIVES))
def objective(request):
    return build(request.param)


def test_the_loss_is_a_finite_scalar_and_so_are_the_metrics(objective):
    for seed in SEEDS:
        loss, metrics = objective(make_latents(seed), draws_of(objective, seed))
        assert loss.shape == ()
        assert torch.isfinite(loss)
        assert all(value.shape == () and torch.isfinite(value) for value in metrics.values())


def test_gradient_reaches_the_embedding_and_every_weight_but_never_the_target(objective):
    latents = make_latents()
    online, target = latents.online.requires_grad_(), latents.target.requires_grad_()
    loss, _ = objective(dataclasses.replace(latents, online=online, target=target.detach()), draws_of(objective))
    loss.backward()
    assert online.grad is not None
    assert online.grad.abs().sum() > 0
    assert target.grad is None
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in objective.parameters())


def test_weights_and_draws_are_those_of_the_seed(objective):
    name = next(name for name in OBJECTIVES if OBJECTIVES[name] is type(objective))
    first, _ = objective(make_latents(1), draws_of(objective, 5))
    second, _ = build(name)(make_latents(1), draws_of(build(name), 5))
    assert torch.equal(first, second)


def test_forward_draws_nothing(objective):
    latents, draws = make_latents(), draws_of(objective)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    objective(latents, draws)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numpy_state)  # noqa: NPY002


def test_rotating_the_episode_groups_changes_nothing(objective):
    # Rotation, not any permutation: contrast takes negatives of another episode from the next group.
    order = torch.arange(BATCH).roll(DIMS.windows_per_episode)
    for seed in SEEDS:
        latents, draws = make_latents(seed), draws_of(objective, seed)
        loss, _ = objective(latents, draws)
        rotated, _ = objective(select(latents, order), {k: v[order] for k, v in draws.items()})
        torch.testing.assert_close(rotated, loss, rtol=1e-5, atol=1e-6)


def test_what_is_masked_has_exactly_no_influence(objective):
    for seed in SEEDS:
        latents, draws = make_latents(seed), draws_of(objective, seed)
        assert not latents.valid.all(), "the made-up latents must hold invalid positions"
        loss, _ = objective(latents, draws)
        noise = make_latents(seed + 100)
        changed = dataclasses.replace(
            latents,
            online=torch.where(latents.valid[..., None], latents.online, noise.online),
            target=torch.where(latents.valid[..., None], latents.target, noise.target),
            action=torch.where(latents.action_mask[..., None], latents.action, noise.action),
            readings=torch.where(latents.readings_mask, latents.readings, noise.readings),
        )
        perturbed, _ = objective(changed, draws)
        assert torch.equal(perturbed, loss)


def test_masked_positions_get_no_gradient(objective):
    latents = make_latents()
    latents.online.requires_grad_()
    objective(latents, draws_of(objective))[0].backward()
    assert latents.online.grad is not None
    assert not latents.online.grad[~latents.valid].any()


def test_nothing_breaks_when_everything_is_masked(objective):
    latents = with_all_masked(make_latents())
    latents.online.requires_grad_()
    loss, metrics = objective(latents, draws_of(objective))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert latents.online.grad is None or not latents.online.grad.any()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in objective.parameters())


def test_bfloat16_latents_give_a_finite_loss(objective):
    latents = make_latents()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = objective(latents, draws_of(objective))
    exact, _ = objective(latents, draws_of(objective))
    torch.testing.assert_close(loss.float(), exact, rtol=0.05, atol=0.05)
