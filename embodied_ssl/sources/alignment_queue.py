"""Packets of one stream that wait for their tick."""

from __future__ import annotations

import numpy as np

from embodied_ssl.sources.alignment_packets import IN_ORDER, Packets, PacketScreen
from embodied_ssl.spec import SensorSpec


class PacketQueue:
    """Packets in order of arrival; positions are those among what is held, numbers count from the beginning."""

    def __init__(self, sensor: SensorSpec, screen: PacketScreen) -> None:
        """Begin empty."""
        self.screen, self.sensor = screen, sensor
        none = np.zeros(0, np.int64)
        data = np.zeros((0, *sensor.shape), sensor.dtype)
        self.held = Packets(none, none, none.astype(np.int8), none.astype(bool), data, [])
        self.ended = False
        self.base = 0  # number of the first packet held
        self.heard = 0  # number of the first packet whose arrival was not yet taken note of
        self.newest_ns: int | None = None  # newest arrival of this piece that is no longer held
        self.begin_segment()

    def begin_segment(self) -> None:
        """Forget what was shown."""
        self.sent, self.sent_ns, self.stale = -1, 0, False

    def push(self, packets: Packets) -> None:
        """Take in packets."""
        held, before = self.held, len(self.held.arrival)
        if not before:
            self.held = packets
            return
        self.held = Packets(
            np.concatenate([held.arrival, packets.arrival]),
            np.concatenate([held.capture, packets.capture]),
            np.concatenate([held.order, packets.order]),
            np.concatenate([held.masked, packets.masked]),
            np.concatenate([held.data, packets.data]),
            [*held.breaks, *(before + b for b in packets.breaks)],
        )

    @property
    def piece_rows(self) -> int:
        """Packets held of the present piece of the arrival clock."""
        return self.held.breaks[0] if self.held.breaks else len(self.held.arrival)

    @property
    def closed(self) -> bool:
        """Whether no more packets of this piece can come."""
        return self.ended or bool(self.held.breaks)

    @property
    def loaded_ns(self) -> int | None:
        """Newest arrival of this piece; None: none yet."""
        rows = self.piece_rows
        return int(self.held.arrival[rows - 1]) if rows else self.newest_ns

    def rows_until(self, limit_ns: int) -> int:
        """Return how many packets held of this piece arrived by ``limit_ns``."""
        return int(np.searchsorted(self.held.arrival[: self.piece_rows], limit_ns, "right"))

    def new_arrivals(self, limit_ns: int) -> np.ndarray:
        """Return the arrivals up to ``limit_ns`` that were not yet returned."""
        start, stop = max(0, self.heard - self.base), self.rows_until(limit_ns)
        self.heard = max(self.heard, self.base + stop)
        return self.held.arrival[start:stop]

    @property
    def sent_position(self) -> int:
        """Position of the packet shown last; -1: none in this segment."""
        return self.sent - self.base if self.sent >= 0 else -1

    def prune(self, time_ns: int, keep_ns: int) -> None:
        """Drop what no later tick can need.

        Args:
            time_ns: the newest tick made.
            keep_ns: packets that arrived after this are kept in any case.
        """
        held, seen = self.held, self.rows_until(time_ns)
        usable = np.flatnonzero((held.order[:seen] == IN_ORDER) & ~held.masked[:seen])
        keep = [self.rows_until(keep_ns), seen, int(usable[-1]) if len(usable) else 0]
        if self.sent >= 0:
            keep.append(self.sent_position)
        self._drop(max(0, min(min(keep), self.heard - self.base)))

    def next_piece(self, limit_ns: int) -> None:
        """Drop the packets of this piece that arrived by ``limit_ns``; the rest belongs to the next one."""
        self._drop(self.rows_until(limit_ns))
        if self.held.breaks and self.held.breaks[0] == 0:
            self.held.breaks.pop(0)
        self.heard, self.newest_ns = self.base, None
        self.begin_segment()

    def _drop(self, rows: int) -> None:
        if not rows:
            return
        held = self.held
        self.newest_ns = int(held.arrival[rows - 1])
        self.base += rows
        self.held = Packets(
            held.arrival[rows:],
            held.capture[rows:],
            held.order[rows:],
            held.masked[rows:],
            held.data[rows:],
            [b - rows for b in held.breaks],
        )
