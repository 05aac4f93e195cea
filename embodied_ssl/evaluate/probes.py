"""Probes: small read-outs of privileged state, by number of labels, the same labels for every feature set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from embodied_ssl.evaluate.ridge import feature_scale, fit_ridge
from embodied_ssl.evaluate.scores import ProbeScore, score
from embodied_ssl.evaluate.targets import Targets

LABEL_DRAWS: dict[str, int] = {"64": 10, "256": 5, "1024": 3, "all": 1}
"""How many draws of labels are averaged at each number of labels: few labels vary more."""

Labels = Mapping[str, Sequence[np.ndarray]]
"""Number of labels -> draws -> row numbers of the labelled training ticks."""


def draw_labels(
    num_rows: int, generator: np.random.Generator, draws: Mapping[str, int] | None = None
) -> dict[str, list[np.ndarray]]:
    """Choose the labelled training ticks, once for all feature sets.

    Args:
        num_rows: training ticks to choose from.
        generator: source of the draws.
        draws: number of labels (a number, or ``all``) to number of draws.

    Returns:
        Sorted row numbers of each draw; numbers of labels beyond ``num_rows`` are left out.
    """
    labels: dict[str, list[np.ndarray]] = {}
    for key, num_draws in (LABEL_DRAWS if draws is None else draws).items():
        size = num_rows if key == "all" else int(key)
        if size <= num_rows:
            labels[key] = [np.sort(generator.choice(num_rows, size, replace=False)) for _ in range(num_draws)]
    return labels


def ridge_predictions(
    train_x: np.ndarray, train: Targets, test_x: np.ndarray, rows: Sequence[np.ndarray], one_scale: bool = False
) -> list[np.ndarray]:
    """Fit a ridge probe on each draw of labels.

    Args:
        train_x: features of all training ticks ``(n, p)``; they set the scale, which needs no labels.
        train: targets of the training ticks.
        test_x: features of the test ticks ``(m, p)``.
        rows: labelled row numbers of each draw.
        one_scale: scale all columns alike. Principal components need it: whitened, the last one, which is noise,
            would count as much as the first.

    Returns:
        Predictions ``(m, T)`` on the test ticks, one array a draw.
    """
    train_x, test_x = np.asarray(train_x, dtype=np.float64), np.asarray(test_x, dtype=np.float64)
    scale = feature_scale(train_x)
    scale = np.full_like(scale, scale.max()) if one_scale else scale
    models = [fit_ridge(train_x[r], train.values[r], train.episodes[r], scale) for r in rows]
    return [model.predict(test_x) for model in models]


Predictor = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
"""Labelled rows of each draw -> test predictions of each draw."""


def probe_table(
    predictors: Mapping[str, Predictor],
    test: Targets,
    labels: Labels,
    averaged: Sequence[str],
    generator: np.random.Generator,
) -> dict[str, dict[str, ProbeScore]]:
    """Score every predictor at every number of labels, on the same bootstrap resamples.

    Ridge probes see the same label draws; the supervised network is trained on the first draw only, for time.

    Args:
        predictors: name to a function that reads out from labelled rows (a ridge on features, or a network).
        test: truth on the test episodes.
        labels: from `draw_labels`.
        averaged: groups that enter the mean.
        generator: source of the bootstrap.

    Returns:
        Number of labels -> predictor name -> score.
    """
    seed = int(generator.integers(2**63))
    return {
        count: {
            name: score(predict(draws), test, averaged, np.random.default_rng(seed))
            for name, predict in predictors.items()
        }
        for count, draws in labels.items()
    }


def ridge_predictor(train_x: np.ndarray, train: Targets, test_x: np.ndarray, one_scale: bool = False) -> Predictor:
    """Return the ridge probe on fixed features as a `Predictor`; see `ridge_predictions`."""
    return lambda rows: ridge_predictions(train_x, train, test_x, rows, one_scale)
