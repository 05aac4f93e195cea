"""R2 on test episodes: per target, per group, with a bootstrap interval over episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied_ssl.evaluate.intervals import percentile_interval, resample_episodes, sum_by_episode
from embodied_ssl.evaluate.targets import Targets


@dataclass(frozen=True)
class EpisodeSums:
    """What R2 needs of each test episode, so that resampling episodes costs one small product.

    Attributes:
        error: ``(D, E, T)`` squared errors of each draw of labels, in each episode.
        count: ``(E,)`` ticks.
        total: ``(E, T)`` sums of the targets.
        square: ``(E, T)`` sums of the squared targets.
    """

    error: np.ndarray
    count: np.ndarray
    total: np.ndarray
    square: np.ndarray

    def r2(self, multiplicity: np.ndarray | None = None) -> np.ndarray:
        """Return R2 clipped to [-1, 1], averaged over draws.

        Args:
            multiplicity: ``(R, E)`` how often each episode counts; None counts each once.

        Returns:
            ``(R, T)``; NaN where a target does not vary.
        """
        weight = np.ones((1, len(self.count))) if multiplicity is None else multiplicity
        spread = weight @ self.square - np.square(weight @ self.total) / (weight @ self.count)[:, None]
        spread = np.where(spread > 1e-12 * np.maximum(weight @ self.square, 1e-300), spread, np.nan)
        return np.clip(1 - weight @ self.error / spread, -1, 1).mean(axis=0)


def episode_sums(predictions: Sequence[np.ndarray], targets: Targets) -> EpisodeSums:
    """Collect the sums of `EpisodeSums` from predictions ``(n, T)``, one array a draw of labels."""
    episodes = targets.episodes
    error = np.stack([sum_by_episode(np.square(guess - targets.values), episodes) for guess in predictions])
    count = sum_by_episode(np.ones(len(episodes)), episodes)
    centred = targets.values - targets.values.mean(axis=0)
    return EpisodeSums(error, count, sum_by_episode(centred, episodes), sum_by_episode(np.square(centred), episodes))


def r2(predictions: np.ndarray, targets: Targets) -> np.ndarray:
    """Return R2 of each target ``(T,)`` about its mean over the test ticks, clipped to [-1, 1]."""
    return episode_sums([predictions], targets).r2()[0]


@dataclass(frozen=True)
class ProbeScore:
    """How well one feature set is read out at one number of labels.

    Attributes:
        mean: mean over the averaged groups of each group's mean R2.
        interval: 95 % interval of ``mean`` by bootstrap over test episodes.
        groups: group name to mean R2 of its targets.
        targets: target name to R2.
    """

    mean: float
    interval: tuple[float, float]
    groups: dict[str, float]
    targets: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able record."""
        return {"mean": self.mean, "interval": list(self.interval), "groups": self.groups, "targets": self.targets}


def score(
    predictions: Sequence[np.ndarray],
    targets: Targets,
    averaged: Sequence[str],
    generator: np.random.Generator,
    num_resamples: int = 500,
) -> ProbeScore:
    """Score predictions on test episodes.

    Args:
        predictions: ``(n, T)`` for each draw of labels; R2 is averaged over draws.
        targets: the truth, on test episodes only.
        averaged: groups that enter ``mean``; the others are only reported. A target that never changes in the test
            episodes has no R2 and is left out, and so is a group of such targets.
        generator: source of the bootstrap.
        num_resamples: bootstrap resamples.

    Returns:
        The score.
    """
    sums = episode_sums(predictions, targets)
    columns = [targets.columns(group) for group in averaged]

    def mean_over_groups(scores: np.ndarray) -> np.ndarray:
        return _mean_of_known(np.stack([_mean_of_known(scores[:, group]) for group in columns], axis=1))

    scores = sums.r2()
    resampled = sums.r2(resample_episodes(len(sums.count), num_resamples, generator))
    groups = {group: float(_mean_of_known(scores[:1, targets.columns(group)])[0]) for group in targets.groups}
    per_target = dict(zip(targets.names, scores[0].tolist(), strict=True))
    interval = percentile_interval(mean_over_groups(resampled))
    return ProbeScore(float(mean_over_groups(scores)[0]), interval, groups, per_target)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not NaN, ``(...)``; NaN where nothing is known."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1)
