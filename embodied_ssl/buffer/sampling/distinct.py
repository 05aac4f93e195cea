"""Exact control of how many episodes a batch holds: every group of windows from another episode."""

from __future__ import annotations

import numpy as np

from embodied_ssl.buffer.sampling.sampler import Ends, Sampler

ROUNDS = 8
"""Redraws before the episodes are listed, which costs time in proportion to the buffer."""


def draw_distinct(sampler: Sampler, num_windows: int, rng: np.random.Generator, windows_per_episode: int) -> Ends:
    """Draw ``B`` windows from exactly ``E = B / windows_per_episode`` episodes, windows of one side by side.

    Episodes are drawn one after another without replacement, each with its share of what the others left; windows
    within an episode with replacement, as the sampler would. So a short episode comes more often than its windows
    alone would make it come. Where only ``K < E`` episodes have a legal window, all of them are there, each
    ``floor(E / K)`` or one more times: the rest is drawn without replacement again.

    Args:
        sampler: which windows, and how likely.
        num_windows: B, a multiple of ``windows_per_episode``.
        rng: source of chance.
        windows_per_episode: M, windows that share an episode.

    Raises:
        BufferFullError: there is no legal window yet.
    """
    num_groups = num_windows // windows_per_episode
    groups = _Groups(sampler, windows_per_episode)
    for _ in range(ROUNDS):
        groups.add(*sampler.draw((num_groups - len(groups.keys)) * windows_per_episode, rng, windows_per_episode))
        if len(groups.keys) == num_groups:
            break
    else:
        _complete(groups, num_groups, rng)
    return np.concatenate(groups.lanes), np.concatenate(groups.ends)


class _Groups:
    """The groups that a batch has so far, one an episode."""

    def __init__(self, sampler: Sampler, size: int) -> None:
        self.sampler, self.size = sampler, size
        self.keys: list[int] = []
        self.lanes: list[np.ndarray] = []
        self.ends: list[np.ndarray] = []

    def add(self, lanes: np.ndarray, ends: np.ndarray) -> None:
        """Keep the groups of ``lanes``, ``ends`` whose episode is new, in the order drawn."""
        lanes, ends = lanes.reshape(-1, self.size), ends.reshape(-1, self.size)
        for key, lane, end in zip(self.sampler.episodes(lanes[:, 0], ends[:, 0]).tolist(), lanes, ends, strict=True):
            if key not in self.keys:
                self.put(key, lane, end)

    def put(self, key: int, lanes: np.ndarray, ends: np.ndarray) -> None:
        self.keys.append(key)
        self.lanes.append(lanes)
        self.ends.append(ends)


def _complete(groups: _Groups, num_groups: int, rng: np.random.Generator) -> None:
    """List all episodes, and go on drawing without replacement; begin anew whenever all are used up."""
    lanes, ends, weights = groups.sampler.weights()
    keys, member = np.unique(groups.sampler.episodes(lanes, ends), return_inverse=True)
    mass = np.bincount(member, weights)
    used = np.isin(keys, groups.keys) | (mass <= 0)
    while len(groups.keys) < num_groups:
        if used.all():
            used = mass <= 0
        # The smallest of exponential clocks with these rates, then the next: successive draws without replacement.
        clocks = np.where(used, np.inf, rng.exponential(size=len(keys)) / np.maximum(mass, 1e-300))
        for episode in np.argsort(clocks)[: min(num_groups - len(groups.keys), int((~used).sum()))]:
            inside = np.flatnonzero(member == episode)
            pick = rng.choice(inside, groups.size, p=weights[inside] / mass[episode])
            groups.put(int(keys[episode]), lanes[pick], ends[pick])
            used[episode] = True
