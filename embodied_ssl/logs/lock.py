"""The right to write to a log: one process, one writer."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout

_PID_WIDTH = 20


class WriterLock:
    """Held until `release`; the kernel takes it back when the process dies."""

    def __init__(self, root: Path) -> None:
        """Take the right.

        Raises:
            LogError: somebody else holds it.
            OSError: the folder cannot be written.
        """
        self._handle = layout.open_for_writing(root / layout.LOCK_FILE)
        try:
            self._take(root)
        except BaseException:
            self.release()
            raise

    def _take(self, root: Path) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._handle, _PID_WIDTH, 0).decode(errors="replace").strip() or "unknown"
            raise LogError(
                f"{root} is being written by process {holder}; a log has one writer: wait, or record to another folder"
            ) from None
        if os.fstat(self._handle).st_ino != os.stat(root / layout.LOCK_FILE).st_ino:
            raise LogError(f"{root} was replaced by another one, as by compact; open the log again")
        layout.write_all(self._handle, [f"{os.getpid():<{_PID_WIDTH}}".encode()])

    def release(self) -> None:
        """Give the right up; a second time does nothing."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)


@contextlib.contextmanager
def writer_lock(root: Path) -> Iterator[None]:
    """Hold the right to write inside a block; raises as `WriterLock`."""
    lock = WriterLock(root)
    try:
        yield
    finally:
        lock.release()
