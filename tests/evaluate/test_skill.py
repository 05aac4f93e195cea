import numpy as np
import pytest

from embodied_ssl.evaluate.skill import ForwardSet, baseline_predictions, forward_skill, reading_scale

RHO, HORIZONS = 0.8, (1, 5)


def _process(num_episodes, seed, gain=0.0, noise=0.0):
    """An AR(1) process of unit variance (when gain is 0), driven by its past and by actions."""
    rng = np.random.default_rng(seed)
    ticks, context = 80, 4
    x = np.zeros((num_episodes, ticks))
    action = rng.normal(size=(num_episodes, ticks, 1))
    x[:, 0] = rng.normal(size=num_episodes)
    for t in range(1, ticks):
        shock = np.sqrt(1 - RHO**2) * rng.normal(size=num_episodes)
        x[:, t] = RHO * x[:, t - 1] + gain * action[:, t, 0] + shock
    read = x + noise * rng.normal(size=x.shape)
    lanes, ends = (a.ravel() for a in np.meshgrid(np.arange(num_episodes), np.arange(context, ticks - 5)))
    ahead = ends[:, None] + np.array(HORIZONS)
    return ForwardSet(
        window=read[lanes[:, None], ends[:, None] + np.arange(-3, 1)],
        actions=action[lanes[:, None], ends[:, None] + np.arange(1, 6)],
        now={"s": read[lanes, ends][:, None]},
        noisy={"s": read[lanes[:, None], ahead][..., None]},
        clean={"s": x[lanes[:, None], ahead][..., None]},
        episodes=lanes,
    )


def _score(prediction, baselines, test, train):
    rng = np.random.default_rng(0)
    return forward_skill(prediction, baselines, test.clean, reading_scale(train), test.episodes, rng, HORIZONS)


def _error(guess, test, index):
    return float(np.square(guess["s"] - test.clean["s"])[:, index].mean())


def test_baselines_reach_their_closed_forms_on_an_ar1_process():
    train, test = _process(200, 0), _process(200, 1)
    baselines = baseline_predictions(train, test, HORIZONS)
    for index, ticks in enumerate(HORIZONS):
        assert _error(baselines["persistence"], test, index) == pytest.approx(2 * (1 - RHO**ticks), rel=0.1)
        assert _error(baselines["running_mean"], test, index) == pytest.approx(1.0, rel=0.1)
        assert _error(baselines["autoregression"], test, index) == pytest.approx(1 - RHO ** (2 * ticks), rel=0.1)


def test_the_optimal_forecast_has_no_skill_over_the_best_baseline_but_beats_persistence():
    train, test = _process(200, 0), _process(200, 1)
    baselines = baseline_predictions(train, test, HORIZONS)
    optimum = {"s": test.now["s"][:, None] * (RHO ** np.array(HORIZONS))[None, :, None]}
    score = _score(optimum, baselines, test, train)
    assert score.median["1"] == pytest.approx(0.0, abs=0.01)
    assert score.baselines["s"] == {"1": "autoregression", "5": "autoregression"}
    over = _score(optimum, {"persistence": baselines["persistence"]}, test, train)
    assert over.median["5"] == pytest.approx(1 - (1 - RHO**10) / (2 * (1 - RHO**5)), abs=0.03)


def test_a_constant_looks_skilled_over_persistence_alone_and_not_over_the_best():
    train, test = _process(200, 0), _process(200, 1)
    baselines = baseline_predictions(train, test, HORIZONS)
    over = _score(baselines["running_mean"], {"persistence": baselines["persistence"]}, test, train)
    assert over.median["5"] == pytest.approx(1 - 1 / (2 * (1 - RHO**5)), abs=0.04)
    assert _score(baselines["running_mean"], baselines, test, train).median["5"] < 0


def test_autoregression_uses_the_actions_up_to_the_horizon():
    train, test = _process(200, 0, gain=1.0), _process(200, 1, gain=1.0)
    baselines = baseline_predictions(train, test, HORIZONS)
    assert _error(baselines["autoregression"], test, 0) == pytest.approx(1 - RHO**2, rel=0.1)
    assert _error(baselines["autoregression"], test, 1) == pytest.approx(1 - RHO**10, rel=0.12)


def test_perfect_foresight_scores_one_and_the_interval_holds_the_median():
    train, test = _process(60, 0, noise=0.5), _process(40, 1, noise=0.5)
    baselines = baseline_predictions(train, test, HORIZONS)
    assert _score(test.clean, baselines, test, train).median == {"1": 1.0, "5": 1.0}
    half = {"s": (test.clean["s"] + baselines["autoregression"]["s"]) / 2}
    score = _score(half, baselines, test, train)
    assert score.median["1"] == pytest.approx(0.75)
    low, high = score.interval["1"]
    assert low <= 0.75 + 1e-9
    assert high >= 0.75 - 1e-9


def test_dimensions_are_weighed_by_their_own_variance():
    train, test = _process(60, 0), _process(40, 1)
    rng = np.random.default_rng(0)

    def widen(data):
        wide = {name: np.concatenate([values, 1000 * values], axis=-1) for name, values in data.clean.items()}
        now = {name: np.concatenate([values, 1000 * values], axis=-1) for name, values in data.now.items()}
        return ForwardSet(data.window, data.actions, now, wide, wide, data.episodes)

    train, test = widen(train), widen(test)
    guess = {"s": test.clean["s"] * [0.0, 1.0]}
    baselines = {"mean": {"s": np.zeros_like(test.clean["s"])}}
    score = forward_skill(guess, baselines, test.clean, reading_scale(train), test.episodes, rng, HORIZONS)
    assert score.median["1"] == pytest.approx(0.5, abs=0.05)
