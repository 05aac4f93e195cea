"""Ridge regression whose strength is chosen by validation on whole episodes.

One eigendecomposition a fold serves every strength and every target: in feature space when there are more rows
than features, in row space (the kernel form) otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STRENGTHS = np.logspace(-6, 1, 15)
"""Penalties, as fractions of the total variance of the standardised features (so they fit any width)."""


@dataclass(frozen=True)
class RidgeModel:
    """A fitted linear read-out: ``prediction = (x - mean_x) @ weights + mean_y``.

    Attributes:
        mean_x: ``(p,)`` mean of the labelled features.
        weights: ``(p, T)``, with the scale of the features folded in.
        mean_y: ``(T,)`` mean of the labels.
        strengths: ``(T,)`` the penalty chosen for each target, from `STRENGTHS`.
    """

    mean_x: np.ndarray
    weights: np.ndarray
    mean_y: np.ndarray
    strengths: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return predictions ``(n, T)`` for features ``(n, p)``."""
        return (x - self.mean_x) @ self.weights + self.mean_y


def episode_folds(episodes: np.ndarray, num_folds: int) -> np.ndarray:
    """Return a fold number for every row such that no episode is split.

    Episodes are dealt in turn, so folds do not depend on how many rows an episode has.

    Args:
        episodes: ``(n,)`` episode of each row.
        num_folds: folds wanted; fewer when there are fewer episodes.

    Returns:
        ``(n,)`` fold numbers.
    """
    _, position = np.unique(episodes, return_inverse=True)
    return position % min(num_folds, int(position.max()) + 1)


def feature_scale(x: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column ``(p,)``, 1 where a column does not move."""
    scale = x.std(axis=0)
    return np.where(scale > 1e-9 * np.maximum(1.0, np.abs(x).max(axis=0, initial=0.0)), scale, 1.0)


def _covariance(gram: np.ndarray, total: np.ndarray, count: int) -> np.ndarray:
    mean = total / count
    return gram / count - np.outer(mean, mean)


def _basis(x: np.ndarray, gram: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvectors ``(p, r)`` and eigenvalues ``(r,)`` of the covariance of rows ``x`` (n, p)."""
    if gram is not None:
        values, vectors = np.linalg.eigh(_covariance(gram, x.sum(axis=0), len(x)))
        return vectors, np.maximum(values, 0.0)
    centred = x - x.mean(axis=0)
    values, left = np.linalg.eigh(centred @ centred.T / len(x))
    kept = values > 1e-12 * max(float(values[-1]), 1e-300)
    values, left = values[kept], left[:, kept]
    return centred.T @ left / np.sqrt(values * len(x)), values


def _path(x: np.ndarray, y: np.ndarray, gram: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the basis ``(p, r)`` and, for every strength, the coefficients ``(S, r, T)`` in it."""
    vectors, values = _basis(x, gram)
    moment = vectors.T @ ((x - x.mean(axis=0)).T @ (y - y.mean(axis=0)) / len(x))
    penalties = STRENGTHS * max(float(values.sum()), 1e-300)
    return vectors, moment / (values[:, None] + penalties[:, None, None])


def _validation_error(x: np.ndarray, y: np.ndarray, held: np.ndarray, gram: np.ndarray | None) -> np.ndarray:
    """Return squared errors ``(S, T)`` on the rows ``held`` of a path fitted on all other rows."""
    if held.all():
        return np.zeros((len(STRENGTHS), y.shape[1]))
    kept_x, kept_y = x[~held], y[~held]
    vectors, coefficients = _path(kept_x, kept_y, gram)
    scores = (x[held] - kept_x.mean(axis=0)) @ vectors
    residuals = scores @ coefficients - (y[held] - kept_y.mean(axis=0))
    return np.square(residuals).sum(axis=1)


def fit_ridge(
    x: np.ndarray, y: np.ndarray, episodes: np.ndarray, scale: np.ndarray | None = None, num_folds: int = 4
) -> RidgeModel:
    """Fit one read-out per target; each target's strength has the least error on held-out episodes.

    Args:
        x: features ``(n, p)``.
        y: targets ``(n, T)``.
        episodes: ``(n,)`` episode of each row; rows of an episode are never on both sides of a fold.
        scale: ``(p,)`` standard deviations to standardise by; None takes those of ``x``. Pass those of all
            training ticks when few are labelled: standardising needs no labels.
        num_folds: folds of the validation.

    Returns:
        The model refitted on all rows at the chosen strengths.
    """
    scale = feature_scale(x) if scale is None else scale
    mean_x = x.mean(axis=0, dtype=np.float64)
    x, y = (x - mean_x) / scale, np.asarray(y, dtype=np.float64)
    folds = episode_folds(episodes, num_folds)
    groups = [folds == fold for fold in range(int(folds.max()) + 1)]
    # Rows minus a fold's rows is the Gram of its training rows: one pass over the data for all folds.
    primal = len(x) * (num_folds - 1) >= x.shape[1] * num_folds
    grams = [x[held].T @ x[held] if primal else None for held in groups]
    total = sum(gram for gram in grams if gram is not None) if primal else None
    error = np.zeros((len(STRENGTHS), y.shape[1]))
    for held, gram in zip(groups, grams, strict=True):
        error += _validation_error(x, y, held, total - gram if gram is not None and total is not None else None)
    best = error.argmin(axis=0)
    vectors, coefficients = _path(x, y, total if isinstance(total, np.ndarray) else None)
    weights = vectors @ coefficients[best, :, np.arange(y.shape[1])].T
    return RidgeModel(mean_x, weights / scale[:, None], y.mean(axis=0), STRENGTHS[best])
