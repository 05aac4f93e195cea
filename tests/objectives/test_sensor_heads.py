"""Reconstruction, inverse dynamics and spread against plain loops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from latents import DIMS, ReadingErrors, make_latents

from embodied_ssl.errors import ConfigError
from embodied_ssl.objectives.inverse import InverseDynamics
from embodied_ssl.objectives.reconstruction import SensorReconstruction
from embodied_ssl.objectives.spread import Spread


def build(kind, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return kind(DIMS, **options)


@pytest.mark.parametrize("num_ticks", [1, 3, DIMS.context_ticks])
def test_reconstruction_decodes_levels_and_changes_of_the_last_ticks(num_ticks):
    objective = build(SensorReconstruction, num_ticks=num_ticks, change_weight=0.3)
    latents = make_latents(1)
    errors = ReadingErrors()
    for window, position in latents.valid.nonzero().tolist():
        decoded = objective.decoder(latents.online[window, position]).detach().view(num_ticks, DIMS.readings_dim)
        for t in range(num_ticks):
            tick = DIMS.context_ticks - num_ticks + position + t
            errors.add(latents, window, tick, decoded[t], decoded[t - 1] if t else None)
    level, change = errors.means()
    loss, metrics = objective(latents, {})
    assert float(metrics["level"].detach()) == pytest.approx(level, rel=1e-4)
    assert float(metrics["change"].detach()) == pytest.approx(change, rel=1e-4)
    assert float(loss.detach()) == pytest.approx(level + 0.3 * change, rel=1e-4)


@pytest.mark.parametrize("num_ticks", [0, DIMS.context_ticks + 1])
def test_reconstruction_refuses_ticks_that_the_embedding_does_not_see(num_ticks):
    with pytest.raises(ConfigError, match="num_ticks"):
        build(SensorReconstruction, num_ticks=num_ticks)


def test_inverse_dynamics_reads_the_action_between_two_embeddings():
    objective, latents = build(InverseDynamics), make_latents(2)
    squares = []
    for window in np.flatnonzero(latents.action_hidden.numpy()):
        for position in range(DIMS.num_positions - 1):
            tick = DIMS.context_ticks + position
            if latents.valid[window, position] and latents.action_mask[window, tick]:
                difference = latents.online[window, position + 1] - latents.online[window, position]
                squares += (objective.readout(difference) - latents.action[window, tick]).square().tolist()
    loss, _ = objective(latents, {})
    assert float(loss.detach()) == pytest.approx(np.mean(squares), rel=1e-4)


def test_inverse_dynamics_asks_only_windows_whose_actions_were_hidden():
    objective, latents = build(InverseDynamics), make_latents(3)
    shown = ~latents.action_hidden
    changed = dataclasses.replace(
        latents,
        action=latents.action + shown[:, None, None],
        online=latents.online + torch.randn_like(latents.online) * shown[:, None, None],
    )
    assert torch.equal(objective(changed, {})[0], objective(latents, {})[0])
    all_shown = dataclasses.replace(latents, action_hidden=torch.zeros_like(shown))
    assert float(objective(all_shown, {})[0].detach()) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_spread_is_the_hinge_and_covariance_of_numpy(seed):
    objective, latents = build(Spread, covariance_weight=0.3), make_latents(seed)
    rows = latents.online[latents.valid].double().numpy()
    covariance = np.cov(rows, rowvar=False)
    hinge = np.maximum(0, 1 - np.sqrt(np.diag(covariance) + 1e-4)).mean()
    off = covariance - np.diag(np.diag(covariance))
    loss, metrics = objective(latents, {})
    assert float(loss) == pytest.approx(hinge + 0.3 * (off**2).sum() / DIMS.features_dim, rel=1e-4)
    assert float(metrics["std_min"]) == pytest.approx(np.sqrt(np.diag(covariance) + 1e-4).min(), rel=1e-4)


def test_spread_pushes_a_collapsed_embedding_apart():
    objective, latents = build(Spread), make_latents(0)
    online = (1e-3 * latents.online).requires_grad_()
    valid = torch.ones_like(latents.valid)
    loss, _ = objective(dataclasses.replace(latents, online=online, valid=valid), {})
    loss.backward()
    assert online.grad is not None
    stepped = (online - 100 * online.grad).detach()
    assert stepped.flatten(0, 1).std(0).mean() > online.detach().flatten(0, 1).std(0).mean()
