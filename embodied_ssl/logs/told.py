"""What ``zarr.json`` tells other zarr libraries of the rows of a log, and what that betrays when lines were lost."""

from __future__ import annotations

import json
from pathlib import Path

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.logs.store import MAX_METADATA_BYTES, array_metadata


def write_shapes(root: Path, stream: LogStream, chunk_rows: int, num_rows: int, sync: bool) -> None:
    """Tell other zarr libraries how many rows a stream of a growing log has; ours reads it only in `refuse_cut`."""
    for array in layout.ARRAYS:
        path = layout.stream_folder(root, stream.name) / array / "zarr.json"
        record = array_metadata(stream, array, chunk_rows, 0, num_rows)
        layout.write_aside(path, [json.dumps(record, indent=1).encode()], sync)


def told_rows(root: Path, stream: LogStream) -> dict[str, int]:
    """Return by array the rows that other zarr libraries are told of; 0 when its file does not say."""
    folder = layout.stream_folder(root, stream.name)
    return {array: max(0, _told_by(folder / array, axis)) for array, axis in (("data", 0), ("index", 1))}


def _told_by(folder: Path, axis: int) -> int:
    try:
        rows = json.loads(layout.read_file(folder / "zarr.json", MAX_METADATA_BYTES))["shape"][axis]
    except (LogError, OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return -1
    return rows if type(rows) is int else -1


def cut_streams(journal: Journal) -> dict[str, int]:
    """Return the streams that once had more committed rows than the commit file says, with how many: its end is gone.

    ``zarr.json`` is written when a log is closed or recovered, and rows only grow; so it never says more than was
    committed, unless lines at the end of the commit file were lost since.
    """
    told = {stream.name: max(told_rows(journal.root, stream).values()) for stream in journal.streams}
    return {name: rows for name, rows in told.items() if rows > journal.rows[name]}


def refuse_cut(journal: Journal) -> None:
    """Refuse a log that lost the end of its commit file.

    Raises:
        LogError: naming a stream and what it lost.
    """
    for name, rows in cut_streams(journal).items():
        raise LogError(
            f"{journal.path} has lost its end: stream {name!r} has {journal.rows[name]:,} rows there and "
            f"{rows:,} in its zarr.json; copy the log from a backup, or read what is left with --skip-corrupt"
        )


def cut_notes(journal: Journal) -> list[str]:
    """Return what `refuse_cut` would refuse, as lines for people."""
    return [
        f"{journal.path} has lost its end: stream {name!r} had {rows:,} rows, {journal.rows[name]:,} are known"
        for name, rows in cut_streams(journal).items()
    ]
