"""A closed log as few large files: its chunks, byte for byte, in whole shards; written aside, verified, swapped in."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.aside import aside_folder, put_in_place
from embodied_ssl.logs.chunks import MAX_SHARD_CHUNKS, ArrayFormat, crc_of
from embodied_ssl.logs.commit_lines import CommitState, commit_lines
from embodied_ssl.logs.epochs import epoch_folders
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.lock import writer_lock
from embodied_ssl.logs.open_chunk import OpenChunk
from embodied_ssl.logs.reopening import growing_journal, open_chunks, readable_journal
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.logs.sealing import sealed
from embodied_ssl.logs.shards import shard_pieces
from embodied_ssl.logs.store import fill_store, header_of, refuse_taken
from embodied_ssl.logs.verify import verify_log

SHARD_BYTES = 64 << 20
"""Raw bytes of a shard."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@dataclass(frozen=True)
class Compaction:
    """What compact did: files and bytes of the log before and after."""

    path: Path
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compact_log(path: Path | str, out: Path | str | None = None, shard_bytes: int = SHARD_BYTES) -> Compaction:
    """Write a log again in whole shards, with one commit, all rows in chunks and no tail. It grows no more after that.

    Nothing is changed until the new log is whole, on disk and verified. Then it takes the old one's name in one step.

    Args:
        path: a log that nobody writes.
        out: a new folder for it; None: in place of the old one.
        shard_bytes: raw bytes of a shard.

    Raises:
        LogError: the log is being written, damaged, or compacted already, ``out`` is taken, or the disk refuses.
    """
    path = Path(path).absolute()
    before = _size(path)
    readable_journal(path, skip_corrupt=False)
    with layout.named_errors(path), contextlib.ExitStack() as locks:
        for folder in _all_folders(path, locks):
            locks.enter_context(writer_lock(folder))
        journal = growing_journal(path)
        target = path if out is None else Path(out).absolute()
        if out is not None:
            refuse_taken(target)
        aside = aside_folder(target, "compacting")
        try:
            whole = aside / target.name
            _write(journal, whole, shard_bytes)
            _write_epochs(path, whole, shard_bytes)
            _refuse_unsound(whole, journal)
            if out is None:
                _exchange(whole, path)
            else:
                put_in_place(whole, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)  # the old log, once they were exchanged
    after = _size(target)
    return Compaction(target, before[0], after[0], before[1], after[1])


def _all_folders(path: Path, locks: contextlib.ExitStack) -> list[Path]:
    """Return the logs inside a log; its own lock is taken, so that no more are opened, and all are held to the end."""
    locks.enter_context(writer_lock(path))
    return epoch_folders(path)


def _write(journal: Journal, root: Path, shard_bytes: int) -> None:
    root.mkdir(parents=True)
    opened = open_chunks(journal)
    shards = {s.name: _chunks_of_a_shard(opened[s.name], shard_bytes) for s in journal.streams}
    header = header_of(journal.streams, journal.facts, journal.chunk_rows, shards)
    fill_store(root, journal.streams, header, journal.rows)
    chunks = [_write_stream(journal, root, opened[s.name], shards[s.name]) for s in journal.streams]
    rows = [journal.rows[stream.name] for stream in journal.streams]
    sizes = [journal.chunk_rows[stream.name] for stream in journal.streams]
    nothing, everything = CommitState(0, [0] * len(rows), (0, 0)), CommitState(0, rows, (0, 0))
    lines = commit_lines(nothing, everything, [entry for entry in chunks if entry[2]], journal.events, sizes)
    layout.write_aside(root / layout.COMMIT_FILE, [sealed(header), *lines], sync=True)


def _chunks_of_a_shard(opened: OpenChunk, shard_bytes: int) -> int:
    """Return how many chunks a shard holds: as many as fit, no more than there are."""
    there = opened.padded().number + 1
    return max(1, min(shard_bytes // max(1, opened.formats[0].nbytes), there, MAX_SHARD_CHUNKS))


def _write_stream(journal: Journal, root: Path, opened: OpenChunk, num_slots: int) -> list[Any]:
    """Write the shards of a stream; return what the commit says of its chunks."""
    stream, crcs = opened.stream, ([], [])
    for array, found in zip(layout.ARRAYS, crcs, strict=True):
        folder = layout.stream_folder(root, stream.name) / array
        shard: list[tuple[bytes, bytes]] = []
        for pieces in _encoded(journal, opened, array):
            shard.append(pieces)
            found.append(crc_of(pieces))
            if len(shard) == num_slots:
                _write_shard(root, stream, array, len(found) // num_slots - 1, shard, num_slots)
                shard = []
        if shard:
            _write_shard(root, stream, array, len(found) // num_slots, shard, num_slots)
        layout.sync_folder(folder)
    return [opened.number, 0, *crcs]


def _write_shard(
    root: Path, stream: LogStream, array: str, number: int, shard: list[tuple[bytes, bytes]], num_slots: int
) -> None:
    path = layout.chunk_path(root, stream.name, array, number, len(stream.sensor.shape))
    layout.write_aside(path, shard_pieces(shard, num_slots), sync=True)


def _encoded(journal: Journal, opened: OpenChunk, array: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the bytes of all chunks of an array, each checked, and of the open one with zeros behind its rows."""
    stream, which = opened.stream, layout.ARRAYS.index(array)
    kind = ArrayFormat.of(stream, array, opened.chunk_rows)
    for number, crcs in enumerate(journal.chunks[stream.name]):
        path = layout.chunk_path(journal.root, stream.name, array, number, len(stream.sensor.shape))
        encoded = layout.read_file(path, kind.max_encoded_bytes)
        assert crcs is not None, "a journal that skips nothing knows all checksums"
        kind.decode(encoded, crcs[which], path)
        yield encoded[:-4], encoded[-4:]
    if opened.num_open:
        yield kind.encode(opened.padded().buffers[which])


def _write_epochs(path: Path, aside: Path, shard_bytes: int) -> None:
    """Do the same to the logs inside this one, whose locks are held."""
    for epoch in epoch_folders(path):
        target = aside / layout.EPOCHS_FOLDER / epoch.name
        target.parent.mkdir(exist_ok=True)
        journal = readable_journal(epoch, skip_corrupt=False)
        if journal.is_compacted:
            shutil.copytree(epoch, target, symlinks=True)
        else:
            _write(journal, target, shard_bytes)
        _refuse_unsound(target, journal)


def _refuse_unsound(aside: Path, journal: Journal) -> None:
    check, fresh = verify_log(aside), Journal(aside)
    fresh.refresh()
    if check.problems or fresh.rows != journal.rows or fresh.events != journal.events:
        raise LogError(f"the compacted log does not verify, nothing was changed: {'; '.join(check.problems)[:300]}")


def _exchange(one: Path, other: Path) -> None:
    """Exchange the names of two folders in one step (renameat2 of Linux, RENAME_EXCHANGE)."""
    layout.sync_folder(one)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.ENOSYS):
            raise LogError(f"the file system of {other} cannot exchange two folders; compact to a new one with --out")
        raise OSError(number, os.strerror(number), str(other))
    layout.sync_folder(other.parent)


def _size(path: Path) -> tuple[int, int]:
    files = [file.lstat().st_size for file in path.rglob("*") if file.is_file()]
    return len(files), sum(files)
