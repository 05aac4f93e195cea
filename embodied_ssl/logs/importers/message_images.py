"""Pictures in messages: raw ones of ROS and Foxglove, and PNG or JPEG; the declared size is checked before decoding.

Colour is stored as RGB or RGBA whatever the message's order; 16-bit and float pictures (depth) keep their type.
Encodings: sensor_msgs/image_encodings; message types: https://docs.foxglove.dev/docs/sdk/schemas
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied_ssl.logs.importers.ros_definitions import short_name
from embodied_ssl.logs.schema import MAX_ROW_BYTES

RAW = frozenset({"sensor_msgs/Image", "foxglove.RawImage", "foxglove_msgs/RawImage"})
COMPRESSED = frozenset({"sensor_msgs/CompressedImage", "foxglove.CompressedImage", "foxglove_msgs/CompressedImage"})

ENCODINGS = {
    "rgb8": (3, "uint8"),
    "bgr8": (3, "uint8"),
    "rgba8": (4, "uint8"),
    "bgra8": (4, "uint8"),
    "mono8": (1, "uint8"),
    "8UC1": (1, "uint8"),
    "8UC3": (3, "uint8"),
    "8UC4": (4, "uint8"),
    "mono16": (1, "uint16"),
    "16UC1": (1, "uint16"),
    "32FC1": (1, "float32"),
}
"""Channels and type of the raw encodings that are understood."""


@dataclass(frozen=True)
class Picture:
    """What a message says of its picture.

    Attributes:
        shape: ``(height, width, channels)``; ``(height, width)`` for depth, which is no camera picture.
        dtype: numpy name.
        encoding: in the words of the message; ``png`` or ``jpeg``.
        step: bytes of a raw row, which may be padded.
        swap: whether blue comes first.
        big_endian: byte order of 16-bit and float values.
    """

    shape: tuple[int, ...]
    dtype: str
    encoding: str
    step: int = 0
    swap: bool = False
    big_endian: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes that are not believed."""
        size = int(np.dtype(self.dtype).itemsize)
        for length in self.shape:
            size *= length
        if not 0 < size <= MAX_ROW_BYTES:
            raise ValueError(f"a picture of {self.shape} {self.dtype} is not believed")

    @property
    def is_camera(self) -> bool:
        """Whether it is an ordinary picture."""
        return self.dtype == "uint8"


def is_picture(schema: str) -> bool:
    """Return whether messages of this schema are pictures."""
    return short_name(schema) in RAW | COMPRESSED


def picture_of(values: Mapping[str, Any]) -> Picture:
    """Return what a decoded message says of its picture.

    Raises:
        ValueError: it is of a kind that is not understood, or too large.
    """
    return _raw_picture(values) if "encoding" in values else _compressed_picture(_bytes(values["data"]))


def pixels(values: Mapping[str, Any]) -> np.ndarray:
    """Return the picture of a message, in the shape and type that `picture_of` says.

    Raises:
        ValueError: it does not hold what it says.
    """
    picture, data = picture_of(values), _bytes(values["data"])
    return _raw_pixels(picture, data) if "encoding" in values else _decoded(picture, data)


def _bytes(data: Any) -> bytes:
    """Return bytes of CDR arrays, protobuf bytes or base64 text (JSON)."""
    if isinstance(data, str):
        return base64.b64decode(data, validate=True)
    return bytes(data)


def _raw_picture(values: Mapping[str, Any]) -> Picture:
    encoding = values["encoding"]
    if encoding not in ENCODINGS:
        raise ValueError(f"pictures encoded as {encoding!r} are not understood")
    channels, dtype = ENCODINGS[encoding]
    height, width = int(values["height"]), int(values["width"])
    shape = (height, width, channels) if dtype == "uint8" else (height, width)
    big = bool(values.get("is_bigendian", False))
    return Picture(shape, dtype, encoding, int(values.get("step", 0)), encoding.startswith("bgr"), big)


def _raw_pixels(picture: Picture, data: bytes) -> np.ndarray:
    kind = np.dtype(picture.dtype).newbyteorder(">" if picture.big_endian else "<")
    height = picture.shape[0]
    row = int(np.prod(picture.shape[1:])) * kind.itemsize
    step = picture.step or row
    if step < row or len(data) < step * (height - 1) + row:
        raise ValueError(f"{len(data):,} bytes and rows of {step} do not make a picture of {picture.shape}")
    flat = np.frombuffer(data, np.uint8, step * (height - 1) + row)
    rows = np.concatenate([flat, np.zeros(step - row, np.uint8)]).reshape(height, step)[:, :row]
    image = np.ascontiguousarray(rows).view(kind).reshape(picture.shape).astype(picture.dtype)
    return image[..., [2, 1, 0, 3][: picture.shape[-1]]] if picture.swap else image


def _compressed_picture(data: bytes) -> Picture:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 26:
        width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
        if bits == 16 and colour == 0:
            return Picture((height, width), "uint16", "png")
        if bits == 16:
            raise ValueError("PNG with 16 bits a colour is not understood")
        channels = {0: 1, 4: 1, 6: 4}.get(colour, 3)
        return Picture((height, width, channels), "uint8", "png")
    if data.startswith(b"\xff\xd8"):
        height, width, components = _jpeg_size(data)
        return Picture((height, width, 1 if components == 1 else 3), "uint8", "jpeg")
    raise ValueError(f"compressed data that starts with {data[:8].hex()} is neither PNG nor JPEG")


def _jpeg_size(data: bytes) -> tuple[int, int, int]:
    """Return height, width and components from the frame header of a JPEG."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, components = struct.unpack_from(">HHB", data, at + 5)
            return height, width, components
        at += 2 + length
    raise ValueError("a JPEG without a frame header")


def _decoded(picture: Picture, data: bytes) -> np.ndarray:
    import cv2

    channels = picture.shape[2] if len(picture.shape) == 3 else 0
    mode = {0: cv2.IMREAD_UNCHANGED, 1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR, 4: cv2.IMREAD_UNCHANGED}[channels]
    turned = cv2.IMREAD_IGNORE_ORIENTATION if mode != cv2.IMREAD_UNCHANGED else 0
    image = cv2.imdecode(np.frombuffer(data, np.uint8), mode | turned)
    if image is None:
        raise ValueError(f"a {picture.encoding} that cannot be decoded")
    image = image.reshape(image.shape[0], image.shape[1], -1) if channels else image
    if image.shape != picture.shape or image.dtype != picture.dtype:
        raise ValueError(f"a {picture.encoding} of {image.shape} where its header says {picture.shape}")
    return image[..., [2, 1, 0, 3][:channels]] if channels >= 3 else image
