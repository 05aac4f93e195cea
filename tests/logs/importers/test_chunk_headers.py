from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from embodied_ssl.logs.importers.chunk_headers import declared_bytes, zstd_content_size


def test_declared_size_of_zstd_frames_of_every_header_form() -> None:
    import numcodecs

    for size in (1, 200, 255, 256, 300, 65_535, 65_791, 65_792, 1 << 20):
        packed = numcodecs.Zstd(3).encode(np.zeros(size, np.uint8))
        assert zstd_content_size(bytes(packed)[:18]) == size
    assert zstd_content_size(b"\x28\xb5\x2f\xfd\x00\x58\x01") is None
    assert zstd_content_size(b"no zstandard frame") is None


def test_a_zlib_bomb_is_unpacked_no_further_than_expected(tmp_path: Path) -> None:
    path = tmp_path / "chunk"
    path.write_bytes(zlib.compress(bytes(64 << 20)))
    found = declared_bytes("zlib", path, 100)
    assert found is not None
    assert 100 < found <= 1 << 20
