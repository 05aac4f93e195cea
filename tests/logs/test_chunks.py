"""A chunk whose Blosc header claims more bytes than there are is refused before the library reads them."""

import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from embodied_ssl.errors import LogError
from embodied_ssl.logs.chunks import ArrayFormat


def test_a_blosc_chunk_that_claims_more_than_it_holds():
    kind = ArrayFormat((8192, 4), np.dtype(np.float32), 0)
    size = kind.nbytes
    body = struct.pack("<BBBBIII", 2, 1, 0x12, 4, size, size, size + 16) + b"x" * 8  # 0x12: stored as it is
    crc = google_crc32c.value(body)
    with pytest.raises(LogError, match="declares None decoded bytes"):
        kind.decode(body + struct.pack("<I", crc), crc, Path("chunk"))
    values = np.arange(8192 * 4, dtype=np.float32).reshape(8192, 4)
    whole, end = kind.encode(values)
    assert np.array_equal(kind.decode(whole + end, struct.unpack("<I", end)[0], Path("chunk")), values)
