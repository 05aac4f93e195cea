"""The update: deterministic, blind to global generators, and harmless when a batch is not finite."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learners import assert_bits_equal, fed_learner, make_learner, poisoned, small_config, tensors_of
from streams import SPEC

from embodied_ssl.errors import ConfigError
from embodied_ssl.learner import online


def test_one_seed_gives_one_set_of_weights_and_another_seed_another():
    runs = []
    for seed in (0, 0, 1):
        learner = make_learner(seed)
        learner.buffer = fed_learner(7).buffer
        assert learner.update() > 10
        runs.append(tensors_of(learner))
    assert_bits_equal(runs[0], runs[1])
    assert not torch.equal(runs[0]["model.encoder.core.read.weight"], runs[2]["model.encoder.core.read.weight"])


def test_global_generators_are_neither_moved_nor_read():
    torch.manual_seed(11)
    before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first = fed_learner()
    first.update()
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numpy_before)  # noqa: NPY002
    torch.manual_seed(12)
    np.random.seed(12)  # noqa: NPY002
    second = fed_learner()
    second.update()
    assert_bits_equal(tensors_of(first), tensors_of(second))


def test_learning_moves_every_weight_and_lowers_the_loss():
    learner = fed_learner(lr=1e-2)
    before = tensors_of(learner)
    learner.update(5)
    early = learner.read_metrics()["loss"]
    learner.update()
    for _ in range(60):
        learner._update_once()
    late = learner.read_metrics()
    assert late["loss"] < early
    assert late["bad"] == 0
    after = tensors_of(learner)
    still = [name for name in before if name.endswith("weight") and torch.equal(before[name], after[name])]
    assert not still


def test_the_target_follows_at_tau():
    learner = fed_learner(ema_tau=0.25)
    targets = list(learner.model.target_encoder.parameters())
    old = [target.clone() for target in targets]
    learner.update(1)
    for was, target, weight in zip(old, targets, learner.model.encoder.parameters(), strict=True):
        torch.testing.assert_close(target, was + 0.25 * (weight - was))


def test_the_rate_warms_up_linearly_and_then_stays():
    learner = fed_learner(lr=4e-3, warmup_updates=4)
    rates = []
    for _ in range(6):
        learner.update(1)
        rates.append(float(learner.update_step.optimizer.param_groups[0]["lr"]))
    assert rates == pytest.approx([1e-3, 2e-3, 3e-3, 4e-3, 4e-3, 4e-3])


def test_gradients_are_clipped_to_the_norm():
    learner = fed_learner(clip_norm=1e-3)
    learner.update(1)
    norm = torch.stack([p.grad.norm() for p in learner.update_step.parameters if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)
    assert learner.read_metrics()["grad_norm"] > 1e-3


@pytest.mark.parametrize("num_before", [0, 4])
def test_a_batch_that_is_not_finite_leaves_every_bit_and_is_counted(num_before, monkeypatch):
    learner = fed_learner()
    learner.update(num_before)
    learner.read_metrics()
    before = tensors_of(learner)
    draws = poisoned(learner)
    monkeypatch.setattr(online, "make_draws", lambda *_: draws)
    for _ in range(3):
        learner._update_once()
    after = tensors_of(learner)
    if not num_before:  # the optimiser makes its moments at the first step, good or bad: zeros
        assert not any(v.any() for k, v in after.items() if k.startswith("optimizer."))
        after = {k: v for k, v in after.items() if k in before}
    assert_bits_equal(before, after)
    metrics = learner.read_metrics()
    assert metrics["bad"] == 3
    assert metrics["bad_run"] == 3
    assert all(np.isfinite(value) for value in metrics.values())
    monkeypatch.undo()
    learner._update_once()
    assert learner.read_metrics()["bad_run"] == 0
    assert not torch.equal(learner.model.encoder.core.read.weight, before["model.encoder.core.read.weight"])


def test_means_leave_bad_updates_out(monkeypatch):
    learner, alike = fed_learner(), fed_learner()
    alike._update_once()
    expected = alike.read_metrics()
    learner._update_once()
    draws = poisoned(learner)
    monkeypatch.setattr(online, "make_draws", lambda *_: draws)
    learner._update_once()
    metrics = learner.read_metrics()
    assert {k: v for k, v in metrics.items() if not k.startswith("bad")} == {
        k: v for k, v in expected.items() if not k.startswith("bad")
    }


def test_rolling_back_restores_the_healthy_state_and_publishes_it():
    learner = fed_learner()
    learner.update(4)
    learner.mark_healthy()
    healthy = tensors_of(learner)
    learner.update(4)
    for parameter in learner.model.encoder.parameters():
        parameter.data.fill_(torch.nan)
    version = learner.snapshot.version
    learner.roll_back()
    assert_bits_equal(tensors_of(learner), healthy)
    assert learner.snapshot.version == version + 1
    assert all(torch.isfinite(weight).all() for weight in learner.snapshot.weights.values())
    learner.update(2)  # goes on, and the kept state is not touched by it
    learner.roll_back()
    assert_bits_equal(tensors_of(learner), healthy)


def test_an_extra_loss_reaches_the_encoder_and_is_reported():
    learner, alike = fed_learner(), fed_learner()
    learner.update_step.extra_losses["pull"] = lambda latents, windows: (
        latents.online.square().mean(),
        {"one": torch.ones(())},
    )
    learner.update(1)
    alike.update(1)
    pulled, plain = (each.model.encoder.core.read.weight.grad for each in (learner, alike))
    assert pulled is not None
    assert plain is not None
    assert not torch.equal(pulled, plain)
    metrics = learner.read_metrics()
    assert metrics["loss/pull"] > 0
    assert metrics["pull/one"] == 1


def test_updates_follow_the_ratio_and_wait_for_the_start():
    learner = make_learner(learning_starts=60, update_to_data_ratio=0.1)
    filled = fed_learner(num_ticks=19)
    learner.buffer = filled.buffer
    assert learner.update() == 0
    learner.buffer = fed_learner(num_ticks=100).buffer  # 300 lane-ticks
    assert learner.update(3) == 3
    assert learner.update() == 24 - 3
    assert learner.update() == 0


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"temporal_contrst": {}}, "temporal_contrast"),
        ({"spread": {"covariance_wight": 1.0}}, "covariance_weight"),
        ({"spread": {"weight": "1e-3"}}, "expected a number"),
        ({"spread": {"weight": -1.0}}, "expected a number"),
        ({"spread": {"weight": float("nan")}}, "expected a number"),
    ],
)
def test_a_wrong_objective_is_one_helpful_line(objectives, message):
    with pytest.raises(ConfigError, match=message) as error:
        online.OnlineLearner(SPEC, 2, dataclasses.replace(small_config(), objectives=objectives))
    assert "\n" not in str(error.value)
