"""Bringing what a killed recorder left to its last commit, and telling other zarr libraries where that is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunks import ArrayFormat
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.lock import writer_lock
from embodied_ssl.logs.open_chunk import OpenChunk
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.reopening import open_chunks
from embodied_ssl.logs.store import formats_of, holds_record, metadata_records, missing_folders, stray_files
from embodied_ssl.logs.told import refuse_cut


def recover_log(path: Path | str) -> list[str]:
    """Drop what was never committed, and make the log readable for any zarr library up to its last commit.

    Nothing that was committed is touched. Doing it again does nothing; a kill in the midst of it does no harm.

    Returns:
        What was done, a line each; empty when there was nothing to do.

    Raises:
        LogError: there is no log, it is being written, or what was committed is damaged.
    """
    done: list[str] = []
    for log in StreamLog.open(path).epochs:
        with layout.named_errors(log.path), writer_lock(log.path):
            done += _recover(log.path)
    return done


def _recover(root: Path) -> list[str]:
    journal = Journal(root)
    journal.refresh()
    refuse_cut(journal)
    opened = {} if journal.is_compacted else open_chunks(journal)
    done = _cut_commits(journal)
    for folder in missing_folders(journal):
        folder.mkdir(parents=True)
        done.append(f"made {folder.relative_to(root)}, which was missing")
    ends = [file for chunk in opened.values() if chunk.num_open for file in _padded_files(root, chunk)]
    kept = {path for path, _, _ in ends}
    for path in stray_files(journal):
        if path not in kept:
            layout.remove(path)
            done.append(f"deleted {path.relative_to(root)}, which was never committed")
    for path, kind, values in ends:
        if not _holds(path, kind, values):
            layout.write_aside(path, kind.encode(values), sync=True)
            done.append(f"wrote {path.relative_to(root)}, the last rows for other zarr libraries")
    return done + _write_metadata(journal)


def _cut_commits(journal: Journal) -> list[str]:
    """Cut a torn line from the end of the commit file."""
    behind = journal.path.stat().st_size - journal.read_bytes
    if not behind:
        return []
    layout.AppendFile(journal.path, journal.read_bytes, sync=True).close()
    return [f"cut {behind} bytes of an unfinished commit from {journal.path.name}"]


def _padded_files(root: Path, opened: OpenChunk) -> list[tuple[Path, ArrayFormat, np.ndarray]]:
    """Return path, format and values of the open chunk of a stream, zeros behind its rows."""
    padded, axes = opened.padded(), len(opened.stream.sensor.shape)
    files = []
    for array, values in zip(layout.ARRAYS, padded.buffers, strict=True):
        kind = ArrayFormat.of(opened.stream, array, opened.chunk_rows)
        files.append((layout.chunk_path(root, opened.stream.name, array, padded.number, axes), kind, values))
    return files


def _holds(path: Path, kind: ArrayFormat, values: np.ndarray) -> bool:
    """Return whether a chunk file holds ``values``, bit for bit; Blosc may compress them to other bytes each time."""
    try:
        encoded = layout.read_file(path, kind.max_encoded_bytes)
        found = kind.decode(encoded, int.from_bytes(encoded[-4:], "little"), path)
    except (FileNotFoundError, LogError):
        return False
    return found.tobytes() == np.ascontiguousarray(values, kind.dtype).tobytes()


def _write_metadata(journal: Journal) -> list[str]:
    """Write every ``zarr.json`` that does not say what was committed."""
    done = []
    records = metadata_records(journal.root, journal.streams, journal.facts, formats_of(journal), journal.rows)
    for path, record in records:
        try:
            is_right = holds_record(path, record)
        except (FileNotFoundError, LogError):
            is_right = False
        if not is_right:
            if path.is_symlink() or path.is_dir():
                layout.remove(path)
            layout.write_aside(path, [json.dumps(record, indent=1).encode()], sync=True)
            done.append(f"wrote {path.relative_to(journal.root)}")
    return done
