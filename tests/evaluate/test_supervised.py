import dataclasses

import numpy as np
import torch

from embodied_ssl.evaluate.feature_sets import Bench
from embodied_ssl.evaluate.nulls import frozen_random
from embodied_ssl.evaluate.scores import r2
from embodied_ssl.evaluate.supervised import (
    SupervisedData,
    SupervisedRecipe,
    steps_for,
    supervised_predictor,
    train_supervised,
)


def _setting(probe_set, spec, config, steps):
    encoder = frozen_random(spec, config.encoder, probe_set.buffer(), np.arange(8), probe_set.lengths, seed=0)
    bench = Bench.make(probe_set, encoder, horizon_ticks=5)
    targets = bench.targets(bench.train)
    data = SupervisedData(bench.buffer, probe_set.lengths, bench.train, bench.test, targets, bench.averaged)

    def make_encoder(seed):
        return bench.random_encoder(encoder, seed).train().requires_grad_(True)

    return bench, data, SupervisedRecipe(make_encoder, steps, jitter=0.05, seed=1)


def test_learns_velocities_from_labels_and_scores_unseen_episodes(probe_set, spec, config):
    bench, data, recipe = _setting(probe_set, spec, config, steps=150)
    guess = supervised_predictor(data, recipe)([np.arange(len(bench.train[0]))])[0]
    truth = bench.targets(bench.test)
    assert guess.shape == truth.values.shape
    assert r2(guess, truth)[truth.columns("velocities")].mean() > 0.3


def test_same_seed_same_weights_and_few_labels_work(probe_set, spec, config):
    _, data, recipe = _setting(probe_set, spec, config, steps=10)
    rows = np.sort(np.random.default_rng(0).choice(len(data.train[0]), 40, replace=False))
    first, second = (train_supervised(data, recipe, rows)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_labels_of_held_out_and_unlabelled_ticks_never_reach_the_weights(probe_set, spec, config):
    _, data, recipe = _setting(probe_set, spec, config, steps=10)
    rows = np.flatnonzero(data.targets.episodes < 6)
    poisoned = data.targets.values.copy()
    poisoned[data.targets.episodes >= 6] = 1e6
    changed = dataclasses.replace(data, targets=dataclasses.replace(data.targets, values=poisoned))
    first, second = (train_supervised(d, recipe, rows)[0].state_dict() for d in (data, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_loss_weighs_the_averaged_groups_alike(probe_set, spec, config):
    _, data, _ = _setting(probe_set, spec, config, steps=1)
    weight = data.weights().numpy()
    sums = {group: weight[data.targets.columns(group)].sum() for group in data.targets.groups}
    assert np.isclose(sums["velocities"], sums["contacts"])
    assert sums["slow_dynamics"] < 0.1 * sums["contacts"]


def test_fewer_labels_get_fewer_steps():
    assert steps_for(10_000, 10_000, 400) == 400
    assert steps_for(64, 10_000, 400) < steps_for(5_000, 10_000, 400) < 400
