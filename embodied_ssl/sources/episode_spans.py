"""The spans of time of a recording that ticks are made of: its episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embodied_ssl.errors import LogError
from embodied_ssl.logs.reader import StreamLog

FOREVER_NS = 2**62 - 1


@dataclass(frozen=True)
class EpisodeSpan:
    """A span of time of one lane that ticks are made of, as an episode of its own.

    Attributes:
        lane: whose packets.
        start_ns: first arrival that belongs to it.
        end_ns: last arrival that belongs to it.
        end_kind: how it ends, as in a log.
    """

    lane: int
    start_ns: int
    end_ns: int
    end_kind: str = "unknown"


def episode_spans(log: StreamLog, lane: int = 0, episodes: Sequence[int] | None = None) -> list[EpisodeSpan]:
    """Return the episodes of a lane as spans; the whole recording if it has none.

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
        return [EpisodeSpan(lane, -FOREVER_NS, FOREVER_NS)]
    for number in episodes or ():
        if not 0 <= number < len(own):
            raise LogError(f"{log.path} has no episode {number} of lane {lane}; it has 0 to {len(own) - 1}")
    chosen = own if episodes is None else [own[number] for number in episodes]
    found = []
    for episode in chosen:
        following = [other.start_ns for other in own if other.start_ns > episode.start_ns]
        last = min(following) - 1 if following else FOREVER_NS
        end = last if episode.end_ns is None else episode.end_ns
        found.append(EpisodeSpan(lane, episode.start_ns, end, episode.end_kind))
    return found
