"""Temporal contrast against a plain loop over pairs, and the rules for its candidates."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from latents import BATCH, DIMS, make_latents

from embodied_ssl.errors import ConfigError
from embodied_ssl.objectives.contrast import TemporalContrast


def build(dims=DIMS, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return TemporalContrast(dims, **options)


def draws_of(objective, seed, batch=BATCH):
    return {k: torch.from_numpy(v) for k, v in objective.draw(batch, np.random.default_rng(seed)).items()}


def pairs_of(latents, draws, group, dims):
    """Yield (window, anchor position, positive position) of a group, in order."""
    first = group * dims.windows_per_episode
    for window in range(first, first + dims.windows_per_episode):
        for k in range(draws["anchor"].shape[1]):
            anchor = int(draws["anchor"][window, k])
            yield window, anchor, anchor + int(draws["gap"][window, k])


def plain_loop(objective, latents, draws):
    """InfoNCE pair by pair as the docstring states it; returns the loss and the candidate counts (own, other)."""
    dims, losses, counts = objective.dims, [], []
    num_groups = len(latents.episode) // dims.windows_per_episode
    usable = lambda w, a, p: bool(latents.valid[w, a]) and bool(latents.valid[w, p])  # noqa: E731
    for group in range(num_groups):
        own = list(pairs_of(latents, draws, group, dims))
        neighbours = list(pairs_of(latents, draws, (group + 1) % num_groups, dims))
        for window, anchor, positive in own:
            if not usable(window, anchor, positive):
                continue
            query = latents.online[window, anchor]
            query = (query + objective.anchor(query)) @ objective.bilinear
            score = lambda w, p: float(query @ latents.target[w, p])  # noqa: E731, B023
            ticks = [int(latents.tick[window, at]) for at in (anchor, positive)]
            negatives = [
                score(w, p)
                for w, a, p in own
                if usable(w, a, p) and all(abs(int(latents.tick[w, p]) - t) >= objective.min_gap for t in ticks)
            ]
            if not negatives:
                continue
            others = [
                score(w, p)
                for w, a, p in neighbours
                if usable(w, a, p) and latents.episode[w] != latents.episode[window]
            ][: len(negatives)]
            logits = [score(window, positive), *negatives, *others]
            losses.append(math.log(sum(math.exp(x) for x in logits)) - logits[0])
            counts.append((len(negatives), len(others)))
    return np.mean(losses) if losses else 0.0, counts


@pytest.mark.parametrize("seed", range(6))
def test_the_loss_is_that_of_the_plain_loop(seed):
    objective, latents = build(), make_latents(seed)
    draws = draws_of(objective, seed)
    with torch.no_grad():
        expected, counts = plain_loop(objective, latents, draws)
        loss, metrics = objective(latents, draws)
    assert counts, "some pairs must count"
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(metrics["num_candidates"]) == pytest.approx(np.mean([1 + a + b for a, b in counts]), rel=1e-5)


def test_two_groups_of_one_episode_give_no_negatives_to_each_other():
    objective, latents = build(), make_latents(2)
    latents = dataclasses.replace(latents, episode=torch.zeros_like(latents.episode))
    draws = draws_of(objective, 2)
    with torch.no_grad():
        expected, counts = plain_loop(objective, latents, draws)
        loss, _ = objective(latents, draws)
    assert all(others == 0 for _, others in counts)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_at_least_half_of_the_negatives_come_from_the_own_episode(seed):
    objective, latents = build(), make_latents(seed)
    draws = draws_of(objective, seed)
    anchor, positive = draws["anchor"], draws["anchor"] + draws["gap"]
    usable = latents.valid.gather(1, anchor) & latents.valid.gather(1, positive)
    key = latents.target.gather(1, positive[..., None].expand(-1, -1, DIMS.features_dim))
    tick = latents.tick.gather(1, positive)
    from_tick = latents.tick.gather(1, anchor)
    own, other = objective._logits(key, key, from_tick, tick, latents.episode, usable)
    assert ((other > -torch.inf).sum(-1) <= (own > -torch.inf).sum(-1) - 1).all()
    assert (other > -torch.inf).any()


def test_a_candidate_near_the_positive_is_no_negative():
    objective = build(num_pairs=1)
    latents = make_latents(0)
    tick = torch.arange(1000, 1000 + DIMS.num_positions).expand_as(latents.tick)
    latents = dataclasses.replace(latents, tick=tick, valid=torch.ones_like(latents.valid))
    draws = {"anchor": torch.zeros(BATCH, 1, dtype=torch.int64), "gap": torch.full((BATCH, 1), objective.min_gap)}
    with torch.no_grad():
        loss, metrics = objective(latents, draws)  # all windows of a group have the same positive tick: none counts
    assert float(loss) == 0.0
    assert float(metrics["num_candidates"]) == 0.0


def test_gaps_share_at_most_half_of_the_context_and_stay_in_the_window():
    objective = build()
    draws = objective.draw(500, np.random.default_rng(0))
    gap, positive = draws["gap"], draws["anchor"] + draws["gap"]
    assert gap.min() == math.ceil(DIMS.context_ticks / 2)
    assert gap.max() == DIMS.horizon_ticks
    assert draws["anchor"].min() == 0
    assert positive.max() == DIMS.horizon_ticks


def test_the_right_positive_is_worth_more_than_a_wrong_one():
    objective, latents = build(), make_latents(1)
    latents = dataclasses.replace(latents, valid=torch.ones_like(latents.valid))
    objective.bilinear.data = torch.eye(DIMS.features_dim) * 5
    for parameter in objective.anchor.parameters():
        parameter.data.zero_()
    draws = draws_of(objective, 0)
    aligned = latents.online.clone()
    aligned.scatter_(
        1,
        draws["anchor"][..., None].expand(-1, -1, DIMS.features_dim),
        latents.target.gather(1, (draws["anchor"] + draws["gap"])[..., None].expand(-1, -1, DIMS.features_dim)),
    )
    with torch.no_grad():
        good, metrics = objective(dataclasses.replace(latents, online=aligned), draws)
        bad, _ = objective(latents, draws)
    assert float(good) < float(bad)
    assert float(metrics["top1"]) > 0.5


def test_a_horizon_below_half_the_context_is_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"learner\.horizon_ticks") as error:
        build(dataclasses.replace(DIMS, context_ticks=16, horizon_ticks=3))
    assert "\n" not in str(error.value)
