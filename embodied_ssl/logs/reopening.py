"""The state of a log at its last commit: for reading, and for going on with it."""

from __future__ import annotations

from pathlib import Path

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.open_chunk import OpenChunk
from embodied_ssl.logs.store import drop_uncommitted
from embodied_ssl.logs.tail_records import TailReader
from embodied_ssl.logs.told import refuse_cut


def readable_journal(root: Path, skip_corrupt: bool) -> Journal:
    """Return the state at the last commit.

    Raises:
        LogError: there is no log, it is damaged, or holds symbolic links.
    """
    if not layout.is_log(root):
        raise LogError(
            f"{root} is no log of embodied_ssl (it has no {layout.COMMIT_FILE}); make one with "
            "`embodied-ssl record` or `embodied-ssl import`"
        )
    journal = Journal(root, skip_corrupt)
    journal.refresh()
    if not journal.streams:
        raise LogError(f"{journal.path} has no header; the log was never begun")
    layout.refuse_links(root, list(journal.rows))
    if not skip_corrupt:
        refuse_cut(journal)
    return journal


def growing_journal(root: Path) -> Journal:
    """Return the state at the last commit of a log that can grow."""
    journal = readable_journal(root, skip_corrupt=False)
    if journal.is_compacted:
        raise LogError(
            f"{root} is compacted and grows no more; record to another log, or open an epoch with "
            "StreamLog.append_to(..., on_change='epoch')"
        )
    return journal


def reopen_chunks(journal: Journal) -> dict[str, OpenChunk]:
    """Return the open chunk of every stream with its committed rows; delete what was never committed."""
    opened = open_chunks(journal)
    drop_uncommitted(journal)
    return opened


def open_chunks(journal: Journal) -> dict[str, OpenChunk]:
    """Return the open chunk of every stream with its committed rows.

    Raises:
        LogError: the tail is damaged or missing.
    """
    spans = {name: (journal.first_open_row(name), rows) for name, rows in journal.rows.items()}
    reader = TailReader(journal.root, journal.streams, journal.chunk_rows)
    try:
        tail = reader.read(journal.tail, spans)
    except FileNotFoundError:
        raise LogError(f"{reader.path} is missing; its rows are lost, read the rest with --skip-corrupt") from None
    opened = {}
    for number, stream in enumerate(journal.streams):
        name = stream.name
        chunk = OpenChunk(number, stream, journal.chunk_rows[name], len(journal.chunks[name]))
        chunk.fill(tail[name].data, tail[name].index)
        chunk.in_tail = chunk.num_rows
        opened[name] = chunk
    return opened
