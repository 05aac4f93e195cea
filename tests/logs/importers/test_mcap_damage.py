from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from mcap_samples import IMU, Mcap, imported

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.mcap import McapImporter

pytest.importorskip("mcap", reason="needs the extra mcap")

COUNT = 400


def imu_file(path: Path, compression: str = "ZSTD", count: int = COUNT) -> Path:
    from mcap.writer import CompressionType

    file = Mcap(path, chunk_size=4096, compression=CompressionType[compression])
    for i in range(count):
        file.ros("/imu", IMU, file.imu(i, 1 + i, 0), log_time=(1 + i) * 10**9, sequence=i)
    return file.finish()


def chunks(path: Path) -> list[tuple[int, int]]:
    """Return (start, end) of every chunk record."""
    data, at, found = path.read_bytes(), 8, []
    while data[at] != 15:
        end = at + 9 + struct.unpack_from("<Q", data, at + 1)[0]
        found += [(at, end)] if data[at] == 6 else []
        at = end
    return found


@pytest.mark.parametrize("percent", [90, 50, 10])
def test_cut_file_gives_all_but_the_last_chunk(percent: int, tmp_path: Path) -> None:
    whole = imu_file(tmp_path / "whole.mcap")
    cut = tmp_path / "cut.mcap"
    size = chunks(whole)[-1][1] * percent // 100
    cut.write_bytes(whole.read_bytes()[:size])
    log, report = imported(cut, tmp_path)
    kept, spans = log.read("/imu").data[:, 0], chunks(whole)
    complete = sum(end <= size for _, end in spans)
    assert 0 < len(kept) < COUNT
    np.testing.assert_array_equal(kept, np.arange(len(kept)))
    assert len(kept) == pytest.approx(COUNT * complete / len(spans), abs=COUNT / len(spans))
    assert any(f"of {size:,}" in note and "cut short" in note for note in report.notes)


def test_file_cut_at_any_byte_is_imported_or_named(tmp_path: Path) -> None:
    data, last = imu_file(tmp_path / "whole.mcap", count=60).read_bytes(), -1
    for size in [*range(8, 400, 7), *range(400, len(data), 211)]:
        (tmp_path / "cut.mcap").write_bytes(data[:size])
        importer = McapImporter(tmp_path / "cut.mcap")
        try:
            count = len(importer.streams()) and importer._scanned().topics["/imu"].times.count
        except LogError as error:
            assert "nothing to store in the file" in str(error)  # noqa: PT017
            count = 0
        assert count >= last
        last = count
    assert last == 60


@pytest.mark.parametrize("compression", ["ZSTD", "LZ4", "NONE"])
def test_flipped_bit_loses_its_chunk_only_and_is_noted(compression: str, tmp_path: Path) -> None:
    path = imu_file(tmp_path / "a.mcap", compression)
    spans = chunks(path)
    data = bytearray(path.read_bytes())
    data[sum(spans[2]) // 2] ^= 8
    path.write_bytes(data)
    log, report = imported(path, tmp_path)
    seq = log.index("/imu")[:, 2]
    (jumps,) = np.nonzero(np.diff(seq) != 1)
    assert len(jumps) == 1
    assert (seq[0], seq[-1]) == (0, COUNT - 1)
    assert sum("is damaged" in note for note in report.notes) == 1


def test_chunk_that_declares_ten_gigabytes_is_refused(tmp_path: Path) -> None:
    path = imu_file(tmp_path / "a.mcap")
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, chunks(path)[0][0] + 9 + 16, 10 << 30)  # behind start and end time
    path.write_bytes(data)
    with pytest.raises(
        LogError, match=r"declares 10,737,418,240 bytes, more than 1,073,741,824; fix: raise max_chunk_mb"
    ):
        McapImporter(path).streams()


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_bomb_that_lies_about_its_size_stays_small(compression: str, tmp_path: Path) -> None:
    import tracemalloc

    import lz4.frame
    import zstandard
    from mcap.data_stream import RecordBuilder
    from mcap.records import Chunk, Header

    zeros = bytes(64 << 20)
    packed = zstandard.compress(zeros) if compression == "zstd" else lz4.frame.compress(zeros)
    builder = RecordBuilder()
    builder.write(b"\x89MCAP0\r\n")
    Header("", "").write(builder)
    Chunk(compression, packed, 9, 3, 0, 1000).write(builder)
    (tmp_path / "bomb.mcap").write_bytes(builder.end())
    tracemalloc.start()
    with pytest.raises(LogError, match=r"nothing to store.*1,001 bytes where 1,000 were declared"):
        McapImporter(tmp_path / "bomb.mcap").streams()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_record_longer_than_believed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(b"\x89MCAP0\r\n" + struct.pack("<BQ", 5, 3 << 20) + bytes(3 << 20))
    with pytest.raises(LogError, match="a record at byte 8 has 3,145,728 bytes"):
        McapImporter(path, max_chunk_mb=2).streams()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git-LFS pointer"),
        (b"#ROSBAG V2.0\n" + bytes(100), "wrong magic bytes"),
    ],
)
def test_files_of_other_kinds_are_named(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(content)
    with pytest.raises(LogError, match=says):
        McapImporter(tmp_path / "a.mcap").streams()


def test_times_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    file.ros("/imu", IMU, file.imu(1, 1, 0), log_time=1 << 63)
    with pytest.raises(LogError, match="beyond the year 2262"):
        McapImporter(file.finish()).streams()


def test_recognises_by_magic_bytes_or_name(tmp_path: Path) -> None:
    path = imu_file(tmp_path / "a.bin", count=1)
    assert McapImporter.recognises(path)
    assert not McapImporter.recognises(tmp_path)
    (tmp_path / "b.bin").write_bytes(b"nothing")
    assert not McapImporter.recognises(tmp_path / "b.bin")


def test_damaged_metadata_of_our_own_exporter_are_named(tmp_path: Path) -> None:
    file = Mcap(tmp_path / "a.mcap")
    number = file.writer.register_channel("/x", "json", 0, {"embodied_ssl.stream": "{nothing"})
    file.writer.add_message(number, 1, b"{}", 1)
    with pytest.raises(LogError, match=r"channel '/x': its embodied_ssl.stream metadata are damaged"):
        McapImporter(file.finish()).streams()


def test_flipped_bytes_without_checksums_are_read_around_or_named(tmp_path: Path) -> None:
    from mcap.writer import CompressionType

    file = Mcap(tmp_path / "a.mcap", chunk_size=600, enable_crcs=False, compression=CompressionType.NONE)
    for i in range(6):
        file.ros("/imu", IMU, file.imu(i, 1 + i, 0), log_time=(1 + i) * 10**9, sequence=i)
        file.json("/j", {"a": [1, 2.5], "b": {"c": "x"}}, b"{}", log_time=i)
        file.protobuf("/p", seconds=i, nanos=1, torque=1.0, joints=[1.0])
    file.writer.add_metadata("place", {"room": "kitchen"})
    raw = file.finish().read_bytes()
    rng, read = np.random.default_rng(0), 0
    for _ in range(100):
        damaged = bytearray(raw)
        for at in rng.integers(8, len(raw), 3):
            damaged[int(at)] = int(rng.integers(0, 256))
        (tmp_path / "b.mcap").write_bytes(damaged)
        try:
            read += bool(McapImporter(tmp_path / "b.mcap").streams())
        except LogError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert read > 50
