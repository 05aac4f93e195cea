"""Times and sequence numbers of the rows of one LeRobot episode."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.lerobot_columns import Column, to_rows
from embodied_ssl.logs.importers.lerobot_layout import Layout
from embodied_ssl.logs.importers.lerobot_parquet import EpisodeRows

TIMESTAMP_TOLERANCE_S = 1e-4
"""How far a timestamp may be from ``frame_index / fps`` and still mean it; the tolerance that LeRobot itself uses."""


class EpisodeTimes:
    """Gathers the times of an episode batch by batch: 24 bytes a row."""

    def __init__(self, rows: EpisodeRows, layout: Layout, start_ns: int, start_seq: int) -> None:
        """Start an episode.

        Args:
            rows: where it is.
            layout: for its rate.
            start_ns: time of its first row in the log.
            start_seq: sequence number of its first row.
        """
        self.rows, self.fps, self.start_ns, self.start_seq = rows, layout.fps, start_ns, start_seq
        self._frame, self._seconds = np.empty(rows.count, np.int64), np.empty(rows.count)
        self.t_ns = np.empty(rows.count, np.int64)
        self._num_off = 0

    def add(self, batch: Any, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Take in the rows from ``first`` on.

        Returns:
            Their times in the log and their sequence numbers, both ``(n,)`` int64.

        Raises:
            LogError: times or numbers have nulls, are of a wrong type, or are not finite.
        """
        span = slice(first, first + batch.num_rows)
        self._frame[span] = self._column(batch, "frame_index", "int64", np.arange(span.start, span.stop))
        self._seconds[span] = self._column(batch, "timestamp", "float64", self._frame[span] / self.fps)
        if not np.isfinite(self._seconds[span]).all():
            raise LogError(f"{self.rows.path}: timestamps of episode {self.rows.episode} are not all finite")
        number, seconds = self._frame[span] - self._frame[0], self.seconds[span]
        regular = np.abs(seconds - number / self.fps) <= TIMESTAMP_TOLERANCE_S
        self._num_off += int((~regular).sum())
        exact = np.rint(number * (1e9 / self.fps)).astype(np.int64)
        self.t_ns[span] = self.start_ns + np.where(regular, exact, np.rint(seconds * 1e9).astype(np.int64))
        return self.t_ns[span], self.start_seq + number

    def _column(self, batch: Any, name: str, dtype: str, instead: np.ndarray) -> np.ndarray:
        if name not in batch.schema.names:
            return instead
        return to_rows(batch.column(name), Column(name, (1,), dtype), self.rows.path)[:, 0]

    @property
    def seconds(self) -> np.ndarray:
        """The file's own timestamps since the first row, ``(count,)`` float64."""
        return self._seconds - self._seconds[0]

    @property
    def seq(self) -> np.ndarray:
        """Sequence numbers ``(count,)``."""
        return self.start_seq + self._frame - self._frame[0]

    @property
    def last_ns(self) -> int:
        """Latest time of a row."""
        return int(self.t_ns.max())

    @property
    def next_seq(self) -> int:
        """Number that the next episode starts with."""
        return int(self.seq.max()) + 1

    def notes(self) -> list[str]:
        """Return what is odd about the times."""
        back, jumps = int((np.diff(self.t_ns) <= 0).sum()), int((np.diff(self._frame) != 1).sum())
        told = [
            (self._num_off, f"timestamps are off frame_index / fps by over {TIMESTAMP_TOLERANCE_S:g} s and were kept"),
            (back, "times do not grow"),
            (jumps, "times frame_index does not grow by one"),
        ]
        return [f"episode {self.rows.episode}: {count} {text}" for count, text in told if count]


def end_kind(batch: Any) -> str:
    """Say how an episode ended from its last rows: only ``next.terminated`` and ``next.truncated`` tell it.

    ``next.done`` is true at the end of any episode and tells nothing.
    """
    names = batch.schema.names
    ended = [
        kind
        for kind in ("terminated", "truncated")
        if f"next.{kind}" in names and bool(np.any(batch.column(f"next.{kind}")[-1].as_py()))
    ]
    return "+".join(ended) or "unknown"
