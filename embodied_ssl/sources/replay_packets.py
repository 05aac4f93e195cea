"""A log of packets as a source: its episodes aligned to ticks of one lane, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import LogRows
from embodied_ssl.sources.alignment import Aligner, AlignmentSettings
from embodied_ssl.sources.alignment_counts import AlignmentCounts
from embodied_ssl.sources.episode_spans import EpisodeSpan, episode_spans
from embodied_ssl.sources.replay import is_recording_of_ticks
from embodied_ssl.sources.replay_cursor import BLOCK_BYTES, MAX_BLOCK_ROWS
from embodied_ssl.spec import Tick

EDGE_ROWS = 64
"""Rows whose times are known together: short episodes read about as many rows too many."""


class LogTicks:
    """Yields steps of one tick each, as `TickReplay` does, so that whoever consumes them need not care.

    Actions are scaled by ``settings.action_bounds``; measure them with `action_bounds` over all logs that are used.

    Example:
        >>> log = StreamLog.open("flight.zarr")
        >>> for (tick,) in LogTicks(log, control_hz=50.0):
        ...     buffer.append(tick)
    """

    num_lanes = 1

    def __init__(
        self,
        log: StreamLog,
        control_hz: float,
        settings: AlignmentSettings | None = None,
        spans: Sequence[EpisodeSpan] | None = None,
    ) -> None:
        """Open a log at its first tick.

        Args:
            log: of packets.
            control_hz: ticks a second.
            settings: how packets become ticks.
            spans: what to read, each an episode of its own; None: the episodes of lane 0, or the whole recording.

        Raises:
            LogError: the log holds ticks, or a setting does not fit it.
        """
        if is_recording_of_ticks(log):
            raise LogError(f"{log.path} holds ticks already; read it with TickReplay(log)")
        self.log, self._control_hz, self._settings = log, control_hz, settings
        self.spans = list(episode_spans(log) if spans is None else spans)
        blank = self._aligner()
        self.spec, self._names = blank.spec, blank.streams
        self.counts = {name: AlignmentCounts() for name in self._names}
        self.step = self._span = self._in_span = 0
        self._steps: Iterator[list[Tick]] | None = None
        self._edges: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.time_ns: int | None = None
        """Time of the step given last, on the clock of arrival."""

    def _aligner(self) -> Aligner:
        return Aligner(list(self.log.streams.values()), self._control_hz, self._settings)

    def __iter__(self) -> Iterator[list[Tick]]:
        """Yield the steps from the present one on."""
        while (step := self.next_step()) is not None:
            yield step

    def next_step(self) -> list[Tick] | None:
        """Return the next tick as a step; None at the end."""
        while self._span < len(self.spans):
            if self._steps is None:
                self._steps = self._align(self.spans[self._span])
            step = next(self._steps, None)
            if step is not None:
                self.step, self._in_span = self.step + 1, self._in_span + 1
                return step
            self._span, self._in_span, self._steps = self._span + 1, 0, None
        return None

    @property
    def episode(self) -> int:
        """Number of the span that the step given last is of; cuts within a span do not count."""
        return self._span

    def _align(self, span: EpisodeSpan) -> Iterator[list[Tick]]:
        """Align one span; its counts are added when it is through."""
        aligner = self._aligner()
        blocks = {name: self._blocks(name, span) for name in self._names}
        while (name := aligner.wanted) is not None:
            rows = next(blocks[name], None)
            if rows is None:
                aligner.end(name)
            else:
                aligner.push(name, rows.data, rows.t_ns, rows.t_recv_ns, rows.seq)
            yield from self._timed(aligner, aligner.ready())
        yield from self._timed(aligner, aligner.finish(span.end_kind))
        for name, counts in aligner.counts.items():
            self.counts[name].add(counts)

    def _timed(self, aligner: Aligner, ticks: Iterator[Tick]) -> Iterator[list[Tick]]:
        for tick in ticks:
            self.time_ns = aligner.time_ns
            yield [tick]

    def _blocks(self, name: str, span: EpisodeSpan) -> Iterator[LogRows]:
        """Yield the rows of a span of one stream in blocks of bounded memory."""
        size = self._block_rows(name)
        for start, stop in self._touched(name, span):
            for at in range(start, stop, size):
                rows = self.log.read(name, at, min(at + size, stop))
                inside = (rows.lane == span.lane) & (rows.t_recv_ns >= span.start_ns)
                inside &= rows.t_recv_ns <= span.end_ns
                if inside.any():
                    yield rows if inside.all() else LogRows(rows.data[inside], rows.index[inside])

    def _block_rows(self, name: str) -> int:
        return max(1, min(MAX_BLOCK_ROWS, BLOCK_BYTES // max(1, self.log.streams[name].row_bytes)))

    def _touched(self, name: str, span: EpisodeSpan) -> list[tuple[int, int]]:
        """Return runs of row numbers outside of which no row of the span lies."""
        total, size = self.log.num_rows(name), min(EDGE_ROWS, self._block_rows(name))
        if name not in self._edges:
            self._edges[name] = self._find_edges(name, size)
        low, high = self._edges[name]
        touched = np.flatnonzero((high >= span.start_ns) & (low <= span.end_ns))
        runs = np.split(touched, np.flatnonzero(np.diff(touched) > 1) + 1) if len(touched) else []
        return [(int(run[0]) * size, min((int(run[-1]) + 1) * size, total)) for run in runs]

    def _find_edges(self, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and greatest arrival of every ``size`` rows; the index is read once."""
        arrival, total = self.log.index(name)[:, 1], self.log.num_rows(name)
        if len(arrival) != total:  # damaged chunks were left out: row numbers say nothing
            count = -(-total // size)
            return np.full(count, arrival.min(initial=0)), np.full(count, arrival.max(initial=0))
        starts = np.arange(0, total, size)
        if not len(starts):
            return arrival, arrival
        return np.minimum.reduceat(arrival, starts), np.maximum.reduceat(arrival, starts)

    def state(self) -> dict[str, Any]:
        """Return a JSON-able cursor for `load_state`."""
        return {"span": self._span, "in_span": self._in_span, "step": self.step}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state` was taken: its span is aligned anew up to there.

        Raises:
            LogError: the cursor is of another log.
        """
        if not 0 <= int(state["span"]) <= len(self.spans):
            raise LogError(f"the cursor is of another log than {self.log.path}; start at its beginning")
        self._span, self._in_span, self._steps = int(state["span"]), 0, None
        for _ in range(int(state["in_span"])):
            if self.next_step() is None:
                raise LogError(f"the cursor lies behind the end of {self.log.path}; it was changed since")
        self.step = int(state["step"])
