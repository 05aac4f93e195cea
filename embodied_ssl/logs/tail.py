"""Writing the tail file: rows of chunks that are still open, so that a killed recorder loses seconds and not chunks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from embodied_ssl.logs.layout import AppendFile, remove, sync_folder, tail_path
from embodied_ssl.logs.tail_records import tail_record

ROTATE_BYTES = 16 << 20
"""A tail file larger than this is replaced by one that holds only what no chunk holds."""


class TailFile:
    """Appends records; what counts of it is what the last commit says."""

    def __init__(self, root: Path, committed: tuple[int, int], fsync: bool) -> None:
        """Go on with tail file ``committed[0]`` after its first ``committed[1]`` bytes."""
        self._root, self._fsync = root, fsync
        self._number, self._base = committed
        self._file = self._open(committed[1])

    def _open(self, size: int) -> AppendFile:
        path = tail_path(self._root, self._number)
        file = AppendFile(path, size, self._fsync)
        if self._fsync:
            sync_folder(path.parent)
        return file

    def wants_rotation(self, is_last: bool = False) -> bool:
        """Return whether most of the file is likely to be in chunks by now; the last commit leaves little behind."""
        return self._file.size > 2 * self._base + (ROTATE_BYTES // 256 if is_last else ROTATE_BYTES)

    def write(self, parts: Iterable[tuple[int, int, np.ndarray, np.ndarray]], rotate: bool) -> tuple[int, int]:
        """Append ``(stream, first row, index, data)``, or begin a new file with them; return number and size."""
        pieces = [piece for part in parts if len(part[3]) for piece in tail_record(*part)]
        if rotate:
            self._file.close()
            self._number += 1
            self._file, self._base = self._open(0), sum(map(len, pieces))
        if pieces:
            self._file.append(pieces)
        return self._number, self._file.size

    def drop_old(self) -> None:
        """Delete the tail file that no commit names any more; call it after the commit."""
        remove(tail_path(self._root, self._number - 1))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
