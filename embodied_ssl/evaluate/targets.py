"""What probes read out: privileged quantities in named groups, with the episode of every tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Targets:
    """Probe targets of a set of ticks.

    Attributes:
        values: ``(n, T)`` float64.
        names: the ``T`` names, for example ``joint_vel.2``.
        groups: group name to the names of its targets.
        episodes: ``(n,)`` int64 episode of each tick.
    """

    values: np.ndarray
    names: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    episodes: np.ndarray

    def __getitem__(self, ticks: np.ndarray) -> Targets:
        """Return the targets of the ticks selected by an index or a mask."""
        return Targets(self.values[ticks], self.names, self.groups, self.episodes[ticks])

    def columns(self, group: str) -> np.ndarray:
        """Return the column numbers of a group."""
        return np.array([self.names.index(name) for name in self.groups[group]], dtype=np.int64)

    @classmethod
    def from_privileged(
        cls,
        privileged: Mapping[str, np.ndarray],
        groups: Mapping[str, Sequence[str]],
        episodes: np.ndarray,
    ) -> Targets:
        """Build targets from privileged arrays.

        Args:
            privileged: name to ``(n,)`` or ``(n, ...)`` array.
            groups: group name to the privileged names it averages over.
            episodes: ``(n,)`` episode of each tick.

        Returns:
            One column for every scalar of every privileged name that is in a group, in order.
        """
        columns, names, members = [], [], {}
        for group, keys in groups.items():
            members[group] = []
            for key in keys:
                array = np.asarray(privileged[key], dtype=np.float64).reshape(len(episodes), -1)
                labels = [key] if array.shape[1] == 1 else [f"{key}.{i}" for i in range(array.shape[1])]
                columns.append(array)
                members[group].extend(labels)
                names.extend(labels)
        frozen = {group: tuple(labels) for group, labels in members.items()}
        return cls(np.concatenate(columns, axis=1), tuple(names), frozen, np.asarray(episodes, dtype=np.int64))
