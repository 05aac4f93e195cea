"""What every lane returned last: repeated by lanes that have nothing new to say."""

from __future__ import annotations

import numpy as np

__all__ = ["LastReadings", "Sections"]

Sections = dict[str, dict[str, np.ndarray]]


class LastReadings:
    """The newest sections (observation, privileged, clean) of all lanes, arrays [lane, ...]."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._sections: Sections = {}

    @property
    def is_empty(self) -> bool:
        """Whether no lane has returned anything."""
        return not self._sections

    def hold(self, current: Sections, held: np.ndarray, faulty: np.ndarray) -> None:
        """Overwrite the held lanes of `current` in place with their last values, then remember `current`.

        Args:
            current: the sections of this tick.
            held: mask [lane] of lanes that repeat what they returned last.
            faulty: mask [lane], a subset of `held`; their rows are marked invalid.
        """
        if held.any():
            self._overwrite(current, held, faulty)
        self._sections = {
            section: {key: values.copy() for key, values in entries.items()} for section, entries in current.items()
        }

    def _overwrite(self, current: Sections, held: np.ndarray, faulty: np.ndarray) -> None:
        for section, entries in current.items():
            for key, values in entries.items():
                values[held] = self._sections[section][key][held]
                if key.endswith(".valid"):
                    values[faulty] = 0

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the sections as one flat dictionary."""
        return {
            f"last/{section}/{key}": values.copy()
            for section, entries in self._sections.items()
            for key, values in entries.items()
        }

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned; other keys of `state` are left alone."""
        self._sections = {}
        for name, values in state.items():
            if name.startswith("last/"):
                _, section, key = name.split("/", 2)
                self._sections.setdefault(section, {})[key] = np.array(values)
