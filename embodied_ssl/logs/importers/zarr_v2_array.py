"""One array of a zarr v2 store, read block by block; what it declares is checked before memory is taken.

Facts of the format (zarr v2 specification): ``.zarray`` is JSON with shape, chunks, dtype, compressor, filters, order
and fill_value; chunk ``i.j`` lies in a file of that name (or ``i/j``), always of full size; an absent file means the
fill value. Here an absent chunk is refused unless asked for, since a lost file looks just the same.
"""
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# Reason: zarr's annotations of open_array name a union of array kinds and a JSON type for every option.

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.array_rows import MAX_CHUNK_BYTES
from embodied_ssl.logs.importers.chunk_headers import CODECS, declared_bytes
from embodied_ssl.logs.importers.safe_paths import inside, parse_json, read_text, refuse_pointer


@dataclass(frozen=True)
class ZarrV2Array:
    """An array of a zarr v2 store.

    Attributes:
        root: the store, which no file may leave.
        folder: the folder of the array.
        shape: as declared; axis 0 is time.
        chunks: shape of a chunk.
        dtype: as declared, any byte order.
        codec: name of the compressor, None for none.
        separator: between the numbers in names of chunk files.
        fill_missing: an absent chunk reads as the fill value instead of being an error.
    """

    root: Path
    folder: Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    codec: str | None
    separator: str
    fill_missing: bool = False

    @classmethod
    def open(cls, root: Path, name: str, fill_missing: bool = False) -> ZarrV2Array:
        """Read and check ``.zarray``.

        Raises:
            LogError: it is damaged, unsafe, or needs what is not supported.
        """
        path = root / name / ".zarray"
        meta = parse_json(read_text(root, path), str(path))
        try:
            shape, chunks = tuple(int(n) for n in meta["shape"]), tuple(int(n) for n in meta["chunks"])
            dtype, codec = np.dtype(meta["dtype"]), (meta["compressor"] or {}).get("id")
            plain = meta["zarr_format"] == 2 and not meta.get("filters")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, SyntaxError) as error:
            raise LogError(f"{path}: is no zarr v2 array ({error!r})") from None
        if not plain:
            raise LogError(
                f"{path}: zarr_format {meta['zarr_format']} with filters {meta.get('filters')} is not supported"
            )
        if codec is not None and codec not in CODECS:
            raise LogError(f"{path}: compressor {codec!r} is not supported; expected one of {', '.join(CODECS)}")
        array = cls(root, root / name, shape, chunks, dtype, codec, meta.get("dimension_separator", "."), fill_missing)
        array._check(path, meta)
        return array

    def _check(self, path: Path, meta: Mapping[str, Any]) -> None:
        if len(self.shape) != len(self.chunks) or not self.shape or min(self.chunks) < 1 or min(self.shape) < 0:
            raise LogError(f"{path}: shape {self.shape} and chunks {self.chunks} do not fit each other")
        if self.dtype.kind not in "biuf" or self.dtype.itemsize > 8:
            raise LogError(f"{path}: dtype {meta['dtype']!r} is not supported, expected plain numbers")
        if self.slab_bytes > MAX_CHUNK_BYTES:
            raise LogError(
                f"{path}: {self.slab_bytes:,} bytes in a chunk of {self.chunks} (and its neighbours of the same rows), "
                f"expected at most {MAX_CHUNK_BYTES:,}"
            )
        if self.separator not in (".", "/"):
            raise LogError(f"{path}: dimension_separator {self.separator!r}, expected '.' or '/'")

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one chunk, unpacked."""
        return math.prod(self.chunks) * self.dtype.itemsize

    @property
    def slab_bytes(self) -> int:
        """Bytes of all chunks that hold the same rows, unpacked."""
        return self.chunk_bytes * math.prod(self._grid[1:])

    @property
    def _grid(self) -> tuple[int, ...]:
        return tuple(-(-size // chunk) for size, chunk in zip(self.shape, self.chunks, strict=True))

    @cached_property
    def _array(self) -> Any:
        import zarr

        return zarr.open_array(str(self.folder), mode="r", zarr_format=2)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, one row of chunks at a time."""
        for row in range(self._grid[0]):
            yield self.slab(row)

    def slab(self, row: int) -> np.ndarray:
        """Read the rows of the ``row``-th row of chunks.

        Raises:
            LogError: a chunk is missing, damaged, a pointer, outside the store, or of another size than declared.
        """
        for rest in itertools.product(*(range(n) for n in self._grid[1:])):
            self._check_chunk(self.folder / self.separator.join(str(i) for i in (row, *rest)))
        start = row * self.chunks[0]
        try:
            return np.asarray(self._array[start : min(start + self.chunks[0], self.shape[0])])
        except (ValueError, TypeError, KeyError, RuntimeError, OSError) as error:
            raise LogError(f"{self.folder}: rows from {start:,} cannot be unpacked ({error})") from None

    def _check_chunk(self, path: Path) -> None:
        if not inside(self.root, path).is_file():
            if self.fill_missing:
                return
            raise LogError(f"{path}: the chunk is missing; restore it, or import with missing_chunks=fill")
        refuse_pointer(path)
        size = declared_bytes(self.codec, path, self.chunk_bytes)
        if size != self.chunk_bytes:
            says = "is cut short or damaged" if size is None else f"unpacks to {size:,} bytes"
            raise LogError(f"{path}: {says}, expected {self.chunk_bytes:,} bytes as .zarray declares")


class RowReader:
    """Reads spans of rows that grow; every chunk is unpacked once."""

    def __init__(self, array: ZarrV2Array) -> None:
        """Hold one row of chunks at most."""
        self.array = array
        self._row, self._slab = -1, np.empty(0)

    def read(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield rows ``start ... stop`` in blocks of at most one row of chunks."""
        step = self.array.chunks[0]
        while start < stop:
            if start // step != self._row:
                self._row, self._slab = start // step, self.array.slab(start // step)
            offset = self._row * step
            end = min(stop, offset + step)
            yield self._slab[start - offset : end - offset]
            start = end
