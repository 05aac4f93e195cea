"""What became of every packet of a stream."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass
class AlignmentCounts:
    """Counts of one stream. ``received = in_order + reordered + late + duplicated``.

    Attributes:
        received: packets that came in.
        in_order: captured at or after all that came before.
        reordered: captured before one that came earlier, by at most a tick.
        late: the same by more than a tick; never shown by a causal method.
        duplicated: seen before; never shown.
        missing: packets that never came: holes in the source's numbers, or an estimate from holes in time.
        missing_is_estimate: the source has no numbers.
        clock_jumps: the capture clock jumped against arrival, or back by more than the reorder window.
        arrival_jumps: the arrival clock itself stepped back (a corrected host clock); the ticks are cut there.
        untimed: packets with a capture time of 0 on a running clock; their arrival stands in for it.
        gaps: silences longer than the largest gap allowed.
        non_finite: packets with NaN or infinity.
        masked: packets kept out of batches because of a fault (those that are not finite included).
        delivered: packets that became a fresh row; for ``linear``: ticks that got a value.
        superseded: passed over, because a newer or nearer one was shown at the same tick.
        missed_tick: reordered, and newer ones had been shown at an earlier tick.
        overflow: oldest rows of a burst beyond the room of a tick.
        over_age: came older than the largest age allowed.
        stale_cuts: times that the row shown grew older than allowed, so that the ticks were cut.
    """

    received: int = 0
    in_order: int = 0
    reordered: int = 0
    late: int = 0
    duplicated: int = 0
    missing: int = 0
    missing_is_estimate: bool = False
    clock_jumps: int = 0
    arrival_jumps: int = 0
    untimed: int = 0
    gaps: int = 0
    non_finite: int = 0
    masked: int = 0
    delivered: int = 0
    superseded: int = 0
    missed_tick: int = 0
    overflow: int = 0
    over_age: int = 0
    stale_cuts: int = 0

    def add(self, other: AlignmentCounts) -> None:
        """Add the counts of another stretch of the same stream."""
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            setattr(self, field.name, mine or theirs if isinstance(mine, bool) else mine + theirs)
