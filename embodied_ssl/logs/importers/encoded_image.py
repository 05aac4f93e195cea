"""Pictures stored as PNG or JPEG bytes: their size is read from the header before they are decoded."""

from __future__ import annotations

import cv2
import numpy as np

from embodied_ssl.errors import LogError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return (height, width) from a PNG or JPEG header, None when it is neither or cut short.

    PNG: width and height at bytes 16 and 20 (its specification, 11.2.2). JPEG: in the frame header after markers C0 to
    CF without C4, C8, CC (ITU T.81, B.2.2).
    """
    if data[:8] == PNG_MAGIC and len(data) >= 24:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _FRAME_MARKERS:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def decode_image(data: bytes, expected: tuple[int, int], size: tuple[int, int] | None, what: str) -> np.ndarray:
    """Decode one picture.

    Args:
        data: PNG or JPEG bytes.
        expected: (height, width) that the first picture of the stream has.
        size: (height, width) to shrink to by area averaging, None: as stored.
        what: for messages: file, episode, frame.

    Returns:
        ``(height, width, 3)`` uint8 RGB.

    Raises:
        LogError: it is no picture, damaged, or of another size.
    """
    found = image_size(data)
    if found != expected:
        says = f"is {found[0]} x {found[1]} pixels" if found else "is no PNG or JPEG picture"
        raise LogError(f"{what} {says}, expected {expected[0]} x {expected[1]} pixels")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise LogError(f"{what} is a damaged picture")
    if size is not None:
        picture = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[:, :, ::-1])
