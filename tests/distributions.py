"""Whether draws of windows follow the weights that a sampler writes out."""

from __future__ import annotations

import numpy as np


def assert_follows(lanes: np.ndarray, ends: np.ndarray, legal: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Chi-square of drawn windows against ``legal`` (lanes, ends, weights), rare windows pooled; 5 sigma."""
    legal_lanes, legal_ends, weights = legal
    place = {window: i for i, window in enumerate(zip(legal_lanes.tolist(), legal_ends.tolist(), strict=True))}
    counts = np.bincount([place[w] for w in zip(lanes.tolist(), ends.tolist(), strict=True)], minlength=len(place))
    assert_counts_follow(counts, weights)


def assert_counts_follow(counts: np.ndarray, weights: np.ndarray) -> None:
    """Chi-square of counts against weights, classes expected fewer than 10 times pooled; 5 sigma."""
    expected = weights / weights.sum() * counts.sum()
    rare = expected < 10
    pooled, mean = np.append(counts[~rare], counts[rare].sum()), np.append(expected[~rare], expected[rare].sum())
    pooled, mean = pooled[mean > 0], mean[mean > 0]
    assert len(mean) > 1
    chi_square = ((pooled - mean) ** 2 / mean).sum()
    freedom = len(mean) - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom) + 5, (chi_square, freedom)
