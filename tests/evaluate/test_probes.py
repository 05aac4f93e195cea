import numpy as np
import pytest

from embodied_ssl.evaluate.mlp_probe import mlp_predictor
from embodied_ssl.evaluate.nulls import principal_components
from embodied_ssl.evaluate.probes import draw_labels, probe_table, ridge_predictor
from embodied_ssl.evaluate.scores import r2, score
from embodied_ssl.evaluate.targets import Targets

GROUPS = {"velocities": ("speed",), "contacts": ("contact",), "slow": ("mass",)}


def _targets(num_episodes, ticks, seed, first_episode=0):
    rng = np.random.default_rng(seed)
    episodes = np.repeat(np.arange(num_episodes), ticks) + first_episode
    speed = rng.normal(size=(len(episodes), 2))
    contact = (rng.normal(size=len(episodes)) > 0).astype(float)
    mass = rng.normal(size=num_episodes)[episodes - first_episode]
    return Targets.from_privileged({"speed": speed, "contact": contact, "mass": mass}, GROUPS, episodes)


def _features(targets, noise, seed):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(4, 20))
    return targets.values @ mixing + noise * rng.normal(size=(len(targets.values), 20))


def test_targets_are_named_by_group_and_column():
    targets = _targets(3, 5, 0)
    assert targets.names == ("speed.0", "speed.1", "contact", "mass")
    assert targets.columns("velocities").tolist() == [0, 1]
    assert targets[np.array([0, 14])].episodes.tolist() == [0, 2]


def test_known_linear_target_scores_one_and_noise_scores_nothing():
    train, test = _targets(20, 40, 0), _targets(10, 40, 1, 100)
    labels = draw_labels(800, np.random.default_rng(0), {"64": 3, "all": 1, "5000": 2})
    assert list(labels) == ["64", "all"]
    predictors = {
        "good": ridge_predictor(_features(train, 0.0, 2), train, _features(test, 0.0, 3)),
        "noise": ridge_predictor(np.random.default_rng(4).normal(size=(800, 20)), train, _features(test, 9.0, 5)),
    }
    table = probe_table(predictors, test, labels, ("velocities", "contacts"), np.random.default_rng(0))
    assert table["64"]["good"].mean > 0.99
    assert table["all"]["noise"].mean < 0.05
    assert table["all"]["good"].interval[0] > table["all"]["noise"].interval[1]
    assert set(table["all"]["good"].targets) == {"speed.0", "speed.1", "contact", "mass"}


def test_mean_is_over_groups_not_over_targets():
    test = _targets(10, 40, 1)
    guess = test.values.copy()
    guess[:, 2] = guess[:, 2].mean()  # contacts: the mean, R2 0
    guess[:, 3] = 1e6  # slow: hopeless, not averaged
    result = score([guess], test, ("velocities", "contacts"), np.random.default_rng(0), num_resamples=50)
    assert result.mean == pytest.approx(0.5)
    assert result.groups == pytest.approx({"velocities": 1.0, "contacts": 0.0, "slow": -1.0})


def test_r2_is_the_textbook_formula_and_is_clipped():
    test = _targets(4, 25, 3)
    guess = test.values + np.random.default_rng(0).normal(size=test.values.shape) * [0.3, 0.5, 0.2, 50]
    expected = 1 - np.square(guess - test.values).sum(0) / np.square(test.values - test.values.mean(0)).sum(0)
    np.testing.assert_allclose(r2(guess, test), np.clip(expected, -1, 1), rtol=1e-9)
    assert r2(guess, test)[3] == -1


def test_split_by_frame_leaks_and_split_by_episode_does_not():
    # Slowly drifting noise on both sides, independent: neighbours in time are nearly copies of each other.
    rng = np.random.default_rng(0)
    drift = np.cumsum(rng.normal(size=(12, 100, 21)), axis=1).reshape(1200, 21)
    episodes = np.repeat(np.arange(12), 100)
    x = np.concatenate([drift[:, 1:], drift[:, 1:] ** 2], axis=1)
    scores = {}
    for name, test in (("episode", episodes >= 8), ("frame", rng.random(1200) < 1 / 3)):
        labels = episodes if name == "episode" else np.arange(1200)
        data = Targets.from_privileged({"drift": drift[:, 0]}, {"g": ("drift",)}, labels)
        rows = [np.arange(int((~test).sum()))]
        guess = ridge_predictor(x[~test], data[~test], x[test])(rows)[0]
        scores[name] = r2(guess, data[test])[0]
    assert scores["frame"] > 0.3
    assert scores["frame"] > scores["episode"] + 0.3


def test_labels_are_the_same_for_the_same_generator():
    first, second = (draw_labels(500, np.random.default_rng(7), {"64": 2}) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first["64"], second["64"], strict=True))
    assert not (first["64"][0] == first["64"][1]).all()


def test_small_network_reads_what_is_not_linear():
    train, test = _targets(20, 40, 0), _targets(10, 40, 1, 100)
    bend = lambda t: np.concatenate([np.abs(t.values[:, :2]), np.sign(t.values[:, :2])], axis=1)  # noqa: E731
    rows = [np.arange(800)]
    linear = r2(ridge_predictor(bend(train), train, bend(test))(rows)[0], test)
    network = r2(mlp_predictor(bend(train), train, bend(test), seed=0)(rows)[0], test)
    assert (network[:2] > 0.95).all()
    assert (network[:2] > linear[:2] + 0.1).all()


def test_components_under_one_scale_read_out_as_the_features_they_came_from():
    """All components of standardised features are a rotation of them, so the ridge must predict the same."""
    rng = np.random.default_rng(0)
    data = Targets(rng.normal(size=(120, 2)), ("a", "b"), {"g": ("a", "b")}, np.repeat(np.arange(12), 10))
    mix = rng.normal(size=(6, 6)) * np.array([3.0, 1.0, 0.3, 0.1, 0.03, 0.01])
    x, rows = rng.normal(size=(120, 6)) @ mix, [np.arange(80)]
    x = (x - x.mean(0)) / x.std(0)
    _, kept = principal_components(x, x, 6)
    straight = ridge_predictor(x, data, x)(rows)[0]
    rotated = ridge_predictor(kept, data, kept, one_scale=True)(rows)[0]
    whitened = ridge_predictor(kept, data, kept)(rows)[0]
    assert np.abs(rotated - whitened).max() > 1e-3
    np.testing.assert_allclose(rotated, straight, atol=1e-6)
