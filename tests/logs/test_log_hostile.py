"""Stores made on purpose: refused before memory is taken, without following links or waiting for pipes."""

import os
import signal
import subprocess
import sys

import google_crc32c
import numpy as np
import pytest
from logged import CAM, STREAMS, add_rows, edit_commits, make_log
from numcodecs import Blosc, Zstd

from embodied_ssl.errors import EmbodiedSSLError, LogError
from embodied_ssl.logs import LogStream, StreamLog, layout
from embodied_ssl.logs.compact import compact_log
from embodied_ssl.logs.recover import recover_log
from embodied_ssl.logs.verify import verify_log
from embodied_ssl.spec import SensorSpec

READ = """
import resource, sys
from embodied_ssl.errors import EmbodiedSSLError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.verify import verify_log
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    log = StreamLog.open(sys.argv[1])
    for name in log.streams:
        log.read(name)
    print("read")
except EmbodiedSSLError as error:
    print(error)
verify_log(sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.fixture
def path(tmp_path):
    return make_log(tmp_path / "run.zarr")


@pytest.fixture(autouse=True)
def _no_hanging():
    """Whoever waits for a named pipe is ended."""
    signal.alarm(30)
    yield
    signal.alarm(0)


def _refusal(path):
    """Return what reading in a process of its own says; it must take no memory to speak of."""
    words = [sys.executable, "-c", READ, str(path)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=env, timeout=30)
    said, megabytes = done.stdout.strip().rsplit("\n", 1)
    assert int(megabytes) < 40
    assert "\n" not in said
    return said


def _replace_chunk(path, name, axes, body):
    """Put a chunk with a right checksum of its own into a log, and commit it."""
    crc = google_crc32c.value(body)
    layout.chunk_path(path, name, "data", 0, axes).write_bytes(body + crc.to_bytes(4, "little"))

    def commit(records):
        number = [s.name for s in STREAMS].index(name)
        for record in records[1:]:
            for entry in record["chunks"]:
                if entry[0] == number and entry[1] == 0:
                    entry[2][0] = crc

    edit_commits(path, commit)


def test_decompression_bombs_are_refused_by_their_headers(path):
    _replace_chunk(path, "cam", 3, bytes(Zstd(level=1).encode(np.zeros(100 << 20, np.uint8))))
    assert "declares 104857600 decoded bytes, expected 240" in _refusal(path)
    _replace_chunk(path, "cam", 3, bytes(Zstd(level=1).encode(np.zeros(240, np.uint8))))
    _replace_chunk(path, "/imu/data", 1, bytes(Blosc("zstd", 1).encode(np.zeros(100 << 20, np.uint8))))
    assert "has 86,420 bytes, expected at most 4,291" in _refusal(path)
    lying = bytearray(Blosc("zstd", 1).encode(np.zeros(192, np.uint8)))
    lying[4:8] = (1 << 30).to_bytes(4, "little")
    _replace_chunk(path, "/imu/data", 1, bytes(lying))
    assert "declares 1073741824 decoded bytes, expected 192" in _refusal(path)


def test_a_zstd_bomb_behind_an_honest_frame_is_refused(path):
    honest = bytes(Zstd(level=1).encode(np.zeros(240, np.uint8)))
    _replace_chunk(path, "cam", 3, honest + bytes(Zstd(level=1).encode(np.zeros(100 << 20, np.uint8))))
    assert "expected" in _refusal(path) or "cannot be decoded" in _refusal(path)


def test_a_sparse_file_is_not_read(path):
    for file in (layout.tail_path(path, 0), layout.chunk_path(path, "cam", "data", 0, 3)):
        os.truncate(file, 4 << 30)
    edit_commits(path, lambda records: records[-1].update(tail=[0, 4 << 30]))
    assert "damaged" in _refusal(path)


HEADERS = {
    "shape": lambda header: header["streams"][0]["sensor"].update(shape=[10**6, 10**6, 3]),
    "negative shape": lambda header: header["streams"][0]["sensor"].update(shape=[-4, -5, 3]),
    "many axes": lambda header: header["streams"][1]["sensor"].update(shape=[1] * 1000),
    "chunk rows": lambda header: header["streams"][0].update(chunk_rows=10**12),
    "no chunk rows": lambda header: header["streams"][0].update(chunk_rows=0),
    "shards": lambda header: header["streams"][0].update(shard_chunks=10**12),
    "object": lambda header: header["streams"][0]["sensor"].update(dtype="object"),
    "text": lambda header: header["streams"][1]["sensor"].update(dtype="<U100000000"),
    "name": lambda header: header["streams"][0]["sensor"].update(name="x" * 10_000),
    "no text": lambda header: header["streams"][0]["sensor"].update(name=5),
    "twice": lambda header: header["streams"].append(header["streams"][0]),
    "none": lambda header: header.update(streams=[]),
    "no list": lambda header: header.update(streams={"a": 1}),
    "role": lambda header: header["streams"][0].update(role="root"),
    "rate": lambda header: header["streams"][0]["sensor"].update(rate_hz="fast"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_absurd_headers_are_refused(path, name):
    edit_commits(path, lambda records: HEADERS[name](records[0]))
    with pytest.raises(EmbodiedSSLError) as caught:
        StreamLog.open(path)
    assert len(str(caught.value)) < 1000
    with pytest.raises(EmbodiedSSLError):
        StreamLog.open(path, skip_corrupt=True)


COMMITS = {
    "rows": lambda commit: commit.update(rows=[10**15] * 3),
    "rows without a tail": lambda commit: commit.update(rows=[10**15] * 3, tail=[0, 0]),
    "rows more than chunks": lambda commit: commit.update(rows=[23, 111, 11]),
    "fewer rows": lambda commit: commit.update(rows=[1, 1, 1]),
    "text": lambda commit: commit.update(rows=["a", "b", "c"]),
    "streams": lambda commit: commit.update(rows=[21]),
    "chunks": lambda commit: commit.update(chunks=[[0, 10**15, [1], [1]]]),
    "stream number": lambda commit: commit.update(chunks=[[99, 0, [1], [1]]]),
    "unlike lists": lambda commit: commit.update(chunks=[[2, 1, [1], [1, 2]]]),
    "tail": lambda commit: commit.update(tail=[-1, -1]),
    "tail size": lambda commit: commit.update(tail=[0, 10**18]),
    "tail number": lambda commit: commit.update(tail=[10**30, 10]),
    "number": lambda commit: commit.update(n=10**20),
    "event": lambda commit: commit.update(events=[["explode"]]),
    "lane": lambda commit: commit.update(events=[["begin", [], 0, 0, {}]]),
    "note": lambda commit: commit.update(events=[["note", 5]]),
    "nothing": lambda commit: commit.clear(),
}


@pytest.mark.parametrize("name", COMMITS)
def test_absurd_commits_are_refused_and_skipping_them_takes_no_memory(path, name):
    edit_commits(path, lambda records: COMMITS[name](records[-1]))
    with pytest.raises(LogError):
        StreamLog.open(path)
    log = StreamLog.open(path, skip_corrupt=True)
    assert log.damage
    assert sum(len(log.read(stream)) for stream in log.streams) <= 21 + 111 + 11


def test_json_bombs_are_damage(path):
    file = path / "commit.jsonl"
    header = file.read_bytes().splitlines(keepends=True)[0]
    for bomb in (b'{"n":' + b"[" * 200_000 + b"]" * 200_000 + b"}", b'{"n":' + b"9" * 100_000 + b"}"):
        crc = f"{google_crc32c.value(bomb):08x}".encode()
        file.write_bytes(header + bomb[:-1] + b',"crc":"' + crc + b'"}\n')
        assert "line 2 is damaged" in _refusal(path)


def test_a_line_without_an_end_is_not_gathered_for_ever(path):
    with (path / "commit.jsonl").open("ab") as file:
        file.truncate(2 << 30)  # a hole of zeros
    with pytest.raises(LogError, match="is longer than"):
        StreamLog.open(path)


LINKED = ["commit.jsonl", "tail/00000000.bin", "streams/cam/data/0.0.0.0", "streams/cam/index/0.0", "streams/cam/data"]


@pytest.mark.parametrize("name", [*LINKED, "streams", "streams/cam", "tail", "writer.lock"])
@pytest.mark.parametrize("use", [StreamLog.append_to, recover_log, compact_log])
def test_nothing_is_reached_through_a_link(path, tmp_path, name, use):
    outside = tmp_path / "outside"
    (path / name).rename(outside)
    (path / name).symlink_to(outside)
    before = outside.read_bytes() if outside.is_file() else sorted(outside.rglob("*"))
    if name != "writer.lock":
        with pytest.raises(LogError, match="symbolic link"):
            StreamLog.open(path).read("cam")
        assert not verify_log(path).is_sound
    if use is not StreamLog.append_to or (not name.startswith("streams/cam/data/") and "index/0" not in name):
        if use is recover_log and "/0." in name:
            use(path)  # a link in place of a committed chunk is for verify to find
        else:
            with pytest.raises(LogError):
                use(path)
    assert (outside.read_bytes() if outside.is_file() else sorted(outside.rglob("*"))) == before


def test_what_is_written_goes_to_no_link_either(path, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    for name in (
        "streams/cam/data/6.0.0.0",
        "streams/cam/data/6.0.0.0.partial",
        "tail/00000001.bin",
        "zarr.json.partial",
    ):
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(outside)
    (path / "streams" / "cam" / "data" / "zarr.json").unlink()
    (path / "streams" / "cam" / "data" / "zarr.json").symlink_to(outside)
    recover_log(path)
    with StreamLog.append_to(path) as writer:
        add_rows(writer, "cam", 30)
    assert outside.read_bytes() == b"mine"
    assert verify_log(path).is_sound


@pytest.mark.parametrize("name", ["commit.jsonl", "tail/00000000.bin", "streams/cam/data/0.0.0.0", "writer.lock"])
def test_a_named_pipe_is_no_file(path, name):
    (path / name).unlink()
    os.mkfifo(path / name)
    if name != "writer.lock":
        with pytest.raises(LogError):
            StreamLog.open(path).read("cam")
        assert not verify_log(path).is_sound
    if "cam" not in name:
        with pytest.raises(LogError):
            StreamLog.append_to(path)


ODD_NAMES = ["../../evil", "/etc/passwd", "..", ".", "a/../../b", "zarr.json", "%2E%2E", "\u00e9 \U0001f916"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_stream_names_stay_inside_the_log(tmp_path, name):
    stream = LogStream(SensorSpec(name, "x", (2,), "float32", 1.0))
    with StreamLog.create(tmp_path / "a" / "run.zarr", [stream]) as writer:
        writer.append(name, np.ones((3, 2), np.float32), np.arange(3))
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert len(list((tmp_path / "a" / "run.zarr" / "streams").iterdir())) == 2
    assert StreamLog.open(tmp_path / "a" / "run.zarr").read(name).data.sum() == 6
    assert verify_log(tmp_path / "a" / "run.zarr").is_sound


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 201, "\u00e9" * 100])
def test_names_that_can_be_no_folder_are_refused(name):
    with pytest.raises(LogError, match="stream name"):
        LogStream(SensorSpec(name, "x", (2,)))


def test_chunk_rows_that_are_too_large_are_refused(tmp_path):
    with pytest.raises(LogError, match="chunks of 100000 rows"):
        StreamLog.create(tmp_path / "run.zarr", [CAM], chunk_rows={"cam": 100_000})
    assert not list(tmp_path.iterdir())
