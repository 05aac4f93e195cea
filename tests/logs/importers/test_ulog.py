from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from imported import data_file
from mcap_samples import imported
from ulog_samples import flat, read_ulog, write_ulog

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.ulog import ULogImporter

pytest.importorskip("pyulog", reason="needs the extra ulog")

FILES = {"sample.ulg": (15, 4), "sample_appended_multiple.ulg": (20, 0), "sample_log_small.ulg": (70, 1)}


@pytest.mark.parametrize("name", FILES)
def test_every_row_of_real_flights_is_the_files_own(name: str, tmp_path: Path) -> None:
    path = data_file(f"ulog/{name}")
    tables = read_ulog(path)
    log, report = imported(path, tmp_path, "ulog")
    num_topics, num_dropouts = FILES[name]
    assert len(tables) == num_topics
    assert len(log.facts["dropouts"]) == num_dropouts
    left = {topic: set(flat(table)) for topic, table in tables.items()}
    for stream, fields in log.facts["fields"].items():
        topic, _, instance = stream.split("#")[0].partition(".")
        if topic == "logged_messages":
            continue
        columns, rows = flat(tables[topic, int(instance or 0)]), log.read(stream)
        expected = np.stack([columns[field] for field in fields], axis=1)
        np.testing.assert_array_equal(rows.data, expected.astype(rows.data.dtype))
        assert (rows.data.astype(expected.dtype) == expected).sum() == np.sum(expected == expected)  # nothing was cast
        logged = columns["timestamp"].astype(np.int64) * 1000
        np.testing.assert_array_equal(rows.t_recv_ns, logged)
        sampled = columns.get("timestamp_sample", columns["timestamp"]).astype(np.int64) * 1000
        np.testing.assert_array_equal(rows.t_ns, np.where(sampled == 0, logged, sampled))
        left[topic, int(instance or 0)] -= set(fields)
    rest = {field for fields in left.values() for field in fields if "_padding" not in field}
    assert rest <= {"timestamp", "timestamp_sample"}  # every other value of the file is in the log
    assert sum(report.rows.values()) == sum(log.num_rows(s) for s in log.streams)


def test_real_flight_names_its_oddities(tmp_path: Path) -> None:
    log, report = imported(data_file("ulog/sample.ulg"), tmp_path, None)
    assert any("4 drop-outs of the logger, 119 ms" in note for note in report.notes)
    stuck = [note.split(":")[0] for note in report.notes if "carry the same time" in note]
    assert stuck == ["commander_state", "ekf2_innovations", "sensor_preflight"]
    assert log.streams["sensor_preflight"].sensor.rate_hz == 1.0
    assert log.streams["sensor_combined"].sensor.rate_hz == 250.0
    assert 112 * 10**9 < log.episodes[0].start_ns < 113 * 10**9  # topics whose clock stands still do not count
    assert log.read("logged_messages").data[0].tobytes().rstrip(b"\0").startswith(b"[sensors] no barometer")


def test_types_texts_instances_and_bools(tmp_path: Path) -> None:
    formats = {"pose": "uint64_t timestamp;uint64_t timestamp_sample;float x;double y;bool ok;bool odd;char[4] tag;"}
    rows = []
    for i in range(3):
        sample = 0 if i == 1 else 900 + i
        packed = struct.pack("<QQfdBB4s", 1000 + i, sample, i, i / 3, i % 2, 7 * i, b"ab\0\0")
        rows += [("pose", 0, packed), ("pose", 1, packed)]
    log, report = imported(write_ulog(tmp_path / "a.ulg", formats, rows), tmp_path, "ulog")
    assert {name: stream.role for name, stream in log.streams.items()} == {
        f"{topic}{suffix}": role
        for topic in ("pose", "pose.1")
        for suffix, role in {
            "": "sensor",
            "#float32": "other",
            "#bool": "other",
            "#uint8": "other",
            "#tag": "text",
        }.items()
    }
    assert log.read("pose").data[:, 0].tolist() == [0, 1 / 3, 2 / 3]
    assert log.index("pose")[:, :2].tolist() == [[900000, 1000000], [1001000, 1001000], [902000, 1002000]]
    assert log.read("pose#bool").data[:, 0].tolist() == [False, True, False]
    assert log.read("pose.1#uint8").data[:, 0].tolist() == [0, 7, 14]
    assert log.read("pose#tag").data[0].tobytes() == b"ab\0\0"
    assert any("pose.odd: declared bool, but holds values up to 14" in note for note in report.notes)


def test_a_cut_file_keeps_whole_rows(tmp_path: Path) -> None:
    rows = [("a", 0, struct.pack("<Qf", 10 + i, i)) for i in range(50)]
    path = write_ulog(tmp_path / "a.ulg", {"a": "uint64_t timestamp;float x;"}, rows)
    path.write_bytes(path.read_bytes()[:-100])
    log, _ = imported(path, tmp_path, "ulog")
    kept = log.read("a").data[:, 0]
    assert 40 <= len(kept) < 50
    np.testing.assert_array_equal(kept, np.arange(len(kept)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git-LFS pointer"),
        (b"\x89MCAP0\r\n" * 9, "magic"),
    ],
)
def test_files_of_other_kinds_are_named(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.ulg").write_bytes(content)
    with pytest.raises(LogError, match=says):
        ULogImporter(tmp_path / "a.ulg").streams()


def test_files_larger_than_the_limit_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.ulg"
    path.write_bytes(b"ULog\x01\x12\x35\x01" + bytes(2 << 20))
    with pytest.raises(LogError, match="fix: raise max_file_mb"):
        ULogImporter(path, max_file_mb=1).streams()
    with pytest.raises(LogError, match="option max_file_mb is 0"):
        ULogImporter(path, max_file_mb=0)


def test_flipped_bytes_are_read_around_or_named(tmp_path: Path) -> None:
    formats = {"a": "uint64_t timestamp;float x;bool[2] c;char[3] n;", "bare": "float x;"}
    rows = [("a", 0, struct.pack("<Qf2B3s", i, i, 0, 1, b"abc")) for i in range(20)]
    raw = write_ulog(tmp_path / "a.ulg", formats, rows).read_bytes()
    rng, outcomes = np.random.default_rng(0), {"read": 0, "named": 0}
    for _ in range(100):
        damaged = bytearray(raw)
        damaged[int(rng.integers(16, len(raw)))] = int(rng.integers(0, 256))
        (tmp_path / "b.ulg").write_bytes(damaged)
        importer = ULogImporter(tmp_path / "b.ulg")
        try:
            outcomes["read"] += bool(importer.streams()) and bool(importer.facts())
        except LogError:
            outcomes["named"] += 1
    assert sum(outcomes.values()) == 100
    assert min(outcomes.values()) > 0
