"""Forward skill: how much better than the best simple predictor the model foresees its sensors.

``skill = 1 - err / err_ref``, per sensor and horizon. ``err`` is the squared error over the sensor's values, each in
units of its own variance. ``err_ref`` is the least of three: persistence (the last noisy reading), the running mean
(of the training episodes) and a ridge autoregression with actions (raw context window and the actions up to the
horizon). Over persistence alone it is printed, never judged: a constant scores about a half there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied_ssl.evaluate.intervals import percentile_interval, resample_episodes, sum_by_episode
from embodied_ssl.evaluate.ridge import feature_scale, fit_ridge

HORIZONS = (1, 5, 15)
"""Ticks ahead."""
BASELINES = ("persistence", "running_mean", "autoregression")

Readings = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ForwardSet:
    """What forecasts of the one-dimensional sensors are fitted and scored on.

    Attributes:
        window: ``(n, F)`` raw context window, from `nulls.raw_window`.
        actions: ``(n, H, A)`` actions of the ticks after the context, up to the last horizon.
        now: per sensor ``(n, d)``, newest noisy reading of the context.
        noisy: per sensor ``(n, len(HORIZONS), d)``, newest noisy reading at each horizon.
        clean: the same without noise.
        episodes: ``(n,)`` episode of each tick.
    """

    window: np.ndarray
    actions: np.ndarray
    now: Readings
    noisy: Readings
    clean: Readings
    episodes: np.ndarray


def autoregression(train: ForwardSet, test: ForwardSet, horizons: Sequence[int] = HORIZONS) -> dict[str, np.ndarray]:
    """Predict with a ridge from the raw window and the actions up to the horizon, to the noisy readings.

    Returns:
        Per sensor ``(n_test, len(horizons), d)``.
    """
    names = list(train.now)
    widths = np.cumsum([0] + [train.now[name].shape[1] for name in names])
    guesses = []
    for index, ticks in enumerate(horizons):
        features = [_window_and_actions(part, ticks) for part in (train, test)]
        targets = np.concatenate([train.noisy[name][:, index] for name in names], axis=1)
        guesses.append(fit_ridge(features[0], targets, train.episodes).predict(features[1]))
    stacked = np.stack(guesses, axis=1)
    return {name: stacked[..., widths[i] : widths[i + 1]] for i, name in enumerate(names)}


def _window_and_actions(data: ForwardSet, ticks: int) -> np.ndarray:
    flat = data.actions[:, :ticks].reshape(len(data.actions), -1)
    return np.concatenate([data.window, flat], axis=1, dtype=np.float64)


def baseline_predictions(
    train: ForwardSet, test: ForwardSet, horizons: Sequence[int] = HORIZONS
) -> dict[str, dict[str, np.ndarray]]:
    """Return what each simple predictor says.

    Args:
        train: ticks of the training episodes; only these are fitted on.
        test: ticks of the test episodes.
        horizons: ticks ahead.

    Returns:
        Baseline -> sensor -> ``(n_test, len(horizons), d)``.
    """
    count = len(horizons)
    persistence = {name: np.repeat(now[:, None], count, axis=1) for name, now in test.now.items()}
    mean = {name: np.broadcast_to(train.now[name].mean(axis=0), guess.shape) for name, guess in persistence.items()}
    return {"persistence": persistence, "running_mean": mean, "autoregression": autoregression(train, test, horizons)}


@dataclass(frozen=True)
class SkillScore:
    """Forward skill of one model.

    Attributes:
        median: horizon -> median over sensors.
        interval: horizon -> 95 % interval of the median, by bootstrap over test episodes.
        sensors: sensor -> horizon -> skill.
        baselines: sensor -> horizon -> name of the best simple predictor.
    """

    median: dict[str, float]
    interval: dict[str, tuple[float, float]]
    sensors: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able record."""
        intervals = {horizon: list(bounds) for horizon, bounds in self.interval.items()}
        return {"median": self.median, "interval": intervals, "sensors": self.sensors, "baselines": self.baselines}


def _errors(guess: Readings, truth: Readings, scale: Readings, episodes: np.ndarray) -> np.ndarray:
    """Return standardised squared errors summed in each episode, ``(sensors, E, horizons)``."""
    return np.stack(
        [sum_by_episode(np.square((guess[name] - truth[name]) / scale[name]).mean(-1), episodes) for name in truth]
    )


def forward_skill(
    predictions: Readings,
    baselines: Mapping[str, Readings],
    truth: Readings,
    scale: Readings,
    episodes: np.ndarray,
    generator: np.random.Generator,
    horizons: Sequence[int] = HORIZONS,
    num_resamples: int = 500,
) -> SkillScore:
    """Score forecasts on test episodes against the best baseline of each sensor and horizon.

    Args:
        predictions: per sensor ``(n, H, d)``, in sensor units.
        baselines: baseline -> sensor -> ``(n, H, d)``. Pass persistence alone for the printed-only figure.
        truth: per sensor ``(n, H, d)``: clean readings for the headline, noisy ones beside it.
        scale: per sensor ``(d,)`` standard deviations, from `reading_scale`.
        episodes: ``(n,)`` episode of each tick.
        generator: source of the bootstrap.
        horizons: ticks ahead, for the names in the result.
        num_resamples: bootstrap resamples.

    Returns:
        The score.
    """
    names = list(baselines)
    model = _errors(predictions, truth, scale, episodes)
    simple = np.stack([_errors(baselines[name], truth, scale, episodes) for name in names])

    def skill(weight: np.ndarray) -> np.ndarray:
        reference = np.einsum("re,bseh->brsh", weight, simple).min(axis=0)
        return 1 - np.einsum("re,seh->rsh", weight, model) / np.maximum(reference, 1e-300)

    point = skill(np.ones((1, model.shape[1])))[0]
    resampled = np.median(skill(resample_episodes(model.shape[1], num_resamples, generator)), axis=1)
    best = simple.sum(axis=2).argmin(axis=0)
    keys = [str(ticks) for ticks in horizons]
    return SkillScore(
        dict(zip(keys, np.median(point, axis=0).tolist(), strict=True)),
        {key: percentile_interval(resampled[:, h]) for h, key in enumerate(keys)},
        {name: dict(zip(keys, point[s].tolist(), strict=True)) for s, name in enumerate(truth)},
        {name: {key: names[best[s, h]] for h, key in enumerate(keys)} for s, name in enumerate(truth)},
    )


def reading_scale(train: ForwardSet) -> dict[str, np.ndarray]:
    """Return per sensor ``(d,)`` standard deviations of the clean readings of the training episodes."""
    return {name: feature_scale(values.reshape(-1, values.shape[-1])) for name, values in train.clean.items()}
