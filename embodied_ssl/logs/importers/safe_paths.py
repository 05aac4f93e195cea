"""Files of other people's datasets: nothing outside the dataset's folder is opened, and pointers are told from data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError

LFS_MAGIC = b"version https://git-lfs"
MAX_TEXT_BYTES = 256 << 20
"""Largest JSON or text file that is read whole."""


def inside(root: Path, path: Path) -> Path:
    """Return ``path``, refusing one that leaves ``root`` by ``..``, an absolute name or a symlink.

    Raises:
        LogError: it leaves the folder.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise LogError(f"{path}: leaves the folder {root} (a symlink or '..'); nothing outside is read")
    return path


def refuse_pointer(path: Path) -> None:
    """Refuse a Git LFS pointer, about 130 bytes of text that stand where the data should be.

    Raises:
        LogError: the file is missing, unreadable, or a pointer.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(LFS_MAGIC))
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror or error})") from None
    if head == LFS_MAGIC:
        raise LogError(f"{path}: is a Git LFS pointer, not the data; run git lfs pull in its repository")


def read_text(root: Path, path: Path) -> str:
    """Read a text file of a dataset.

    Raises:
        LogError: it is outside the folder, too large, a pointer, or no UTF-8.
    """
    refuse_pointer(inside(root, path))
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise LogError(f"{path}: {size:,} bytes of text, expected at most {MAX_TEXT_BYTES:,}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LogError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Raises:
        LogError: it is not JSON; says where.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LogError(f"{where}: is not JSON ({error})") from None


def read_licence(root: Path) -> str | None:
    """Return the text of a licence file in ``root``, None if there is none; at most 20,000 letters."""
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"):
        if (root / name).is_file():
            return read_text(root, root / name)[:20_000]
    return None
