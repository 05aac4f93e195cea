"""Stretches of a recording: what is learned from and what is held out, with nothing shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embodied_ssl.errors import LogError
from embodied_ssl.logs.reader import StreamLog

MIN_EPISODES = 5
"""With fewer episodes of a lane than this, recordings are cut into stretches of time instead."""

FOREVER_NS = 2**62 - 1


@dataclass(frozen=True)
class Stretch:
    """A span of time of one lane that ticks are made of, as an episode of its own.

    Attributes:
        lane: whose packets.
        start_ns: first arrival that belongs to it.
        end_ns: last arrival that belongs to it.
        end_kind: how it ends, as in a log; a stretch that was cut is ``truncated``.
    """

    lane: int
    start_ns: int
    end_ns: int
    end_kind: str = "unknown"


def episode_stretches(log: StreamLog, lane: int = 0, episodes: Sequence[int] | None = None) -> list[Stretch]:
    """Return the episodes of a lane as stretches; the whole recording if it has none.

    Args:
        log: of packets.
        lane: whose.
        episodes: positions among the lane's episodes; None: all.

    Raises:
        LogError: there is no such episode.
    """
    own = [episode for episode in log.episodes if episode.lane == lane]
    if not own:
        if episodes:
            raise LogError(f"{log.path} has no episodes of lane {lane}, but episodes {list(episodes)} are asked")
        return [Stretch(lane, -FOREVER_NS, FOREVER_NS)]
    for number in episodes or ():
        if not 0 <= number < len(own):
            raise LogError(f"{log.path} has no episode {number} of lane {lane}; it has 0 to {len(own) - 1}")
    chosen = own if episodes is None else [own[number] for number in episodes]
    found = []
    for episode in chosen:
        following = [other.start_ns for other in own if other.start_ns > episode.start_ns]
        last = min(following) - 1 if following else FOREVER_NS
        found.append(
            Stretch(lane, episode.start_ns, last if episode.end_ns is None else episode.end_ns, episode.end_kind)
        )
    return found


def bounded(log: StreamLog, stretch: Stretch, names: Sequence[str]) -> Stretch:
    """Return a stretch cut to the first and last arrival of some streams of its lane."""
    low, high = [], []
    for name in names:
        for block in log.blocks(name):
            arrival = block.t_recv_ns[block.lane == stretch.lane]
            if len(arrival):
                low.append(int(arrival.min()))
                high.append(int(arrival.max()))
    if not low:
        return stretch
    start, end = max(stretch.start_ns, min(low)), min(stretch.end_ns, max(high))
    return Stretch(stretch.lane, start, end, stretch.end_kind)


def hold_out(
    stretches: Sequence[Stretch], share: float = 0.2, stretch_s: float = 10.0, gap_s: float = 1.0
) -> tuple[list[Stretch], list[Stretch]]:
    """Divide stretches into those to learn from and those held out, evenly over the recording.

    Five or more are divided whole. Fewer are cut into pieces of ``stretch_s``; each held-out piece loses ``gap_s`` at
    either end, so that no window, age or held row is shared.

    Args:
        stretches: with bounds (see `bounded`).
        share: of time, or of episodes, held out; at least one piece.
        stretch_s: length of a piece.
        gap_s: at least the context and horizon of a window.

    Raises:
        LogError: nothing would be left on one side.
    """
    if not 0 < share < 1:
        raise LogError(f"the share held out is {share}, expected more than 0 and less than 1")
    pieces = list(stretches)
    if len(pieces) < MIN_EPISODES:
        pieces = [piece for stretch in stretches for piece in _pieces(stretch, round(stretch_s * 1e9))]
    if len(pieces) < 2:
        raise LogError(f"the recording is shorter than two stretches of {stretch_s:g} s; lower the length of stretches")
    every = max(2, round(1 / share))
    held = [i % every == every // 2 for i in range(len(pieces))]
    if not any(held):
        held[-1] = True
    gap_ns = round(gap_s * 1e9) if len(stretches) < MIN_EPISODES else 0
    learned = [piece for piece, out in zip(pieces, held, strict=True) if not out]
    kept = [_shrunk(piece, gap_ns) for piece, out in zip(pieces, held, strict=True) if out]
    kept = [piece for piece in kept if piece.end_ns > piece.start_ns]
    if not kept or not learned:
        raise LogError(f"stretches of {stretch_s:g} s leave nothing beside gaps of {gap_s:g} s; make them longer")
    return learned, kept


def _pieces(stretch: Stretch, length_ns: int) -> list[Stretch]:
    """Cut a stretch into pieces of about ``length_ns``."""
    if stretch.end_ns - stretch.start_ns >= FOREVER_NS:
        raise LogError("a stretch without bounds cannot be cut; use bounded() first")
    num = max(1, (stretch.end_ns - stretch.start_ns) // length_ns)
    edges = [stretch.start_ns + (stretch.end_ns - stretch.start_ns) * i // num for i in range(num)] + [
        stretch.end_ns + 1
    ]
    kinds = ["truncated"] * (num - 1) + [stretch.end_kind]
    return [Stretch(stretch.lane, a, b - 1, kind) for a, b, kind in zip(edges, edges[1:], kinds, strict=False)]


def _shrunk(stretch: Stretch, gap_ns: int) -> Stretch:
    return Stretch(
        stretch.lane, stretch.start_ns + gap_ns, stretch.end_ns - gap_ns, "truncated" if gap_ns else stretch.end_kind
    )
