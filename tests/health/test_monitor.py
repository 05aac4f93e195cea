"""Verdicts: what is ill is rolled back, what is merely new is not; the monitor changes nothing and can be resumed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from learners import NUM_LANES, TickSource, assert_bits_equal, fed_learner, feed, tensors_of

from embodied_ssl.config import HealthConfig
from embodied_ssl.health.monitor import HealthMonitor

CONFIG = HealthConfig(every=5, max_bad_updates=3, min_rank_fraction=0.2)


def watched(seed=0, **learner):
    made = fed_learner(seed, **learner)
    objectives: dict[str, Any] = dict(made.model.objectives.items())
    return made, HealthMonitor(made.model.encoder, objectives, made.shape, CONFIG, seed)


def test_a_learner_at_work_is_kept_and_not_touched():
    learner, monitor = watched()
    learner.update(10)
    before = tensors_of(learner)
    monitor.predict(learner.buffer)
    verdict = monitor.judge(learner.buffer, learner.read_metrics())
    assert verdict.action == "keep"
    assert_bits_equal(tensors_of(learner), before)
    assert {"effective_rank", "spread_min", "spread_median", "grad_norm", "skill_1"} <= verdict.gauges.keys()
    assert all(np.isfinite(value) for value in verdict.gauges.values())


def test_updates_that_are_not_finite_in_a_row_roll_back():
    learner, monitor = watched()
    learner.update(2)
    metrics = learner.read_metrics()
    assert monitor.judge(learner.buffer, {**metrics, "bad_run": 2.0}).action == "keep"
    verdict = monitor.judge(learner.buffer, {**metrics, "bad_run": 3.0})
    assert verdict.action == "roll_back"
    assert "3 updates in a row" in verdict.reason


def test_a_collapsed_encoder_rolls_back():
    learner, monitor = watched()
    with torch.no_grad():
        learner.model.encoder.core.norm.weight.zero_()
    verdict = monitor.judge(learner.buffer, {"grad_norm": 1.0})
    assert verdict.action == "roll_back"


def test_an_encoder_of_one_dimension_rolls_back_for_its_rank():
    learner, monitor = watched()
    with torch.no_grad():
        learner.model.encoder.core.norm.weight[1:] = 0
    verdict = monitor.judge(learner.buffer, {"grad_norm": 1.0})
    assert verdict.action == "roll_back"
    assert "rank" in verdict.reason


def test_weights_that_are_not_finite_roll_back():
    learner, monitor = watched()
    learner.model.encoder.core.norm.bias.data.fill_(torch.nan)
    monitor.predict(learner.buffer)
    assert monitor.judge(learner.buffer, {"grad_norm": 1.0}).action == "roll_back"
    learner.roll_back()
    monitor.predict(learner.buffer)
    feed(learner, TickSource(NUM_LANES, 6, end_chance=0.0), 10)
    monitor.predict(learner.buffer)
    verdict = monitor.judge(learner.buffer, {"grad_norm": 1.0})
    assert verdict.action == "keep"
    assert all(np.isfinite(value) for value in verdict.gauges.values())


def with_skills(monitor, *skills):
    """The actions for a series of skills, all else healthy."""
    gauges = {"effective_rank": 8.0, "spread_median": 1.0, "spread_min": 1.0, "grad_norm": 1.0}
    return [monitor._verdict({**gauges, "skill_1": skill, "skill_5": skill}, 0.0).action for skill in skills]


def test_a_fall_in_skill_is_never_rolled_back_and_the_bar_comes_down():
    _, monitor = watched()
    actions = with_skills(monitor, 0.1, 0.5, 0.45, *[-0.5] * 40)
    assert actions[:3] == ["keep"] * 3
    assert actions[3] == "nothing"
    assert "roll_back" not in actions
    assert actions[-1] == "keep"


def test_an_explosion_of_the_gradient_is_not_kept():
    _, monitor = watched()
    gauges = {"effective_rank": 8.0, "spread_median": 1.0, "spread_min": 1.0}
    actions = [monitor._verdict({**gauges, "grad_norm": norm}, 0.0).action for norm in (1.0, 1.2, 50.0, 1.0)]
    assert actions == ["keep", "keep", "nothing", "keep"]


def test_a_change_of_the_input_is_no_illness():
    learner, monitor = watched(update_to_data_ratio=0.05)
    source, actions = TickSource(NUM_LANES, 5, end_chance=0.02), []
    for step in range(60):
        tick = source.tick()
        if step >= 30:  # the world changes: every vector sensor gets another scale and offset
            rows = {k: v * 3 + 400 if v.dtype != np.uint8 else v for k, v in tick.rows.items()}
            tick = dataclasses.replace(tick, rows=rows)
        learner.buffer.append(tick)
        monitor.predict(learner.buffer)
        if learner.update():
            actions.append(monitor.judge(learner.buffer, learner.read_metrics()).action)
    assert len(actions) > 5
    assert "roll_back" not in actions


def test_a_tick_is_predicted_once():
    learner, monitor = watched()
    assert monitor.skill is not None
    monitor.predict(learner.buffer)
    errors = {h: e.clone() for h, e in monitor.skill.errors.items()}
    monitor.predict(learner.buffer)
    assert all(torch.equal(monitor.skill.errors[h], e) for h, e in errors.items())


def test_a_resumed_monitor_goes_on_bit_for_bit():
    learner, monitor = watched()
    source = TickSource(NUM_LANES, 5, end_chance=0.02)

    def advance(*monitors):
        feed(learner, source, 2)
        learner.update(1)
        metrics = learner.read_metrics()
        for each in monitors:
            each.predict(learner.buffer)
        return [each.judge(learner.buffer, metrics) for each in monitors]

    for _ in range(5):
        advance(monitor)
    tensors, facts = monitor.state()
    _, resumed = watched(seed=9)
    resumed.encoder = monitor.encoder
    assert resumed.skill is not None
    assert monitor.skill is not None
    resumed.skill.encoder, resumed.skill.forward = monitor.skill.encoder, monitor.skill.forward
    resumed.load_state({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts, allow_nan=False)))
    for _ in range(4):
        first, second = advance(monitor, resumed)
        assert first == second


@pytest.mark.parametrize("drop", ["forward_prediction"])
def test_without_a_forward_objective_there_is_no_skill_and_still_a_verdict(drop):
    learner, _ = watched()
    objectives: dict[str, Any] = {k: v for k, v in learner.model.objectives.items() if k != drop}
    monitor = HealthMonitor(learner.model.encoder, objectives, learner.shape, CONFIG, 0)
    monitor.predict(learner.buffer)
    verdict = monitor.judge(learner.buffer, {"grad_norm": 1.0})
    assert verdict.action == "keep"
    assert not any(name.startswith("skill") for name in verdict.gauges)
