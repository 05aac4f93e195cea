"""Streams: step form = window form over all autoreset modes and snapshot swaps; embeddings of one version a step."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from counting_env import make_counting, play
from gymnasium.vector import AutoresetMode
from learners import small_config

from embodied_ssl.errors import SpecError
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.learner.snapshots import Snapshot


def counting_learner(mode=AutoresetMode.NEXT_STEP, **learner):
    envs = make_counting(mode)
    config = dataclasses.replace(
        small_config(**{"horizon_ticks": 3, "learning_starts": 30, **learner}),
        encoder=dataclasses.replace(small_config().encoder, context_ticks=4),
    )
    return envs, OnlineLearner.from_env(envs, config=config)


def window_form(learner, buffer):
    """The embeddings of the newest ticks from windows, by the newest snapshot."""
    encoder = copy.deepcopy(learner.model.encoder)
    encoder.load_state_dict(learner.snapshot.weights)
    lanes = np.arange(buffer.num_lanes)
    ends = torch.from_numpy(buffer.newest(lanes))
    with torch.no_grad():
        return encoder(buffer.gather(torch.from_numpy(lanes), ends, encoder.context_ticks))[:, 0]


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_embeddings_are_those_of_windows_while_versions_change(mode, record):
    envs, learner = counting_learner(mode)
    stream, num_checks = learner.stream(envs, record=record), 0

    def check(*_):
        nonlocal num_checks
        torch.testing.assert_close(stream.embed(), window_form(learner, stream.buffer), rtol=1e-5, atol=1e-5)
        num_checks += 1

    def observe(*outcome):
        stream.observe(*outcome)
        check()
        if num_checks % 7 == 0:  # a new version, as the learner would publish it
            for parameter in learner.model.encoder.parameters():
                parameter.data.add_(
                    0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(num_checks))
                )
            learner.publish()
            assert stream.version != learner.snapshot.version
            check()
            assert stream.version == learner.snapshot.version

    play(envs, mode, 40, stream.reset, observe)
    assert learner.snapshot.version > 4


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_mode_teaches_the_same(mode):
    def taught(mode):
        envs, learner = counting_learner(mode, update_to_data_ratio=0.05)
        stream = learner.stream(envs)
        play(envs, mode, 60, stream.reset, stream.observe)
        # Modes count env steps apart, so lanes hold other numbers of ticks; compare the common ticks of lane 0.
        ticks = torch.arange(40)
        return learner.buffer.gather(torch.zeros(40, dtype=torch.int64), ticks, 4)

    one, other = taught(mode), taught(AutoresetMode.DISABLED)
    assert torch.equal(one.rows["count"].values, other.rows["count"].values)
    assert torch.equal(one.valid, other.valid)
    assert torch.equal(one.action, other.action)
    assert torch.equal(one.terminated, other.terminated)


def test_embed_advances_nothing_and_follows_only_published_weights():
    envs, learner = counting_learner()
    stream = learner.stream(envs)
    stream.reset(*envs.reset(seed=0))
    first = stream.embed().clone()
    for parameter in learner.model.encoder.parameters():
        parameter.data.add_(1)
    assert torch.equal(stream.embed(), first)
    learner.publish()
    assert not torch.equal(stream.embed(), first)
    assert learner.env_steps == 3


def test_embeddings_can_be_trained_on():
    envs, learner = counting_learner()
    stream = learner.stream(envs)
    stream.reset(*envs.reset(seed=0))
    head = torch.nn.Linear(8, 2)
    head(stream.embed()).sum().backward()
    assert head.weight.grad is not None


def test_an_embedding_kept_by_the_caller_is_not_written_again():
    envs, learner = counting_learner()
    stream = learner.stream(envs)
    stream.reset(*envs.reset(seed=0))
    kept = stream.embed()
    copied = kept.clone()
    play(envs, AutoresetMode.NEXT_STEP, 5, stream.reset, stream.observe)
    assert torch.equal(kept, copied)


def test_an_evaluation_stream_teaches_nothing():
    envs, learner = counting_learner()
    stream = learner.stream(envs, record=False)
    play(envs, AutoresetMode.NEXT_STEP, 10, stream.reset, stream.observe)
    assert learner.env_steps == 0
    assert torch.isfinite(stream.embed()).all()


def test_embed_before_reset_is_one_line():
    envs, learner = counting_learner()
    with pytest.raises(SpecError, match="reset"):
        learner.stream(envs).embed()


def test_another_number_of_lanes_is_one_line():
    _, learner = counting_learner()
    with pytest.raises(SpecError, match="2 lanes, expected the learner's 3"):
        learner.stream(make_counting(AutoresetMode.NEXT_STEP, num_envs=2))


def test_a_restored_stream_goes_on_bit_for_bit():
    envs, learner = counting_learner()
    stream = learner.stream(envs)
    play(envs, AutoresetMode.NEXT_STEP, 9, stream.reset, stream.observe)
    state = stream.state()
    twin = learner.stream(envs)
    twin.load_state(state, learner.snapshot, stream.version)
    assert torch.equal(twin.embed(), stream.embed())
    observation = {"count": np.ones((3, 3), np.float32), "twice": np.ones((3, 3), np.float32)}
    step = (np.zeros((3, 2), np.float32), observation, np.zeros(3), np.zeros(3, bool), np.zeros(3, bool), {})
    stream.observe(*step)
    twin.observe(*step)  # appends the tick once more; the step form does not look back into the ring
    assert torch.equal(twin._state[:, :, :3], stream._state[:, :, :3])


def test_snapshots_are_not_written_while_learning_goes_on():
    from learners import fed_learner

    learner = fed_learner()
    learner.update(3)
    snapshot = learner.publish()
    assert isinstance(snapshot, Snapshot)
    before = {name: weight.clone() for name, weight in snapshot.weights.items()}
    learner.update()
    assert learner.snapshot.version > snapshot.version
    assert all(torch.equal(weight, before[name]) for name, weight in snapshot.weights.items())
