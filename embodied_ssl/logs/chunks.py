"""A chunk of rows as bytes: compressed, with a CRC32C of its own, readable by any zarr v3 library.

``data`` of a stream is an array ``(rows, *shape)``, ``index`` is ``(5, rows)`` int64; their chunks hold the same rows.
Chunks are encoded here rather than by zarr-python: its 4 ms a call are forty times the work itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import Blosc, Zstd

from embodied_ssl.errors import LogError
from embodied_ssl.logs.chunk_headers import BLOSC_HEAD, blosc_sizes, zstd_content_size
from embodied_ssl.logs.schema import INDEX_COLUMNS, LogStream

CHUNK_BYTES = 4 << 20
"""Raw bytes of a chunk: large enough that a file's cost vanishes, small enough to keep many streams open."""
MAX_CHUNK_ROWS = 8192
MAX_CHUNK_BYTES = 256 << 20
MAX_SHARD_CHUNKS = 1 << 16
LEVEL = 1
"""Of zstd inside Blosc: level 3 makes noisy frames 2 % smaller at a quarter of the speed."""
BYTE_LEVEL = -1
"""Of zstd for single bytes, such as pictures: half again as fast as level 1, and 3 to 10 % larger."""
_CRC = struct.Struct("<I")
_WHOLE = 0x48674BC7
"""CRC32C of any bytes that are followed by their own CRC32C: a checksum is checked without a copy."""


def default_chunk_rows(stream: LogStream) -> int:
    """Return rows of a chunk: a power of two of about `CHUNK_BYTES`."""
    rows = max(1, CHUNK_BYTES // max(1, stream.row_bytes))
    return min(MAX_CHUNK_ROWS, 1 << (rows.bit_length() - 1))


@dataclass(frozen=True)
class ArrayFormat:
    """Shape and codec of one array's chunks.

    Attributes:
        shape: of a chunk.
        dtype: of its values.
        row_axis: the axis along which it grows.
        shard_chunks: chunks of a shard; 0: every chunk is a file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    row_axis: int
    shard_chunks: int = 0

    @classmethod
    def of(cls, stream: LogStream, array: str, chunk_rows: int, shard_chunks: int = 0) -> ArrayFormat:
        """Return the format of a stream's ``data`` or ``index``.

        Raises:
            LogError: the chunk would be absurdly large.
        """
        if not 0 < chunk_rows <= MAX_CHUNK_ROWS or chunk_rows * stream.row_bytes > MAX_CHUNK_BYTES:
            raise LogError(
                f"stream {stream.name!r} declares chunks of {chunk_rows} rows of {stream.row_bytes:,} bytes, "
                f"expected at most {MAX_CHUNK_ROWS} rows and {MAX_CHUNK_BYTES:,} bytes"
            )
        if not 0 <= shard_chunks <= MAX_SHARD_CHUNKS:
            raise LogError(f"stream {stream.name!r} declares shards of {shard_chunks} chunks")
        if array == "index":
            return cls((len(INDEX_COLUMNS), chunk_rows), np.dtype(np.int64), 1, shard_chunks)
        return cls((chunk_rows, *stream.sensor.shape), np.dtype(stream.sensor.dtype), 0, shard_chunks)

    @property
    def nbytes(self) -> int:
        """Bytes of a decoded chunk."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def max_encoded_bytes(self) -> int:
        """Most bytes that an honest chunk can have."""
        return self.nbytes + self.nbytes // 64 + 4096

    @property
    def _shuffled(self) -> bool:
        return self.dtype.itemsize > 1  # bytes of one significance side by side compress much better

    def encode(self, values: np.ndarray) -> tuple[bytes, bytes]:
        """Return the bytes of a chunk in two pieces: compressed values, and their CRC32C."""
        body = _codec(self._shuffled).encode(np.ascontiguousarray(values, self.dtype))
        return body, _CRC.pack(google_crc32c.value(body))

    def decode(self, encoded: bytes, crc: int, path: Path, out: np.ndarray | None = None) -> np.ndarray:
        """Return the values of a chunk.

        Args:
            encoded: bytes of the chunk.
            crc: CRC32C of the body, as committed.
            path: for messages.
            out: where they go, of the chunk's shape and contiguous; None: memory of their own.

        Raises:
            LogError: it is damaged, or declares another size than its array; no memory is taken then.
        """
        is_whole = len(encoded) > 2 * _CRC.size and google_crc32c.value(encoded) == _WHOLE
        if not is_whole or encoded[-_CRC.size :] != _CRC.pack(crc):
            raise LogError(f"{path} is damaged (its checksum is not the committed one); --skip-corrupt leaves it out")
        body = memoryview(encoded)[: -_CRC.size]
        declared = _declared_bytes(body, self._shuffled)
        if declared != self.nbytes:
            raise LogError(f"{path} declares {declared} decoded bytes, expected {self.nbytes}; it is not of this log")
        values = np.empty(self.shape, self.dtype) if out is None else out
        try:
            _codec(self._shuffled).decode(body, out=values)
        except (RuntimeError, ValueError) as error:
            raise LogError(f"{path} cannot be decoded ({error}); --skip-corrupt leaves it out") from None
        return values

    def metadata(self, num_rows: int, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the ``zarr.json`` of the array (zarr v3 core specification) when it has ``num_rows``."""
        shape, file_shape = list(self.shape), list(self.shape)
        shape[self.row_axis] = num_rows
        file_shape[self.row_axis] *= max(1, self.shard_chunks)
        zero: Any = False if self.dtype == bool else 0.0 if self.dtype.kind == "f" else 0
        return {
            "shape": shape,
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": file_shape}},
            "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
            "fill_value": zero,
            "codecs": [self._sharding()] if self.shard_chunks else self._codecs(),
            "attributes": attributes,
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }

    def _codecs(self) -> list[dict[str, Any]]:
        body: list[dict[str, Any]] = [{"name": "bytes"}]
        if self.dtype.itemsize > 1:
            body[0]["configuration"] = {"endian": "little"}
        if self._shuffled:
            options = {"typesize": self.dtype.itemsize, "cname": "zstd", "clevel": LEVEL, "shuffle": "shuffle"}
            body.append({"name": "blosc", "configuration": options | {"blocksize": 0}})
        else:
            body.append({"name": "zstd", "configuration": {"level": BYTE_LEVEL, "checksum": False}})
        return [*body, {"name": "crc32c"}]

    def _sharding(self) -> dict[str, Any]:
        """Return the codec of shards (zarr v3 ``sharding_indexed`` specification)."""
        index_codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        options = {"chunk_shape": list(self.shape), "codecs": self._codecs(), "index_codecs": index_codecs}
        return {"name": "sharding_indexed", "configuration": options | {"index_location": "end"}}


@cache
def _codec(shuffled: bool) -> Blosc | Zstd:
    return Blosc("zstd", LEVEL, Blosc.SHUFFLE) if shuffled else Zstd(level=BYTE_LEVEL)


def crc_of(pieces: tuple[bytes, bytes]) -> int:
    """Return the CRC32C of an encoded chunk."""
    return _CRC.unpack(pieces[1])[0]


def _declared_bytes(body: memoryview, shuffled: bool) -> int | None:
    """Return the decoded size that a chunk declares; None: it declares none, or was cut."""
    if not shuffled:
        return zstd_content_size(body[:18])
    sizes = blosc_sizes(body[:BLOSC_HEAD])
    return sizes[0] if sizes is not None and sizes[1] == len(body) else None
