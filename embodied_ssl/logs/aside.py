"""Folders beside the one that is being made: it gets its name when it is whole, and nobody else's files are touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout


def aside_folder(path: Path, what: str) -> Path:
    """Return a new folder beside ``path`` that is this process's own; drops those of processes that are gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drop_leftovers(path, what)
    return Path(tempfile.mkdtemp(prefix=f"{_prefix(path, what)}{os.getpid()}.", dir=path.parent))


def drop_leftovers(path: Path, what: str) -> None:
    """Delete what processes of this machine left that were killed; those of living ones stay."""
    prefix = _prefix(path, what)
    for leftover in path.parent.glob(f"{_escaped(prefix)}*"):
        pid = leftover.name.removeprefix(prefix).split(".")[0]
        if pid.isascii() and pid.isdigit() and len(pid) < 10 and not _lives(int(pid)):
            shutil.rmtree(leftover, ignore_errors=True)


def _prefix(path: Path, what: str) -> str:
    return f".{path.name}.{what}.{socket.gethostname()}."


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def put_in_place(aside: Path, path: Path) -> None:
    """Give a whole folder its own name; there may be an empty folder of that name."""
    layout.sync_folder(aside)
    layout.rename(aside, path)
    layout.sync_folder(path.parent)


@contextlib.contextmanager
def made_aside(out: Path, what: str) -> Iterator[Path]:
    """Give a path for a file or folder, which becomes ``out`` only when all went well; it must not be there yet.

    Raises:
        LogError: ``out`` is there already, or cannot be made.
    """
    taken = LogError(f"{out} exists already; give another name or remove it")
    if out.exists() or out.is_symlink():
        raise taken
    with layout.named_errors(out):
        aside = aside_folder(out, what)
        try:
            yield aside / out.name
            if out.exists() or out.is_symlink():  # somebody else made it meanwhile
                raise taken
            layout.rename(aside / out.name, out)
            layout.sync_folder(out.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
