"""Holds writers and readers of a buffer to a ratio, when they run in threads of their own.

The words are Reverb's (``min_size``, ``samples_per_insert``, ``error_buffer``). A run of ours has the same three by
other names: the update-to-data ratio times the batch size is the samples per insert, ``learner.learning_starts`` the
least size, and the collector waits while the learner is some updates behind, which is one half of an error buffer.
There the counts are those of the learner itself, and a resumed run has them back, so it needs no limiter; this class
is for programs that write to a buffer and sample from it in loops of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from embodied_ssl.errors import ConfigError


class Limiter:
    """Blocks whoever is ahead.

    With ``d = samples_per_insert * (inserts - min_size) - samples``, sampling is allowed from ``min_size`` inserts on
    and while d stays at or above ``-error_buffer``; inserting is always allowed up to ``min_size``, and beyond it
    while d stays at or below ``error_buffer``.
    """

    def __init__(self, samples_per_insert: float, min_size: int, error_buffer: float) -> None:
        """Start with nothing inserted.

        Args:
            samples_per_insert: how often each item is sampled in the long run, > 0.
            min_size: inserts before the first sample, at least 1.
            error_buffer: how far, in samples, either side may be ahead.

        Raises:
            ConfigError: a number is out of range, or the buffer is so small that both sides could wait for ever.
        """
        if not samples_per_insert > 0:
            raise ConfigError(f"samples_per_insert is {samples_per_insert!r}, expected a positive number")
        if min_size < 1:
            raise ConfigError(f"min_size is {min_size!r}, expected at least 1")
        if not error_buffer >= max(1.0, samples_per_insert):
            raise ConfigError(
                f"error_buffer is {error_buffer!r}, expected at least {max(1.0, samples_per_insert)}: with less, "
                "writer and reader could both wait for ever"
            )
        self.samples_per_insert, self.min_size, self.error_buffer = samples_per_insert, min_size, error_buffer
        self._inserts = self._samples = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def counts(self) -> tuple[int, int]:
        """Items inserted and items sampled so far."""
        with self._changed:
            return self._inserts, self._samples

    @property
    def ratio(self) -> float:
        """Samples per insert so far, 0 before the first insert."""
        inserts, samples = self.counts
        return samples / max(1, inserts)

    def can_insert(self, num: int = 1) -> bool:
        """Whether `insert` would return at once."""
        with self._changed:
            return not self._closed and self._may_insert(num)

    def can_sample(self, num: int = 1) -> bool:
        """Whether `sample` would return at once."""
        with self._changed:
            return not self._closed and self._may_sample(num)

    def insert(self, num: int = 1, timeout_s: float | None = None) -> bool:
        """Wait until ``num`` items may be inserted together, and count them.

        Args:
            num: items.
            timeout_s: longest wait; None: without end.

        Returns:
            Whether they were counted; False after the timeout or `close`, and nothing has changed.

        Raises:
            ConfigError: so many at once could make both sides wait for ever.
        """
        self._check(num, num * self.samples_per_insert, "insert")
        with self._changed:
            if not self._wait(lambda: self._may_insert(num), timeout_s):
                return False
            self._inserts += num
            self._changed.notify_all()
            return True

    def sample(self, num: int = 1, timeout_s: float | None = None) -> bool:
        """Wait until ``num`` items may be sampled together, and count them; otherwise as `insert`."""
        self._check(num, num, "sample")
        with self._changed:
            if not self._wait(lambda: self._may_sample(num), timeout_s):
                return False
            self._samples += num
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """Let everybody who waits go, with False; nobody is let through any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, allowed: Callable[[], bool], timeout_s: float | None) -> bool:
        self._changed.wait_for(lambda: self._closed or allowed(), timeout_s)
        return not self._closed and allowed()

    def _check(self, num: int, in_samples: float, what: str) -> None:
        """Refuse steps of more than the buffer: while no side takes more, never both of them have to wait."""
        if num < 0 or in_samples > self.error_buffer:
            raise ConfigError(
                f"{what} of {num} items at once needs an error_buffer of at least {in_samples:g}, "
                f"got {self.error_buffer:g}"
            )

    def _ahead(self) -> float:
        return self.samples_per_insert * (self._inserts - self.min_size) - self._samples

    def _may_insert(self, num: int) -> bool:
        if self._inserts + num <= self.min_size:
            return True
        return self._ahead() + num * self.samples_per_insert <= self.error_buffer

    def _may_sample(self, num: int) -> bool:
        return self._inserts >= self.min_size and self._ahead() - num >= -self.error_buffer

    def state(self) -> dict[str, int]:
        """Return the counts, for a restore."""
        inserts, samples = self.counts
        return {"inserts": inserts, "samples": samples}

    def load_state(self, state: dict[str, int]) -> None:
        """Restore `state`."""
        with self._changed:
            self._inserts, self._samples = state["inserts"], state["samples"]
            self._changed.notify_all()
