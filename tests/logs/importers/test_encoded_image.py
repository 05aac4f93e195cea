from __future__ import annotations

import re
import struct
import zlib

import cv2
import numpy as np
import pytest

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.encoded_image import decode_image, image_size


def png_bomb(height: int, width: int) -> bytes:
    """A PNG of a few bytes that declares a huge picture."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    made = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def test_encoded_pictures_are_measured_before_they_are_decoded() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (11, 17, 3), dtype=np.uint8)
    for kind in (".png", ".jpg"):
        data = cv2.imencode(kind, picture[:, :, ::-1])[1].tobytes()
        assert image_size(data) == (11, 17)
        assert image_size(data[:12]) is None
        for cut in range(0, len(data), 7):
            assert image_size(data[:cut]) in (None, (11, 17))
    png = cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode_image(png, (11, 17), None, "x"), picture)
    for data, message in (
        (png_bomb(30_000, 30_000), "x is 30000 x 30000 pixels, expected 11 x 17"),
        (b"GIF89a", "x is no PNG or JPEG picture"),
        (png_bomb(11, 17), "x is a damaged picture"),
    ):
        with pytest.raises(LogError, match=re.escape(message)):
            decode_image(data, (11, 17), None, "x")
