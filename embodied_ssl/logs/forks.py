"""Writers that live when the process forks: their threads do not survive it in the child."""

from __future__ import annotations

import os
import weakref
from typing import Any

_WATCHED: weakref.WeakSet[Any] = weakref.WeakSet()


def watch(writer: Any) -> None:
    """Have ``writer.abandon_after_fork`` called in every child that is forked."""
    _WATCHED.add(writer)


def _after_fork() -> None:
    for writer in list(_WATCHED):
        writer.abandon_after_fork()


os.register_at_fork(after_in_child=_after_fork)
