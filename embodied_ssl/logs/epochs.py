"""When the streams of a robot change: what changed, by name, and where the log goes on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.schema import LogStream

_NUMBER = re.compile(r"[1-9][0-9]{0,5}")


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


def epoch_folders(root: Path) -> list[Path]:
    """Return the folders of the logs inside a log, ``epochs/1`` to ``epochs/N``, in order.

    Raises:
        LogError: one is missing, or a symbolic link, which would lead out of the log.
    """
    folder = root / layout.EPOCHS_FOLDER
    if not folder.is_dir() or folder.is_symlink():
        return []
    numbers = sorted(int(path.name) for path in folder.iterdir() if _NUMBER.fullmatch(path.name))
    if numbers != list(range(1, len(numbers) + 1)):
        raise LogError(
            f"{folder} holds epochs {numbers[:20]}, expected 1 to {len(numbers)}; copy the log from a backup"
        )
    paths = [folder / str(number) for number in numbers]
    for path in paths:
        if path.is_symlink() or not path.is_dir():
            raise LogError(f"{path} is a symbolic link or no folder; a log must lie in one, without links")
    return paths
