"""Predict-then-learn skill: its references are as good as the closed form, and it flatters nobody."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learners import NUM_LANES, make_learner

from embodied_ssl.encoders.standardizer import Standardizer
from embodied_ssl.health.skill import SkillGauge
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

SPEC = StreamSpec((SensorSpec("x", "joint", (1,), rate_hz=20.0),), action_size=1, control_hz=20.0)
LANES = np.arange(NUM_LANES)


def ticks_of(step, num_ticks, seed=0, reset_every=60):
    """Ticks of a scalar process ``step(past, action, rng)``, each lane its own, in episodes."""
    rng = np.random.default_rng(seed)
    past = rng.standard_normal((2, NUM_LANES)).astype(np.float64)
    for t in range(num_ticks):
        action = rng.uniform(-1, 1, NUM_LANES)
        is_first = np.full(NUM_LANES, t % reset_every == 0)
        past = np.stack([step(past, action, rng), past[0]])
        yield Tick(
            lanes=LANES,
            rows={"x": past[0].astype(np.float32)[:, None, None]},
            fresh={"x": np.ones((NUM_LANES, 1), bool)},
            age_s={"x": np.zeros((NUM_LANES, 1), np.float32)},
            action=(action * ~is_first).astype(np.float32)[:, None],
            reward=np.zeros(NUM_LANES, np.float32),
            is_first=is_first,
            terminated=np.zeros(NUM_LANES, bool),
            truncated=np.zeros(NUM_LANES, bool),
        )


def gauge_of(step, num_ticks=900):
    """A gauge that has run over the process beside an untrained model; returns it with a scale of sensor units."""
    learner = make_learner(spec=SPEC)
    forward = learner.model.objectives["forward_prediction"]
    gauge = SkillGauge(learner.model.encoder, forward, forgetting=1.0)  # pyright: ignore[reportArgumentType]
    rng = np.random.default_rng(1)
    length = learner.shape.length
    for t, tick in enumerate(ticks_of(step, num_ticks)):
        learner.buffer.append(tick)
        if t == 100:
            everything = learner.buffer.gather(torch.arange(NUM_LANES), torch.full((NUM_LANES,), 99), 100)
            learner.model.encoder.observe_statistics(everything)
        if t > 110 and learner.buffer.num_legal(learner.shape):
            newest = torch.full((NUM_LANES,), t)
            start, _ = learner.buffer.table.bounds(LANES, newest.numpy())
            if t > 500 and t - start[0] >= learner.shape.horizon:
                gauge.predict(learner.buffer.gather(torch.arange(NUM_LANES), newest, length))
            lanes, ends = learner.buffer.draw(learner.shape, 40, rng)
            gauge.learn(learner.buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), length))
    return gauge


def ar1(past, action, rng):
    return 0.9 * past[0] + 0.3 * rng.standard_normal(NUM_LANES)


def driven(past, action, rng):
    return 0.8 * past[0] + 0.6 * action + 0.1 * rng.standard_normal(NUM_LANES)


def oscillator(past, action, rng):
    return 1.95 * past[0] - 0.96 * past[1] + 0.05 * rng.standard_normal(NUM_LANES)


@pytest.mark.parametrize(
    ("step", "coefficients", "noise"),
    [(ar1, (0.9, 0.0), 0.3), (driven, (0.8, 0.0), 0.1), (oscillator, (1.95, -0.96), 0.05)],
)
def test_the_linear_reference_is_as_good_as_the_closed_form(step, coefficients, noise):
    gauge = gauge_of(step)
    standardizer = gauge.encoder.tokenizers[0].standardizer
    assert isinstance(standardizer, Standardizer)
    scale = float(standardizer.variance)
    response = [1.0]  # of the process to a unit of noise: the best forecast's error is the sum of its squares
    for _ in range(3):
        past = [0.0, *response]
        response.append(coefficients[0] * past[-1] + coefficients[1] * (past[-2] if len(past) > 2 else 0.0))
    for horizon, errors in gauge.errors.items():
        persistence, mean = (float(e) for e in errors[1:3, 0])
        linear = float(errors[3:, 0].min())
        best = noise**2 * sum(r * r for r in response[:horizon]) / scale
        assert linear / count_scored() == pytest.approx(best, rel=0.25), f"horizon {horizon}"
        assert linear <= min(persistence, mean) * 1.02


def count_scored():
    """Predictions that `gauge_of` scores: ticks after 500 that lie a horizon into their episode, in every lane."""
    horizon = make_learner(spec=SPEC).shape.horizon
    return NUM_LANES * sum(t % 60 >= horizon for t in range(501, 900))


def test_an_untrained_model_has_no_skill():
    gauge = gauge_of(driven)
    skills = gauge.read()
    assert skills
    assert all(skill < 0.05 for skill in skills.values())


def test_skill_is_one_minus_the_error_over_that_of_the_best_reference():
    learner = make_learner(spec=SPEC)
    gauge = SkillGauge(learner.model.encoder, learner.model.objectives["forward_prediction"])  # pyright: ignore[reportArgumentType]
    assert gauge.read() == {}
    gauge.errors[1] = torch.tensor([[2.0, 9.0, 1.0], [8.0, 3.0, 9.0], [4.0, 9.0, 9.0], [5.0, 9.0, 2.0]])
    assert gauge.read() == {"skill_1": pytest.approx(0.5)}  # 1 - 2/4, 1 - 9/3, 1 - 1/2: the median


def test_horizons_end_with_the_window():
    learner = make_learner(spec=SPEC)
    gauge = SkillGauge(learner.model.encoder, learner.model.objectives["forward_prediction"])  # pyright: ignore[reportArgumentType]
    assert max(gauge.horizons) <= learner.shape.horizon
    assert gauge.horizons[0] == 1
