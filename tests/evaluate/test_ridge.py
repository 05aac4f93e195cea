import numpy as np
import pytest

from embodied_ssl.evaluate.ridge import STRENGTHS, episode_folds, feature_scale, fit_ridge


def _linear(num_episodes=12, ticks=30, features=8, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_episodes * ticks, features)) * rng.uniform(0.1, 50, features) + 3
    weights = rng.normal(size=(features, 2))
    y = x @ weights + 1.5 + noise * rng.normal(size=(len(x), 2))
    return x, y, np.repeat(np.arange(num_episodes), ticks)


def test_recovers_a_known_linear_target():
    x, y, episodes = _linear()
    model = fit_ridge(x[:240], y[:240], episodes[:240])
    assert np.abs(model.predict(x[240:]) - y[240:]).max() < 1e-3 * y.std()


def test_kernel_form_and_feature_form_agree_with_the_normal_equations():
    for ticks, features in ((30, 8), (3, 90)):
        x, y, episodes = _linear(ticks=ticks, features=features, noise=1.0)
        model = fit_ridge(x, y, episodes)
        z = (x - x.mean(0)) / feature_scale(x)
        covariance = z.T @ z / len(z)
        for target in range(2):
            penalty = model.strengths[target] * np.trace(covariance)
            moment = z.T @ (y[:, target] - y[:, target].mean()) / len(z)
            weights = np.linalg.solve(covariance + penalty * np.eye(features), moment)
            np.testing.assert_allclose(model.weights[:, target] * feature_scale(x), weights, rtol=1e-6, atol=1e-9)


def test_folds_never_split_an_episode():
    episodes = np.random.default_rng(0).integers(0, 11, 400)
    folds = episode_folds(episodes, 4)
    assert all(len(set(folds[episodes == episode])) == 1 for episode in range(11))
    assert set(folds) == {0, 1, 2, 3}


def test_strength_is_chosen_on_whole_episodes():
    # The target is one random constant an episode; the features give away which episode it is, and nothing else.
    rng = np.random.default_rng(0)
    episodes = np.repeat(np.arange(40), 25)
    x = rng.normal(size=(40, 60))[episodes] + 0.05 * rng.normal(size=(1000, 60))
    y = rng.normal(size=(40, 1))[episodes]
    by_episode = fit_ridge(x, y, episodes)
    by_frame = fit_ridge(x, y, np.arange(1000))
    assert by_episode.strengths[0] >= 100 * by_frame.strengths[0]
    assert by_episode.strengths[0] == STRENGTHS[-1]


def test_constant_columns_and_two_episodes_are_no_trouble():
    x, y, episodes = _linear(num_episodes=2)
    x = np.concatenate([x, np.full((len(x), 3), 1e6)], axis=1)
    assert np.isfinite(fit_ridge(x, y, episodes).predict(x)).all()
    assert np.isfinite(fit_ridge(x[:30], y[:30], episodes[:30]).predict(x)).all()


def test_each_target_gets_its_own_strength():
    x, y, episodes = _linear(features=30, ticks=10, noise=0.0)
    y[:, 1] = np.random.default_rng(1).normal(size=len(y))
    strengths = fit_ridge(x, y, episodes).strengths
    assert strengths[0] == pytest.approx(STRENGTHS[0])
    assert strengths[1] > 1e-2
