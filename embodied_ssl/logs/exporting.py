"""Exporting a log by the name of a format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from embodied_ssl.logs.exporters import EXPORTERS, ExportReport
from embodied_ssl.logs.exporters.base import total_rows
from embodied_ssl.logs.importing import Progress, counted, made_with
from embodied_ssl.logs.reader import StreamLog


def export_log(
    path: Path,
    out: Path,
    name: str,
    options: Mapping[str, Any] | None = None,
    shown: Progress | None = None,
    skip_corrupt: bool = False,
) -> ExportReport:
    """Write a log in another format.

    Args:
        path: the log.
        out: what to make.
        name: the format.
        options: of the exporter.
        shown: called with progress.
        skip_corrupt: leave damaged chunks out, and count them among the notes.

    Raises:
        LogError: the log is damaged, the format cannot hold it, an option is wrong, or ``out`` exists.
    """
    kind: Callable[..., Any] = EXPORTERS[name]
    exporter = made_with(kind, f"exporter {name!r}", options or {})
    log = StreamLog.open(path, skip_corrupt)
    report = exporter.write(log, out, counted(total_rows(log), shown))
    left_out = [f"{name}: {len(chunks)} damaged chunks left out" for name, chunks in log.corrupt.items()]
    return ExportReport(report.rows, [*report.notes, *left_out])
