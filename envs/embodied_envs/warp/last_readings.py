"""What every lane returned last: repeated by lanes that have nothing new to say."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Sections", "WarpLastReadings"]

Sections = dict[str, dict[str, Tensor]]


class WarpLastReadings:
    """The newest sections (observation, privileged, clean) of all lanes, tensors [lane, ...]; shared, never written."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._sections: Sections = {}

    @property
    def is_empty(self) -> bool:
        """Whether no lane has returned anything."""
        return not self._sections

    def hold(self, current: Sections, held: Tensor, faulty: Tensor) -> Sections:
        """Return `current` with the last values of the held lanes, and remember it.

        Args:
            current: the sections of this tick.
            held: mask [lane] of lanes that repeat what they returned last.
            faulty: mask [lane], a subset of `held`; their rows are marked invalid.
        """
        if not self.is_empty:
            current = {section: self._repeat(section, values, held, faulty) for section, values in current.items()}
        self._sections = {section: dict(values) for section, values in current.items()}
        return current

    def _repeat(self, section: str, values: dict[str, Tensor], held: Tensor, faulty: Tensor) -> dict[str, Tensor]:
        last, repeated = self._sections[section], {}
        for key, new in values.items():
            shape = (-1, *[1] * (new.dim() - 1))
            repeated[key] = torch.where(held.view(shape), last[key], new)
            if key.endswith(".valid"):
                repeated[key] = repeated[key].masked_fill(faulty.view(shape), 0)
        return repeated
