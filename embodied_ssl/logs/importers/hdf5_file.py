"""An HDF5 file of unknown origin: its datasets are listed and checked before any memory is taken.

Links to other files, datasets kept in other files and virtual datasets are refused. A dataset whose chunks were never
written reads as its fill value, zero: it is refused by name instead of being imported as data.
"""
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# Reason: h5py is optional and has no annotations.

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.array_rows import MAX_CHUNK_BYTES, blocks
from embodied_ssl.logs.importers.base import need
from embodied_ssl.logs.importers.natural_order import natural_key
from embodied_ssl.logs.importers.safe_paths import refuse_pointer

EXTRA = "hdf5"
MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 32
MAX_FACT_LETTERS = 20_000


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a file to read; h5py's errors become one line, also those while it is read.

    Raises:
        LogError: it is a pointer, no HDF5 file, cut short, or damaged.
    """
    h5py = need("h5py", EXTRA)
    refuse_pointer(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise LogError(f"{path}: is no readable HDF5 file ({' '.join(str(error).split())})") from None


def member(group: Any, name: str) -> Any | None:
    """Return what a group calls ``name``, None when it is not there.

    Raises:
        LogError: it is a link into another file.
    """
    h5py = need("h5py", EXTRA)
    for number in range(name.count("/") + 1):
        part = "/".join(name.split("/")[: number + 1])
        if isinstance(group.get(part, getlink=True), h5py.ExternalLink):
            raise LogError(f"{group.file.filename}: {part} is a link to another file; nothing outside is read")
    return group.get(name)


def dataset_at(file: Any, path: str) -> Any:
    """Return a dataset that must be there.

    Raises:
        LogError: it is not, or it is a link into another file.
    """
    item = member(file, path)
    if not hasattr(item, "dtype"):
        raise LogError(f"{file.filename}: no dataset {path!r}")
    return item


def groups(group: Any) -> list[tuple[str, Any]]:
    """Return the groups in a group, ``demo_2`` before ``demo_10``."""
    h5py = need("h5py", EXTRA)
    found = ((name, member(group, name)) for name in _names(group))
    return [(name, item) for name, item in found if isinstance(item, h5py.Group)]


def datasets(group: Any, prefix: str = "", above: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield path and dataset of everything in a group, in order of names; a group that holds itself is met once.

    Raises:
        LogError: groups are nested too deep.
    """
    h5py = need("h5py", EXTRA)
    if len(above) > MAX_DEPTH:
        raise LogError(f"{group.file.filename}: groups are nested over {MAX_DEPTH} deep at {prefix}")
    for name in _names(group):
        item = member(group, name)
        if isinstance(item, h5py.Dataset):
            yield prefix + name, item
        elif isinstance(item, h5py.Group) and all(item != one for one in (*above, group)):
            yield from datasets(item, f"{prefix}{name}/", (*above, group))


def _names(group: Any) -> list[str]:
    names = list(group)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise LogError(f"{group.file.filename}: a name in {group.name} is no text: {wrong[0]!r}")
    return sorted(names, key=natural_key)


def is_numeric(dataset: Any) -> bool:
    """Whether it holds plain numbers in at least one axis."""
    return dataset.shape is not None and len(dataset.shape) > 0 and dataset.dtype.kind in "biuf"


def row_shape(dataset: Any, time_axis: int) -> tuple[int, ...]:
    """Return the shape of one row.

    Raises:
        LogError: there is no such axis.
    """
    axis = _axis(dataset, time_axis)
    return (*dataset.shape[:axis], *dataset.shape[axis + 1 :])


def num_rows(dataset: Any, time_axis: int) -> int:
    """Return the length of the time axis."""
    return int(dataset.shape[_axis(dataset, time_axis)])


def _axis(dataset: Any, time_axis: int) -> int:
    if not -len(dataset.shape) <= time_axis < len(dataset.shape):
        raise LogError(f"{where(dataset)}: has shape {dataset.shape}, no axis {time_axis} for time")
    return time_axis % len(dataset.shape)


def where(dataset: Any) -> str:
    """Return file and path of a dataset for messages."""
    return f"{dataset.file.filename}:{dataset.name}"


def check_stored(dataset: Any) -> None:
    """Check that everything a dataset declares is really in the file, and no chunk is absurdly large.

    Raises:
        LogError: it is not.
    """
    if dataset.external or dataset.is_virtual:
        raise LogError(f"{where(dataset)}: its data is in other files; nothing outside is read")
    if dataset.chunks is None:
        declared = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored, unit = dataset.id.get_storage_size(), "bytes"
    else:
        size = math.prod(dataset.chunks) * dataset.dtype.itemsize
        if size > MAX_CHUNK_BYTES:
            raise LogError(f"{where(dataset)}: chunks of {size:,} bytes, expected at most {MAX_CHUNK_BYTES:,}")
        declared = math.prod(-(-n // chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        stored, unit = dataset.id.get_num_chunks(), "chunks"
    if stored < declared:
        raise LogError(f"{where(dataset)}: declares {declared:,} {unit} of data, the file holds {stored:,}")


def read_blocks(dataset: Any, time_axis: int) -> Iterator[np.ndarray]:
    """Yield the rows of a dataset in blocks ``(n, *row_shape)``, cut at its chunks.

    Raises:
        LogError: data is damaged or missing.
    """
    check_stored(dataset)
    axis = _axis(dataset, time_axis)
    row_bytes = math.prod(row_shape(dataset, axis)) * dataset.dtype.itemsize
    multiple = dataset.chunks[axis] if dataset.chunks else 1
    for start, stop in blocks(0, dataset.shape[axis], row_bytes, multiple):
        try:
            values = dataset[(slice(None),) * axis + (slice(start, stop),)]
        except (OSError, RuntimeError, ValueError) as error:
            raise LogError(f"{where(dataset)}: rows from {start:,} cannot be read ({error})") from None
        yield np.moveaxis(values, axis, 0)


def attributes(item: Any) -> dict[str, Any]:
    """Return the JSON-able attributes of a group: numbers, short texts and short rows of them."""
    found = {}
    for name, value in item.attrs.items():
        plain = value.tolist() if isinstance(value, (np.ndarray, np.generic)) and np.size(value) <= 64 else value
        plain = plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
        if _is_fact(plain) or (isinstance(plain, list) and all(_is_fact(one) for one in plain)):
            found[name] = plain
    return found


def _is_fact(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (bool, int)) or (isinstance(value, str) and len(value) <= MAX_FACT_LETTERS)
