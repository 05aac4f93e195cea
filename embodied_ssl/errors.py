"""The errors a user can cause, each one clear line: the bad value, what was expected, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EmbodiedSSLError(Exception):
    """Root of all errors raised on purpose; the command line prints them without a traceback."""


class ConfigError(EmbodiedSSLError):
    """A key, type or value in a config file or on the command line is wrong."""


class SpecError(EmbodiedSSLError):
    """A stream, env or array does not fit the declared sensors."""


class BufferFullError(EmbodiedSSLError):
    """The buffer cannot be built, or holds no legal window yet."""


class LogError(EmbodiedSSLError):
    """A log or an imported recording is missing, damaged, unsafe, or does not fit."""


class CheckpointError(EmbodiedSSLError):
    """A checkpoint is missing, damaged, or does not fit this run."""


class RunError(EmbodiedSSLError):
    """A run folder is missing, unfinished, or cannot be written."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the sentence tail that names the closest legal name and lists all of them.

    Args:
        name: what the user wrote.
        names: what is allowed.

    Returns:
        For example ``"did you mean 'lr'? allowed: lr, tau"``.
    """
    allowed = sorted(names)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed) or 'nothing'}"
