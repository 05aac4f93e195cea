"""Forward prediction against a plain loop over anchors and steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from latents import BATCH, DIMS, ReadingErrors, make_latents

from embodied_ssl.objectives.forward import ForwardPrediction


def build(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return ForwardPrediction(DIMS, **options)


def plain_loop(objective, latents):
    """All terms step by step: levels and changes of readings from the anchor on, embeddings at least C / 2 ahead."""
    errors, distances = ReadingErrors(), []
    for window in range(BATCH):
        for anchor in objective.anchors:
            if not latents.valid[window, anchor]:
                continue
            state, before = latents.online[window, anchor], None
            for position in range(anchor, DIMS.num_positions):
                tick = DIMS.context_ticks - 1 + position
                if position > anchor:
                    state = state + objective.transition(torch.cat([state, latents.action[window, tick]]))
                predicted = objective.sensors(state)
                errors.add(latents, window, tick, predicted, before)
                before = predicted
                if position - anchor >= DIMS.context_ticks / 2:
                    a, b = objective.predictor(state), latents.target[window, position]
                    distances.append(1 - float(a @ b / (a.norm() * b.norm())))
    return (*errors.means(), np.mean(distances))


@pytest.mark.parametrize(("seed", "num_anchors"), [(0, 1), (1, 2), (2, 3), (3, 6)])
def test_all_terms_are_those_of_the_plain_loop(seed, num_anchors):
    objective = build(num_anchors=num_anchors, latent_weight=0.7, change_weight=0.2)
    latents = make_latents(seed)
    with torch.no_grad():
        level, change, latent = plain_loop(objective, latents)
        loss, metrics = objective(latents, {})
    assert float(metrics["level"]) == pytest.approx(level, rel=1e-4)
    assert float(metrics["change"]) == pytest.approx(change, rel=1e-4)
    assert float(metrics["latent"]) == pytest.approx(latent, rel=1e-4)
    assert float(loss) == pytest.approx(level + 0.2 * change + 0.7 * latent, rel=1e-4)


def test_the_first_anchor_is_the_first_position_and_all_lie_in_the_window():
    for num_anchors in range(1, DIMS.num_positions + 1):
        anchors = build(num_anchors=num_anchors).anchors
        assert anchors[0] == 0
        assert len(set(anchors)) == num_anchors
        assert max(anchors) < DIMS.num_positions


def test_the_rollout_is_causal_in_its_actions():
    objective = build()
    start, actions = torch.randn(2, DIMS.features_dim), torch.randn(2, 4, DIMS.action_size)
    changed = actions.clone()
    changed[:, 2] += 1
    before, after = objective.rollout(start, actions), objective.rollout(start, changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] != after[:, 2:]).any(dim=(0, 2)).all()


def test_near_latents_are_no_targets_but_near_readings_are():
    objective, latents = build(num_anchors=1), make_latents(5)
    near = latents.target.clone()
    near[:, 1 : objective.min_gap] += 1
    same, _ = objective(latents, {})
    assert torch.equal(objective(dataclasses.replace(latents, target=near), {})[0], same)
    readings = latents.readings.clone()
    readings[:, DIMS.context_ticks] += 1
    assert not torch.equal(objective(dataclasses.replace(latents, readings=readings), {})[0], same)
