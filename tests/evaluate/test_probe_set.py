import dataclasses

import numpy as np
import pytest
import torch

from embodied_ssl.config import EnvConfig
from embodied_ssl.encoders.tokenizers import RowTokenizer
from embodied_ssl.errors import RunError
from embodied_ssl.evaluate.action_sources import KINDS, PATTERN, action_sequences
from embodied_ssl.evaluate.embeddings import embed_all
from embodied_ssl.evaluate.feature_sets import Bench
from embodied_ssl.evaluate.nulls import frozen_random
from embodied_ssl.evaluate.probe_set import collect_probe_set, privileged_groups
from embodied_ssl.sources.envs import make_env


def test_same_set_for_every_run_whatever_its_lanes(probe_set, other_env, spec):
    again = collect_probe_set(other_env, spec, 8, 4, 6)
    assert again.content_hash == probe_set.content_hash
    fewer = collect_probe_set(other_env, spec, 4, 4, 6)
    assert fewer.content_hash != probe_set.content_hash


def test_one_episode_a_lane_with_its_final_tick(probe_set):
    assert (probe_set.lengths == 41).all()
    assert len(probe_set.ticks) == 41
    assert probe_set.ticks[0].is_first.all()
    assert not any(tick.is_first.any() for tick in probe_set.ticks[1:])
    assert probe_set.ticks[-1].truncated.all()


def test_privileged_data_is_in_no_tick_and_moves_no_embedding(probe_set, spec, config):
    names = {sensor.name for sensor in spec.sensors}
    assert all(set(tick.rows) == names for tick in probe_set.ticks)
    assert not names & set(probe_set.privileged)
    encoder = frozen_random(spec, config.encoder, probe_set.buffer(), np.arange(8), probe_set.lengths, seed=0)
    before = embed_all(encoder, probe_set.buffer(), probe_set.lengths)
    nonsense = {name: np.full_like(values, 1e3) for name, values in probe_set.privileged.items()}
    clean = {name: np.full_like(values, 1e3) for name, values in probe_set.clean.items()}
    changed = dataclasses.replace(probe_set, privileged=nonsense, clean=clean)
    after = embed_all(encoder, changed.buffer(), changed.lengths)
    assert (before == after).all()


def test_ticks_hold_noise_that_the_clean_readings_lack(probe_set):
    noisy = np.stack([tick.rows["joint_pos"][:, -1] for tick in probe_set.ticks])
    difference = noisy - probe_set.clean["joint_pos"]
    assert difference.std() == pytest.approx(0.03, rel=0.1)


def test_ends_leave_room_for_context_and_horizon_and_split_by_episode(probe_set):
    train, test = (probe_set.ends(6, 5, 1, test=side) for side in (False, True))
    assert set(train[0]) == set(range(8))
    assert set(test[0]) == set(range(8, 12))
    assert train[1].min() == 5
    assert train[1].max() == 35


def test_long_windows_embed_as_short_ones_do(probe_set, spec, config):
    buffer = probe_set.buffer()
    encoder = frozen_random(spec, config.encoder, buffer, np.arange(8), probe_set.lengths, seed=0)
    every = embed_all(encoder, buffer, probe_set.lengths)
    lanes, ends = probe_set.ends(6, 5, 7, test=False)
    windows = buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), 6)
    np.testing.assert_allclose(every[lanes, ends], encoder(windows)[:, 0].numpy(), atol=1e-5)


def test_shorter_episodes_line_up_by_tick(probe_set, spec, config):
    encoder = frozen_random(spec, config.encoder, probe_set.buffer(), np.arange(8), probe_set.lengths, seed=0)
    whole = embed_all(encoder, probe_set.buffer(), probe_set.lengths)
    cut = probe_set.lengths.copy()
    cut[3] = 20
    short = embed_all(encoder, probe_set.buffer(), cut)
    np.testing.assert_allclose(short[3, 5:20], whole[3, 5:20], atol=1e-5)
    np.testing.assert_array_equal(short[4], whole[4])


def test_random_encoder_is_standardised_by_training_episodes_and_leaves_the_global_generator_alone(
    probe_set, spec, config
):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    encoder = frozen_random(spec, config.encoder, probe_set.buffer(), np.arange(8), probe_set.lengths, seed=0)
    assert (torch.rand(1) == expected).all()
    joints = np.stack([tick.rows["joint_pos"][:8, -1] for tick in probe_set.ticks]).reshape(-1, 6)
    found = dict(zip([s.name for s in spec.sensors], encoder.tokenizers, strict=True))["joint_pos"]
    assert isinstance(found, RowTokenizer)
    np.testing.assert_allclose(found.standardizer.mean.numpy(), joints.mean(0), atol=1e-4)


def test_groups_follow_the_robot_with_forces_apart(probe_set):
    assert probe_set.groups["velocities"] == ("root_vel", "joint_vel")
    assert probe_set.groups["contacts"] == ("contact",)
    assert probe_set.groups["forces"] == ("contact_force",)
    assert privileged_groups({}, {"a": np.zeros(1)}) == {"other": ("a",)}


def test_targets_are_read_at_the_right_tick_and_lane(probe_set, spec, config):
    encoder = frozen_random(spec, config.encoder, probe_set.buffer(), np.arange(8), probe_set.lengths, seed=0)
    bench = Bench.make(probe_set, encoder, horizon_ticks=5)
    assert bench.averaged == ("velocities", "contacts")
    targets = bench.targets((np.array([2, 9]), np.array([7, 30])))
    column = targets.names.index("joint_vel.1")
    assert targets.values[0, column] == probe_set.privileged["joint_vel"][7, 2, 1]
    assert targets.values[1, column] == probe_set.privileged["joint_vel"][30, 9, 1]


def test_half_the_episodes_are_coloured_in_every_split(probe_set):
    for part in (probe_set.kinds[:8], probe_set.kinds[8:]):
        assert [part.count(kind) / len(part) for kind in KINDS] == [0.5, 0.25, 0.25]


def test_actions_are_bounded_and_each_episode_has_its_own_generator():
    long = action_sequences(PATTERN * 2, 50, 3, 20.0, seed=1)
    assert long.shape == (50, 8, 3)
    assert np.abs(long).max() <= 1
    np.testing.assert_array_equal(action_sequences(PATTERN, 50, 3, 20.0, seed=1), long[:, :4])
    assert not (long[:, 0] == long[:, 4]).all()


def test_another_camera_back_end_than_the_recorded_one_is_refused(config):
    with pytest.raises(RunError, match="recorded with camera back end 'egl', this is 'none'"):
        make_env(config.env, 1, "egl").close()
    with pytest.raises(RunError, match="nonsense"):
        make_env(EnvConfig(kwargs={"episode_ticks": 5}), 1, "nonsense").close()
