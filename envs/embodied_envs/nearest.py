"""The nearest legal name, for messages about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the tail of an error line: the closest legal name, then all of them."""
    allowed = sorted(names)
    close = difflib.get_close_matches(str(name), allowed, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}expected one of: {', '.join(allowed) or 'nothing'}"
