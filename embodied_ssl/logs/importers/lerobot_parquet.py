"""The rows of a LeRobot dataset: which file holds which episode, read batch by batch."""
# pyright: reportMissingImports=false, reportMissingTypeStubs=false
# Reason: pyarrow is optional and has no annotations.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import need
from embodied_ssl.logs.importers.safe_paths import refuse_pointer

EXTRA = "lerobot"
MAX_COLUMN_BYTES = 2 << 30
"""Largest size that a column may declare in one row group; pyarrow unpacks page by page within it."""


@dataclass(frozen=True)
class EpisodeRows:
    """Rows ``start ... start + count`` of a file, all of one episode."""

    path: Path
    episode: int
    start: int
    count: int


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """Open a parquet file; pyarrow's errors become one line, also those while it is read.

    Raises:
        LogError: it is a pointer, has no footer, is damaged, or declares absurd sizes.
    """
    parquet, arrow = need("pyarrow.parquet", EXTRA), need("pyarrow", EXTRA)
    refuse_pointer(path)
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:  # where pages have one
            _check_sizes(path, file.metadata)
            yield file
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        if "magic bytes not found" in text:
            text = "it has no footer: its recorder was killed before it finished, or the copy is cut short"
        raise LogError(f"{path}: is no readable parquet file ({text})") from None


def _check_sizes(path: Path, metadata: Any) -> None:
    for group in range(metadata.num_row_groups):
        columns = metadata.row_group(group)
        largest = max((columns.column(i).total_uncompressed_size for i in range(columns.num_columns)), default=0)
        if largest > MAX_COLUMN_BYTES:
            raise LogError(
                f"{path}: a column of row group {group} declares {largest:,} bytes, "
                f"expected at most {MAX_COLUMN_BYTES:,}"
            )


def inventory(path: Path) -> list[EpisodeRows]:
    """List the episodes of a file in the order of its rows, reading only the column ``episode_index``.

    Raises:
        LogError: there is no such column, it has nulls, or an episode's rows are not together.
    """
    found: dict[int, EpisodeRows] = {}
    with open_parquet(path) as file:
        if "episode_index" not in file.schema_arrow.names:
            raise LogError(f"{path}: has no column episode_index")
        row = 0
        for batch in file.iter_batches(batch_size=65536, columns=["episode_index"]):
            values = _integers(batch.column(0), path)
            cuts = np.flatnonzero(np.diff(values)) + 1
            for start, stop in zip([0, *cuts], [*cuts, len(values)], strict=True):
                _extend(found, EpisodeRows(path, int(values[start]), row + int(start), int(stop - start)))
            row += len(values)
    return list(found.values())


def _integers(column: Any, path: Path) -> np.ndarray:
    if column.null_count:
        raise LogError(f"{path}: column episode_index has {column.null_count} nulls")
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "iu":
        raise LogError(f"{path}: column episode_index is {values.dtype}, expected integers")
    return values


def _extend(found: dict[int, EpisodeRows], rows: EpisodeRows) -> None:
    before = found.get(rows.episode)
    if before is None:
        if rows.count:
            found[rows.episode] = rows
    elif before.start + before.count == rows.start:
        found[rows.episode] = EpisodeRows(rows.path, rows.episode, before.start, before.count + rows.count)
    else:
        raise LogError(f"{rows.path}: the rows of episode {rows.episode} are not together")


def batches(
    path: Path, wanted: Sequence[EpisodeRows], columns: Sequence[str], batch_rows: int
) -> Iterator[tuple[EpisodeRows, int, Any]]:
    """Read episodes of one file in one pass, skipping row groups that hold none of them.

    Args:
        path: the file.
        wanted: its episodes, in the order of their rows.
        columns: what to read.
        batch_rows: most rows in memory at once, beside pyarrow's own pages.

    Yields:
        The episode, the number of its first row in the batch, and the record batch.

    Raises:
        LogError: the file is damaged.
    """
    with open_parquet(path) as file:
        row = 0
        for group in range(file.metadata.num_row_groups):
            stop = row + file.metadata.row_group(group).num_rows
            here = [one for one in wanted if one.start < stop and one.start + one.count > row]
            if here:
                for batch in file.iter_batches(batch_size=batch_rows, row_groups=[group], columns=list(columns)):
                    yield from _cut(batch, row, here)
                    row += batch.num_rows
            row = stop


def _cut(batch: Any, row: int, wanted: Sequence[EpisodeRows]) -> Iterator[tuple[EpisodeRows, int, Any]]:
    for one in wanted:
        first, last = max(row, one.start), min(row + batch.num_rows, one.start + one.count)
        if first < last:
            yield one, first - one.start, batch.slice(first - row, last - first)
