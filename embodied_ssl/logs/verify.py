"""Is everything there that was committed, and unaltered? And what else lies about."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.journal import Journal
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.store import formats_of, holds_record, metadata_records, missing_folders, stray_files
from embodied_ssl.logs.told import told_rows

Progress = Callable[[int, int], None]


@dataclass
class LogCheck:
    """What a check of a log found.

    Attributes:
        path: the log.
        is_quick: files were only looked for, not read.
        problems: damage, a line each; empty: all that was committed is there and unaltered.
        notes: what is harmless, a line each.
        num_chunks: chunks that were looked at, data and index together as one.
        num_rows: committed rows by stream, as far as they are known.
        num_commits: commits.
    """

    path: Path
    is_quick: bool = False
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    num_chunks: int = 0
    num_rows: dict[str, int] = field(default_factory=dict)
    num_commits: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems


def verify_log(path: Path | str, quick: bool = False, progress: Progress | None = None) -> LogCheck:
    """Check a log, epochs included; damage is reported, not raised.

    Args:
        path: folder of the log.
        quick: look for all files, but read only the commit record, the tail and the last chunk of every stream.
        progress: called with chunks done and in all.
    """
    check = LogCheck(Path(path), quick)
    try:
        epochs = StreamLog.open(path, skip_corrupt=True).epochs
    except LogError as error:
        check.problems.append(str(error))
        return check
    total = sum(log.num_chunks(name) for log in epochs for name in log.streams)
    for log in epochs:
        _check_log(log, check, lambda: progress(check.num_chunks, total) if progress else None)
    return check


def _check_log(log: StreamLog, check: LogCheck, step: Callable[[], None]) -> None:
    journal = log.journal
    check.problems += log.damage
    check.num_commits += log.num_commits
    for name in log.streams:
        check.num_rows[name] = check.num_rows.get(name, 0) + log.num_rows(name)
        for number in range(log.num_chunks(name)):
            last = number == log.num_chunks(name) - 1
            only_look = check.is_quick and not last
            check.problems += _look_for(journal, name, number) if only_look else log.try_chunk(name, number)
            check.num_chunks += 1
            step()
    check.problems += [f"{path} is missing; recover makes it again" for path in missing_folders(journal)]
    check.problems += _metadata_problems(journal)
    check.notes += _notes(journal)


def _look_for(journal: Journal, name: str, number: int) -> list[str]:
    """Return what is wrong with the files of a chunk without reading them."""
    stream = next(stream for stream in journal.streams if stream.name == name)
    number //= max(1, journal.shard_chunks[name])
    axes = len(stream.sensor.shape)
    paths = [layout.chunk_path(journal.root, name, array, number, axes) for array in layout.ARRAYS]
    return [f"{path} is missing though it was committed" for path in paths if not path.is_file() or path.is_symlink()]


def _metadata_problems(journal: Journal) -> Iterator[str]:
    """Yield what other zarr libraries are told wrongly; recover mends it."""
    rows = {stream.name: told_rows(journal.root, stream) for stream in journal.streams}
    records = metadata_records(journal.root, journal.streams, journal.facts, formats_of(journal), rows)
    for path, expected in records:
        try:
            if not holds_record(path, expected):
                yield f"{path} is damaged, or not what the log says of itself; recover writes it again"
        except FileNotFoundError:
            yield f"{path} is missing; recover writes it again"
        except LogError as error:
            yield f"{error}; recover writes it again"


def _notes(journal: Journal) -> Iterator[str]:
    for stream in journal.streams:
        told = told_rows(journal.root, stream)
        if told["data"] != told["index"]:
            yield (
                f"stream {stream.name!r}: zarr.json tells other libraries of {told['data']} rows of data and "
                f"{told['index']} of index, as when a recorder is killed while it closes; recover mends it"
            )
    behind = os.stat(journal.path).st_size - journal.read_bytes
    if behind > 0:
        yield f"{behind:,} bytes behind the last commit in {journal.path.name} (a commit that was never finished)"
    tail = layout.tail_path(journal.root, journal.tail[0])
    behind = tail.stat().st_size - journal.tail[1] if tail.is_file() else 0
    if behind > 0:
        yield f"{behind:,} bytes behind the last commit in {tail.name} (rows that were never committed)"
    strays = [path for path in stray_files(journal) if not _is_padded_end(journal, path)]
    if strays:
        yield f"{len(strays)} files of no commit, such as {strays[0].relative_to(journal.root)}; recover deletes them"


def _is_padded_end(journal: Journal, path: Path) -> bool:
    """Return whether a file is the last chunk that a closed log has for other zarr libraries."""
    names = {layout.stream_folder(journal.root, stream.name): stream.name for stream in journal.streams}
    name = names.get(path.parent.parent)
    return name is not None and layout.chunk_number(path.name, path.parent.name) == len(journal.chunks[name])
