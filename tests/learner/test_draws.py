"""The learner draws what `sampling` says; the default is the buffer's own uniform draw, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learners import NUM_LANES, assert_bits_equal, fed_learner, feed, small_config, tensors_of
from streams import SPEC, TickSource

from embodied_ssl.buffer.sampling.from_config import window_source
from embodied_ssl.config import Config, SamplingConfig
from embodied_ssl.errors import ConfigError
from embodied_ssl.learner.draws import make_draws
from embodied_ssl.learner.online import OnlineLearner

MEMORY = SamplingConfig(kept_segments=6, segment_ticks=12, kept_share=0.5)


def learner_with(sampling: SamplingConfig) -> OnlineLearner:
    return OnlineLearner(SPEC, NUM_LANES, dataclasses.replace(small_config(), sampling=sampling))


def draws_of(learner: OnlineLearner, seed: int = 0):
    return make_draws(
        learner.buffer, learner.shape, learner.config.learner, {}, np.random.default_rng(seed), learner.window_source
    )


def test_the_default_is_the_buffers_own_draw():
    learner = fed_learner()
    config, rng = learner.config.learner, np.random.default_rng(0)
    lanes, ends = learner.buffer.draw(learner.shape, config.batch_size, rng, config.windows_per_episode)
    draws = draws_of(learner)
    np.testing.assert_array_equal(draws.lanes, lanes)
    np.testing.assert_array_equal(draws.ends, ends)
    # The generator stands where it would have stood, so all other draws are those of before.
    plain = make_draws(learner.buffer, learner.shape, config, {}, np.random.default_rng(0))
    for name, noise in draws.online.jitter.items():
        assert torch.equal(noise, plain.online.jitter[name])


def test_a_half_life_prefers_new_windows():
    source = TickSource(NUM_LANES, 0, end_chance=0.02)
    ages = {}
    for half_life in (0.0, 8.0):
        learner = learner_with(SamplingConfig(half_life_ticks=half_life, uniform_share=0.25))
        feed(learner, source, 150)
        drawn = [draws_of(learner, seed) for seed in range(40)]
        ages[half_life] = np.mean([(learner.buffer.newest(d.lanes.numpy()) - d.ends.numpy()).mean() for d in drawn])
    assert ages[8.0] < 0.6 * ages[0.0]


@pytest.mark.parametrize("keep", ["random", "least_redundant"])
def test_a_batch_of_two_tiers_is_one_batch_of_groups(keep):
    learner = learner_with(dataclasses.replace(MEMORY, keep=keep, distinct_episodes=True))
    source = TickSource(NUM_LANES, 1, end_chance=0.03)
    for _ in range(7):
        feed(learner, source, 40)
        draws_of(learner)
    draws = draws_of(learner)
    assert draws.kept is not None
    config = learner.config.learner
    windows = draws.gather(learner.buffer, learner.shape.length)
    assert len(windows.lane) == config.batch_size
    groups = (windows.lane * 2**32 + windows.start).view(-1, config.windows_per_episode)
    assert (groups == groups[:, :1]).all()
    assert len(groups[:, 0].unique()) == len(groups)
    kept = int((windows.lane >= NUM_LANES).sum())
    assert kept == len(draws.kept.lanes) == config.batch_size // 2
    assert bool(windows.lane[0] >= NUM_LANES) == draws.kept.first
    assert windows.valid[:, -1 - learner.shape.horizon :].all()


def with_restored_source(learner: OnlineLearner) -> None:
    """Put a freshly built source with the saved state in place of the learner's own."""
    saved = {name: value.clone() for name, value in learner.window_source.state().items()}
    fresh = window_source(learner.config.sampling, learner.buffer, learner.shape)
    fresh.load_state(saved)
    assert fresh.reservoir is not None
    assert fresh.reservoir.num_kept > 0
    learner.window_source = fresh


def test_learning_from_both_tiers_can_be_stopped_and_resumed():
    """Weights after a restore in between are those of no restore, and differ from those without a memory."""
    states = []
    for sampling, restores in ((MEMORY, False), (MEMORY, True), (SamplingConfig(), False)):
        learner, source = learner_with(sampling), TickSource(NUM_LANES, 2, end_chance=0.03)
        for round_number in range(10):
            feed(learner, source, 40)
            learner.update(max_updates=2)
            if restores and round_number == 7:
                with_restored_source(learner)
        states.append(tensors_of(learner))
    assert_bits_equal(states[0], states[1])
    assert any(not torch.equal(value, states[2][name]) for name, value in states[0].items())


@pytest.mark.parametrize("segment_ticks", [31, 700])
def test_segments_that_do_not_fit_are_refused_by_the_config(segment_ticks):
    with pytest.raises(ConfigError, match=r"sampling\.segment_ticks is .* more than context \+ horizon"):
        Config(sampling=SamplingConfig(kept_segments=4, segment_ticks=segment_ticks))
