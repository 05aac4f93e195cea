"""The tail file: rows of chunks that are still open, so that a killed recorder loses seconds and not chunks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from embodied_ssl.logs.journal import tail_record
from embodied_ssl.logs.layout import append_whole, sync_folder, tail_path
from embodied_ssl.logs.open_chunk import TailPart

ROTATE_BYTES = 16 << 20
"""A tail file larger than this is replaced by one that holds only what no chunk holds."""


class TailFile:
    """Appends records; what counts of it is what the last commit says."""

    def __init__(self, root: Path, committed: tuple[int, int], fsync: bool) -> None:
        """Go on with tail file ``committed[0]`` after its first ``committed[1]`` bytes."""
        self._root, self._fsync = root, fsync
        self._number, self._size = committed
        self._file = self._open(committed[1])
        self._base = self._size

    def _open(self, size: int) -> BinaryIO:
        path = tail_path(self._root, self._number)
        file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        file.truncate(size)
        file.seek(size)
        if self._fsync:
            sync_folder(path.parent)
        return file  # type: ignore[return-value]

    @property
    def wants_rotation(self) -> bool:
        """Whether most of the file is likely to be in chunks by now."""
        return self._size > 2 * self._base + ROTATE_BYTES

    def write(self, parts: Sequence[TailPart], rotate: bool) -> tuple[int, int]:
        """Append parts, or begin a new file with them; return its number and size for the commit."""
        payload = b"".join(tail_record(p.stream, p.first_row, p.index, p.data) for p in parts if p.num_rows)
        if rotate:
            self._file.close()
            self._number, self._size = self._number + 1, 0
            self._file = self._open(0)
            self._base = len(payload)
        if payload:
            append_whole(self._file, payload, self._fsync)
        self._size += len(payload)
        return self._number, self._size

    def drop_old(self) -> None:
        """Delete tail files that no commit names any more; call it after the commit."""
        for path in tail_path(self._root, 0).parent.glob("*.bin"):
            if path != tail_path(self._root, self._number):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
