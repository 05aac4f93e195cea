"""Importing a recording: find its format, write a log aside, give it its name when it is whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.aside import made_aside
from embodied_ssl.logs.importers import IMPORTERS, Importer, ImportReport
from embodied_ssl.logs.reader import StreamLog

FLUSH_S = 10.0
"""An import that is killed begins again, so it need not commit every second."""
MAX_NOTE = 4000
"""Letters of a note that are kept; names in foreign files may have any length."""
LFS_POINTER = b"version https://git-lfs"

Progress = Callable[[int, int | None], None]
"""(units done, units in all or None) -> nothing."""


def find_format(source: Path) -> str:
    """Return the name of the importer that recognises a file or folder.

    Raises:
        LogError: it is not there, is a Git LFS pointer, or nobody knows it.
    """
    if not source.exists():
        raise LogError(f"{source} does not exist; expected a recording: {', '.join(IMPORTERS)}")
    if source.is_file() and _first_bytes(source) == LFS_POINTER:
        raise LogError(f"{source} is a Git LFS pointer, not the recording itself; run: git lfs pull")
    known = [name for name in IMPORTERS if IMPORTERS[name].recognises(source)]
    if not known:
        raise LogError(f"{source} is of no known format; name one with --format: {', '.join(IMPORTERS)}")
    return known[0]


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER))


def made_with(kind: Callable[..., Any], what: str, options: Mapping[str, Any], *first: Any) -> Any:
    """Return ``kind(*first, **options)``; a wrong option is refused with the nearest right one."""
    allowed = [p.name for p in inspect.signature(kind).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for key in options:
        if key not in allowed:
            raise LogError(f"the {what} has no option {key!r}; {nearest(key, allowed)}")
    return kind(*first, **options)


def counted(total: int | None, shown: Progress | None) -> Callable[[int], None]:
    """Return a function that takes units done since the last call and shows their sum."""
    done = 0

    def progress(units: int) -> None:
        nonlocal done
        done += units
        if shown is not None:
            shown(done, total)

    return progress


def import_recording(
    source: Path,
    out: Path,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    shown: Progress | None = None,
) -> ImportReport:
    """Import a recording into a new log.

    Args:
        source: file or folder.
        out: the log to make; it appears when it is whole.
        name: the format; None: whichever recognises the source.
        options: of the importer.
        shown: called with progress.

    Raises:
        LogError: the source is damaged or of no known format, an option is wrong, or ``out`` exists.
    """
    if out.exists() or out.is_symlink():
        raise LogError(f"{out} exists; import to a new name")  # before a large source is looked through
    name = name or find_format(source)
    kind: Callable[..., Importer] = IMPORTERS[name]
    importer: Importer = made_with(kind, f"importer {name!r}", options or {}, source)
    with made_aside(out, "importing") as aside:
        return _write(importer, aside, {"format": name, **importer.facts()}, shown)


def _write(importer: Importer, path: Path, facts: dict[str, Any], shown: Progress | None) -> ImportReport:
    """Write all rows, and the notes, which are known only at the end."""
    with StreamLog.create(path, importer.streams(), facts, flush_s=FLUSH_S) as writer:
        report = importer.write(writer, counted(importer.total(), shown))
        writer.note(*(note[:MAX_NOTE] for note in report.notes))
    return report
