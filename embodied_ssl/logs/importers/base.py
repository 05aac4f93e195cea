"""What an importer is: it says what it recognises, which streams there are, and writes their rows to a log."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from embodied_ssl.errors import LogError
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.registry import Registry

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter


@dataclass(frozen=True)
class ImportReport:
    """What was imported.

    Attributes:
        rows: rows by stream.
        notes: one line for everything that people should know: dropped, cut short, cast.
    """

    rows: dict[str, int]
    notes: list[str] = field(default_factory=list)


class Importer(Protocol):
    """A reader of one format, one instance per source; options of the format are keyword arguments of its constructor.

    Raises:
        LogError: from any method: the file is damaged, not of this format, or an extra is missing.
    """

    extra: ClassVar[str]
    """Name of the pip extra that it needs; empty: none."""

    def __init__(self, path: Path) -> None:
        """Bind; wrong options are refused by name."""
        ...

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether names or magic bytes look like this format; imports no extra."""
        ...

    def streams(self) -> list[LogStream]:
        """Open the source and return its streams."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return JSON-able facts: format, source name, licence text, tasks."""
        ...

    def total(self) -> int | None:
        """Return the units of progress, None when unknown."""
        ...

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write everything, in bounded memory; call ``progress`` with the units done since the last call."""
        ...


IMPORTERS: Registry[type[Importer]] = Registry("importer")


def need(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Raises:
        LogError: it is not installed; names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LogError(f"{module} is missing ({error}); fix: pip install 'embodied-ssl[{extra}]'") from None
