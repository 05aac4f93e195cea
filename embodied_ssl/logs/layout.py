"""Where a log's files lie, and how they are opened and written: no symbolic links, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from embodied_ssl.errors import LogError

COMMIT_FILE = "commit.jsonl"
TAIL_FOLDER = "tail"
LOCK_FILE = "writer.lock"
STREAMS_FOLDER = "streams"
EPOCHS_FOLDER = "epochs"
ARRAYS = ("data", "index")
PARTIAL = ".partial"


def stream_folder(root: Path, name: str) -> Path:
    """Return the folder of a stream; any name becomes one plain folder name."""
    return root / STREAMS_FOLDER / quote(name, safe="").replace(".", "%2E")


def tail_path(root: Path, number: int) -> Path:
    """Return the path of tail file ``number``."""
    return root / TAIL_FOLDER / f"{number:08d}.bin"


def chunk_path(root: Path, name: str, array: str, number: int, num_axes: int) -> Path:
    """Return the path of a chunk of a stream's ``data`` or ``index`` (zarr's ``v2`` keys: one folder an array).

    Args:
        root: the log.
        name: the stream.
        array: one of `ARRAYS`.
        number: chunk number along the rows.
        num_axes: axes of one row, for ``data``.
    """
    key = ".".join([str(number)] + ["0"] * num_axes) if array == "data" else f"0.{number}"
    return stream_folder(root, name) / array / key


def is_log(path: Path) -> bool:
    """Return whether a folder is a log of ours."""
    return (path / COMMIT_FILE).is_file()


def refuse_links(root: Path) -> None:
    """Refuse a store with a symbolic link among its folders; files are opened with `read_file`, which refuses theirs.

    Raises:
        LogError: naming the link.
    """
    for folder, folders, _ in os.walk(root):
        for name in folders:
            path = Path(folder) / name
            if path.is_symlink():
                raise LogError(f"{path} is a symbolic link; a log must lie in one folder, copy it without links")


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a whole file of at most ``max_bytes``.

    Raises:
        LogError: it is a symbolic link, no plain file, or larger.
        FileNotFoundError: it is missing.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        what = "is a symbolic link" if path.is_symlink() else (error.strerror or str(error))
        raise LogError(f"{path}: {what}; expected a plain file inside the log") from None
    with os.fdopen(handle, "rb") as file:
        size = os.fstat(handle).st_size
        if size > max_bytes:
            raise LogError(f"{path} has {size:,} bytes, expected at most {max_bytes:,}; it was not written by this log")
        return file.read(max_bytes + 1)


def write_aside(path: Path, payload: bytes | memoryview, sync: bool) -> None:
    """Write a file under another name and give it its own when it is whole; a failed write leaves nothing."""
    aside = path.with_name(path.name + PARTIAL)
    try:
        with aside.open("wb") as file:
            file.write(payload)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def writer_lock(root: Path) -> Iterator[None]:
    """Hold the right to write to a log: one process, one writer. The kernel gives it up when the process dies.

    Raises:
        LogError: somebody else holds it.
    """
    handle = os.open(root / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 40).decode(errors="replace").strip() or "unknown"
            raise LogError(
                f"{root} is being written by process {holder}; a log has one writer: wait, or record to another folder"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def append_whole(file: BinaryIO, payload: bytes, sync: bool) -> None:
    """Append all of ``payload`` to an unbuffered file.

    Raises:
        OSError: the disk refuses; the file is cut back to what it was.
    """
    begin = file.tell()
    try:
        view = memoryview(payload)
        while len(view):
            view = view[file.write(view) :]
        if sync:
            os.fsync(file.fileno())
    except OSError:
        file.truncate(begin)
        file.seek(begin)
        raise


@contextlib.contextmanager
def named_errors(root: Path) -> Iterator[None]:
    """Turn a refusal of the disk into one line that names the path."""
    try:
        yield
    except OSError as error:
        raise LogError(f"{error.filename or root}: {error.strerror or error}") from error
