"""Small logs of made-up ticks, for tests."""

from __future__ import annotations

from pathlib import Path

from streams import SPEC, TickSource

from embodied_ssl.logs.tick_recorder import TickRecorder, create_recording
from embodied_ssl.spec import StreamSpec, Tick


def record_ticks(
    path: Path,
    num_steps: int = 200,
    num_lanes: int = 2,
    seed: int = 0,
    spec: StreamSpec = SPEC,
    end_chance: float = 0.03,
) -> list[Tick]:
    """Record so many steps of a `TickSource` and return their ticks."""
    source = TickSource(num_lanes, seed, spec, end_chance)
    ticks = [source.tick() for _ in range(num_steps)]
    with create_recording(path, spec, num_lanes, fsync=False) as writer:
        recorder = TickRecorder(writer, spec, num_lanes)
        for tick in ticks:
            recorder.write([tick])
    return ticks
