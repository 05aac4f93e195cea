"""When the streams of a robot change: what changed, by name."""

from __future__ import annotations

from collections.abc import Sequence

from embodied_ssl.logs.schema import LogStream


def schema_change(before: Sequence[LogStream], now: Sequence[LogStream]) -> str | None:
    """Return what differs between two sets of streams, by name; None when they are the same."""
    old, new = ({stream.name: stream for stream in some} for some in (before, now))
    for name in [*old, *new]:
        if name not in new:
            return f"stream {name!r} is gone"
        if name not in old:
            return f"stream {name!r} is new"
        if old[name] != new[name]:
            return f"stream {name!r} was {_brief(old[name])}, now {_brief(new[name])}"
    return None


def _brief(stream: LogStream) -> str:
    sensor = stream.sensor
    return f"{stream.role} {sensor.dtype} {sensor.shape} at {sensor.rate_hz:g} Hz"
