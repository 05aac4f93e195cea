"""Where a log's files lie, and every way in which one is opened, written, renamed or removed.

Nothing here follows a symbolic link inside a log or waits for a named pipe; a file is written aside and renamed when it
is whole, or appended to and cut back when that fails. All changes of a log on disk go through these functions.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from embodied_ssl.errors import LogError

COMMIT_FILE = "commit.jsonl"
TAIL_FOLDER = "tail"
LOCK_FILE = "writer.lock"
STREAMS_FOLDER = "streams"
EPOCHS_FOLDER = "epochs"
ARRAYS = ("data", "index")
PARTIAL = ".partial"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def folder_name(name: str) -> str:
    """Return the one plain folder name of a stream, whatever letters its own name has."""
    return quote(name, safe="").replace(".", "%2E")


def stream_folder(root: Path, name: str) -> Path:
    """Return the folder of a stream."""
    return root / STREAMS_FOLDER / folder_name(name)


def tail_path(root: Path, number: int) -> Path:
    """Return the path of tail file ``number``."""
    return root / TAIL_FOLDER / f"{number:08d}.bin"


def chunk_path(root: Path, name: str, array: str, number: int, num_axes: int) -> Path:
    """Return the path of a chunk, or shard, of a stream's ``data`` or ``index`` (zarr's ``v2`` keys, one folder each).

    Args:
        root: the log.
        name: the stream.
        array: one of `ARRAYS`.
        number: chunk number along the rows.
        num_axes: axes of one row, for ``data``.
    """
    key = ".".join([str(number)] + ["0"] * num_axes) if array == "data" else f"0.{number}"
    return stream_folder(root, name) / array / key


def chunk_number(key: str, array: str) -> int:
    """Return the chunk number in a file name of an array's folder; -1: it is no chunk's name."""
    number = key.split(".")[0 if array == "data" else -1]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 16 else -1


def is_log(path: Path) -> bool:
    """Return whether a folder is a log of ours."""
    return os.path.isfile(path / COMMIT_FILE)


def refuse_links(root: Path, names: Sequence[str] = ()) -> None:
    """Refuse symbolic links among the folders that are used; files refuse theirs when they are opened.

    Raises:
        LogError: naming the link.
    """
    folders = [root / folder for folder in (STREAMS_FOLDER, TAIL_FOLDER, EPOCHS_FOLDER)]
    for name in names:
        folders += [stream_folder(root, name), *(stream_folder(root, name) / array for array in ARRAYS)]
    for path in folders:
        if path.is_symlink():
            raise LogError(f"{path} is a symbolic link; a log must lie in one folder, copy it without links")


# --- reading ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a plain file for reading.

    Raises:
        LogError: it is a symbolic link or no plain file, or may not be read.
        FileNotFoundError: it is missing.
    """
    try:
        handle = os.open(path, _READ)
    except FileNotFoundError:
        raise
    except OSError as error:
        what = "is a symbolic link" if path.is_symlink() else (error.strerror or str(error))
        raise LogError(f"{path}: {what}; expected a plain file inside the log") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise LogError(f"{path} is no plain file; expected one inside the log")
        yield handle
    finally:
        os.close(handle)


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a whole file of at most ``max_bytes``; raises as `opened`, and `LogError` when it is larger."""
    with opened(path) as handle:
        size = os.fstat(handle).st_size
        if size > max_bytes:
            raise LogError(f"{path} has {size:,} bytes, expected at most {max_bytes:,}; it was not written by this log")
        return read_at(handle, 0, size)


def read_at(handle: int, offset: int, size: int) -> bytes:
    """Read up to ``size`` bytes at an offset; fewer only where the file ends."""
    parts: list[bytes] = []
    while size and (part := os.pread(handle, min(size, 1 << 30), offset)):
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


# --- writing ----------------------------------------------------------------------------------------------------


def open_for_writing(path: Path, more: int = 0) -> int:
    """Open, or make, a plain file, no symbolic link, with ``more`` flags of the system."""
    handle = os.open(path, _WRITE | more, 0o644)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise LogError(f"{path} is no plain file; expected one inside the log")
    return handle


def write_all(handle: int, parts: Sequence[bytes]) -> int:
    """Write all bytes of all parts; return how many."""
    total = 0
    for part in parts:
        view = memoryview(part)
        total += len(view)
        while len(view):
            view = view[os.write(handle, view) :]
    return total


def write_aside(path: Path, parts: Sequence[bytes], sync: bool) -> None:
    """Write a file under another name and give it its own when it is whole; a failed write leaves nothing."""
    aside = path.with_name(path.name + PARTIAL)
    try:
        handle = open_for_writing(aside, os.O_TRUNC)
        try:
            write_all(handle, parts)
            if sync:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


class AppendFile:
    """A file that only grows, by whole pieces."""

    def __init__(self, path: Path, size: int, sync: bool) -> None:
        """Open, or make, a file and cut it to its first ``size`` bytes."""
        self.path, self.size, self._sync = path, size, sync
        self.handle = open_for_writing(path)
        try:
            os.ftruncate(self.handle, size)
            os.lseek(self.handle, size, os.SEEK_SET)
        except BaseException:
            os.close(self.handle)
            raise

    def append(self, parts: Sequence[bytes]) -> None:
        """Append all parts, durably if asked.

        Raises:
            OSError: the disk refuses; the file is cut back to what it was.
        """
        try:
            written = write_all(self.handle, parts)
            if self._sync:
                os.fsync(self.handle)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self.handle, self.size)
                os.lseek(self.handle, self.size, os.SEEK_SET)
            raise
        self.size += written

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self.handle >= 0:
            handle, self.handle = self.handle, -1
            os.close(handle)


def rename(path: Path, new: Path) -> None:
    """Give a file or folder another name."""
    os.rename(path, new)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, or a whole folder tree that somebody else put here, without following links."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove(child)
        os.rmdir(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def named_errors(root: Path) -> Iterator[None]:
    """Turn a refusal of the disk into one line that names the path."""
    try:
        yield
    except OSError as error:
        raise LogError(f"{error.filename or root}: {error.strerror or error}") from error
