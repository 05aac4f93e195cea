"""What an exporter is: it writes a whole log in a format that people's own viewers and trainers open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.registry import Registry


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        rows: rows written, by stream of the log.
        notes: one line for everything that the format cannot hold or that was altered.
    """

    rows: dict[str, int]
    notes: list[str] = field(default_factory=list)


class Exporter(Protocol):
    """A writer of one format; options of the format are keyword arguments of its constructor.

    Raises:
        LogError: the target is taken, the format cannot hold the log, or an extra is missing.
    """

    extra: ClassVar[str]
    """Name of the pip extra that it needs."""

    def __init__(self) -> None:
        """Take options, all of them keywords with defaults."""
        ...

    def write(self, log: StreamLog, out: Path, progress: Callable[[int], None]) -> ExportReport:
        """Write ``log`` to ``out``, in bounded memory; call ``progress`` with rows done since the last call."""
        ...


EXPORTERS: Registry[type[Exporter]] = Registry("exporter")


def total_rows(log: StreamLog) -> int:
    """Return the units of progress of an export."""
    return sum(log.num_rows(name) for name in log.streams)


def epoch_notes(log: StreamLog) -> list[str]:
    """Return a note when the log holds more logs, opened when its streams changed."""
    others = len(log.epochs) - 1
    return [f"{others} later epochs of the log were left out; export {log.path}/epochs/N each"] if others else []
