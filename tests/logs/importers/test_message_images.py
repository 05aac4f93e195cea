from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap_samples import HEADER, Mcap, imported

from embodied_ssl.logs.importers.message_images import picture_of, pixels

IMAGE = (
    "sensor_msgs/msg/Image",
    "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\n"
    "uint8 is_bigendian\nuint32 step\nuint8[] data" + HEADER,
)
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)


def message(image: np.ndarray, encoding: str, step: int = 0, big: int = 0) -> dict:
    stamp = {"stamp": {"sec": 1, "nanosec": 0}, "frame_id": "cam"}
    data = image.reshape(image.shape[0], -1).view(np.uint8)
    padded = np.pad(data, ((0, 0), (0, step - data.shape[1]))) if step else data
    size = {"height": image.shape[0], "width": image.shape[1], "encoding": encoding, "is_bigendian": big}
    return {"header": stamp, **size, "step": padded.shape[1], "data": list(padded.tobytes())}


@pytest.mark.parametrize(
    ("encoding", "stored", "step"),
    [("rgb8", RGB, 0), ("bgr8", RGB[..., ::-1].copy(), 0), ("rgb8", RGB, 16), ("mono8", RGB[..., :1].copy(), 0)],
)
def test_raw_pictures_become_rgb_cameras(encoding: str, stored: np.ndarray, step: int, tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    file.ros("/cam", IMAGE, message(stored, encoding, step), log_time=10**9)
    log, _ = imported(file.finish(), tmp_path)
    stream = log.streams["/cam"]
    assert (stream.sensor.modality, stream.role, stream.sensor.is_image) == ("camera", "sensor", True)
    expected = RGB if encoding != "mono8" else RGB[..., :1]
    np.testing.assert_array_equal(log.read("/cam").data[0], expected)


def test_depth_keeps_its_type_in_either_byte_order_and_is_not_learned_from(tmp_path: Path) -> None:
    depth = RNG.integers(0, 65536, (5, 3), dtype=np.uint16)
    file = Mcap(tmp_path / "a.mcap")
    file.ros("/depth", IMAGE, message(depth, "16UC1"), log_time=1)
    file.ros("/depth", IMAGE, message(depth.byteswap(), "16UC1", big=1), log_time=2)
    log, _ = imported(file.finish(), tmp_path)
    np.testing.assert_array_equal(log.read("/depth").data, [depth, depth])
    assert (log.streams["/depth"].sensor.modality, log.streams["/depth"].role) == ("depth", "other")


def test_pictures_of_another_size_and_unknown_encodings_are_counted(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    for i, (image, encoding) in enumerate([(RGB, "rgb8"), (RGB[:4].copy(), "rgb8"), (RGB, "bayer_x"), (RGB, "rgb8")]):
        file.ros("/cam", IMAGE, message(image, encoding), log_time=i)
    log, report = imported(file.finish(), tmp_path)
    assert log.num_rows("/cam") == 2
    assert sum("1 messages left out" in note for note in report.notes) == 2


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_compressed_pictures_in_json_and_their_sizes(suffix: str, tmp_path: Path) -> None:
    raw = cv2.imencode(suffix, RGB[..., ::-1])[1].tobytes()
    assert picture_of({"data": raw}).shape == (6, 4, 3)
    if suffix == ".png":
        np.testing.assert_array_equal(pixels({"data": raw}), RGB)
    file = Mcap(tmp_path / "a.mcap")
    schema = file.writer.register_schema("foxglove.CompressedImage", "jsonschema", b"{}")
    file._channels["/cam"] = file.writer.register_channel("/cam", "json", schema)
    stamp = {"sec": 3, "nsec": 4}
    file.json("/cam", {"timestamp": stamp, "data": base64.b64encode(raw).decode(), "format": suffix}, b"", log_time=9)
    log, _ = imported(file.finish(), tmp_path)
    decoded = np.asarray(cv2.imdecode(np.frombuffer(raw, np.uint8), 1))
    np.testing.assert_array_equal(log.read("/cam").data[0], decoded[..., ::-1])
    assert log.index("/cam")[0, 0] == 3 * 10**9 + 4


def test_a_png_that_declares_a_huge_size_is_refused_before_it_is_decoded() -> None:
    head = struct.pack(">II5B", 100_000, 100_000, 8, 2, 0, 0, 0)
    part = b"IHDR" + head
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + part + struct.pack(">I", zlib.crc32(part))
    with pytest.raises(ValueError, match=r"\(100000, 100000, 3\) uint8 is not believed"):
        pixels({"data": png})
    with pytest.raises(ValueError, match="neither PNG nor JPEG"):
        picture_of({"data": b"RIFF1234WEBP"})
    with pytest.raises(ValueError, match="do not make a picture"):
        pixels({"height": 100, "width": 100, "encoding": "rgb8", "step": 300, "data": bytes(50)})
