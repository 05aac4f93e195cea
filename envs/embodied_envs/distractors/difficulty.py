"""How strong distractors are: the scales of the Distracting Control Suite (Stone et al. 2021, arXiv:2101.02722)."""

from __future__ import annotations

__all__ = ["SCALES", "level"]

SCALES = {"easy": 0.1, "medium": 0.2, "hard": 0.3}
"""Difficulty -> scale, of which ranges and speeds are multiples."""


def level(difficulty: str) -> int:
    """Return 1, 2 or 3 for easy, medium, hard."""
    return list(SCALES).index(difficulty) + 1
