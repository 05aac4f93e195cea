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
from embodied_ssl.sources.replay import is_recording_of_ticks
from embodied_ssl.sources.replay_cursor import BLOCK_BYTES, MAX_BLOCK_ROWS
from embodied_ssl.sources.replay_splits import Stretch, episode_stretches
from embodied_ssl.spec import Tick


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
        stretches: Sequence[Stretch] | None = None,
    ) -> None:
        """Open a log at its first tick.

        Args:
            log: of packets.
            control_hz: ticks a second.
            settings: how packets become ticks.
            stretches: what to read, each an episode of its own; None: the episodes of lane 0, or the whole recording.

        Raises:
            LogError: the log holds ticks, or a setting does not fit it.
        """
        if is_recording_of_ticks(log):
            raise LogError(f"{log.path} holds ticks already; read it with TickReplay(log)")
        self.log, self._control_hz, self._settings = log, control_hz, settings
        self.stretches = list(episode_stretches(log) if stretches is None else stretches)
        blank = self._aligner()
        self.spec, self._names = blank.spec, blank.streams
        self.counts = {name: AlignmentCounts() for name in self._names}
        self.step = self._stretch = self._in_stretch = 0
        self._steps: Iterator[list[Tick]] | None = None
        self._starts: dict[str, list[int]] = {}

    def _aligner(self) -> Aligner:
        return Aligner(list(self.log.streams.values()), self._control_hz, self._settings)

    def __iter__(self) -> Iterator[list[Tick]]:
        """Yield the steps from the present one on."""
        while (step := self.next_step()) is not None:
            yield step

    def next_step(self) -> list[Tick] | None:
        """Return the next tick as a step; None at the end."""
        while self._stretch < len(self.stretches):
            if self._steps is None:
                self._steps = self._align(self.stretches[self._stretch])
            step = next(self._steps, None)
            if step is not None:
                self.step, self._in_stretch = self.step + 1, self._in_stretch + 1
                return step
            self._stretch, self._in_stretch, self._steps = self._stretch + 1, 0, None
        return None

    def _align(self, stretch: Stretch) -> Iterator[list[Tick]]:
        """Align one stretch; its counts are added when it is through."""
        aligner = self._aligner()
        blocks = {name: self._blocks(name, stretch) for name in self._names}
        while (name := aligner.wanted) is not None:
            rows = next(blocks[name], None)
            if rows is None:
                aligner.end(name)
            else:
                aligner.push(name, rows.data, rows.t_ns, rows.t_recv_ns, rows.seq)
            for tick in aligner.ready():
                yield [tick]
        for tick in aligner.finish(stretch.end_kind):
            yield [tick]
        for name, counts in aligner.counts.items():
            self.counts[name].add(counts)

    def _blocks(self, name: str, stretch: Stretch) -> Iterator[LogRows]:
        """Yield the rows of a stretch of one stream in blocks of bounded memory."""
        size = max(1, min(MAX_BLOCK_ROWS, BLOCK_BYTES // max(1, self.log.streams[name].row_bytes)))
        for start, stop in self._spans(name, stretch):
            for at in range(start, stop, size):
                rows = self.log.read(name, at, min(at + size, stop))
                inside = (rows.lane == stretch.lane) & (rows.t_recv_ns >= stretch.start_ns)
                inside &= rows.t_recv_ns <= stretch.end_ns
                if inside.any():
                    yield rows if inside.all() else LogRows(rows.data[inside], rows.index[inside])

    def _spans(self, name: str, stretch: Stretch) -> list[tuple[int, int]]:
        """Return runs of row numbers outside of which no row of the stretch lies."""
        total, size = self.log.num_rows(name), MAX_BLOCK_ROWS
        if name not in self._starts:
            self._starts[name] = [value for edge in self._edges(name, size) for value in edge]
        edges = np.array(self._starts[name], np.int64).reshape(-1, 2)
        touched = np.flatnonzero((edges[:, 1] >= stretch.start_ns) & (edges[:, 0] <= stretch.end_ns))
        return [(int(i) * size, min((int(i) + 1) * size, total)) for i in touched]

    def _edges(self, name: str, size: int) -> Iterator[tuple[int, int]]:
        """Yield the least and greatest arrival of every ``size`` rows; the index is read once."""
        arrival = self.log.index(name)[:, 1]
        if len(arrival) != self.log.num_rows(name):  # damaged chunks were left out: row numbers say nothing
            for _ in range(0, self.log.num_rows(name), size):
                yield int(arrival.min(initial=0)), int(arrival.max(initial=0))
            return
        for at in range(0, len(arrival), size):
            yield int(arrival[at : at + size].min()), int(arrival[at : at + size].max())

    def state(self) -> dict[str, Any]:
        """Return a JSON-able cursor for `load_state`."""
        return {"stretch": self._stretch, "in_stretch": self._in_stretch, "step": self.step}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state` was taken: the stretch is aligned anew up to there.

        Raises:
            LogError: the cursor is of another log.
        """
        if not 0 <= int(state["stretch"]) <= len(self.stretches):
            raise LogError(f"the cursor is of another log than {self.log.path}; start at its beginning")
        self._stretch, self._in_stretch, self._steps = int(state["stretch"]), 0, None
        for _ in range(int(state["in_stretch"])):
            if self.next_step() is None:
                raise LogError(f"the cursor lies behind the end of {self.log.path}; it was changed since")
        self.step = int(state["step"])
