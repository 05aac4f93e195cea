"""Where rows live: sizes are checked before memory is taken, and files that are not whole are refused by name."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.buffer import memory
from embodied_ssl.buffer.disk import discard, is_whole
from embodied_ssl.buffer.placement import MANIFEST, Placement
from embodied_ssl.buffer.prefetch import tensors_of
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError

SHAPE = WindowShape(5, 3)
CUDA = torch.device("cuda")


def disk_buffer(folder):
    return StreamBuffer(SPEC, 3, 24, (SHAPE,), guard_ticks=2, storage="disk", folder=folder)


def windows_of(buffer, seed=0):
    lanes, ends = buffer.draw(SHAPE, 64, np.random.default_rng(seed))
    return list(tensors_of(buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length)))


def assert_same(first, second):
    assert len(first) == len(second) > 20
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture
def written(tmp_path):
    folder = tmp_path / "cache"
    source, buffer, plain = TickSource(3, 1), disk_buffer(folder), StreamBuffer(SPEC, 3, 24, (SHAPE,), guard_ticks=2)
    for _ in range(70):
        tick = source.tick()
        buffer.append(tick)
        plain.append(tick)
    buffer.persist("key")
    return folder, buffer, plain, source


def test_disk_gives_what_memory_gives_and_comes_back(written):
    folder, buffer, plain, source = written
    assert_same(windows_of(buffer), windows_of(plain))
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    del buffer
    again = StreamBuffer.reopen(folder, "key")
    assert_same(windows_of(again), windows_of(plain))
    for _ in range(30):  # it goes on, in memory
        tick = source.tick()
        again.append(tick)
        plain.append(tick)
    assert_same(windows_of(again), windows_of(plain))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents


def test_appending_unmakes_what_was_persisted(written):
    folder, buffer, _, source = written
    assert is_whole(folder, "key")
    buffer.append(source.tick())
    assert not is_whole(folder, "key")
    with pytest.raises(BufferFullError, match="no whole buffer"):
        StreamBuffer.reopen(folder, "key")
    buffer.persist("other")
    assert is_whole(folder, "other")
    assert not is_whole(folder, "key")


def test_a_wrong_key_a_short_file_and_damaged_tables_are_refused_by_name(written):
    folder, *_ = written
    with pytest.raises(BufferFullError, match="'key', expected 'new'"):
        StreamBuffer.reopen(folder, "new")
    ticks = folder / "ticks.bin"
    whole = ticks.read_bytes()
    ticks.write_bytes(whole[:-4])
    with pytest.raises(BufferFullError, match=rf"ticks.bin has {len(whole) - 4} bytes, expected {len(whole)}"):
        StreamBuffer.reopen(folder, "key")
    ticks.write_bytes(whole)
    tables = folder / "tables.safetensors"
    tables.write_bytes(tables.read_bytes()[:-1] + b"x")
    with pytest.raises(BufferFullError, match=r"tables\.safetensors is missing or damaged"):
        StreamBuffer.reopen(folder, "key")


@pytest.mark.parametrize("name", ["ticks.bin", "sensor3.values.bin", "sensor1.meta.bin"])
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_flipped_bit_in_any_file_is_refused_by_name(written, name, place):
    path = written[0] / name
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)
    with pytest.raises(BufferFullError, match=f"{name} is damaged: its CRC-32C"):
        StreamBuffer.reopen(written[0], "key")


def test_room_and_lost_rows_come_back(tmp_path):
    source = TickSource(3, 2)
    buffer = StreamBuffer(
        SPEC, 3, 24, (SHAPE,), guard_ticks=2, storage="disk", folder=tmp_path / "x", min_rows={"slow": 40}
    )
    for _ in range(30):
        tick = source.tick()
        tick.fresh["slow"][:] = True
        buffer.append(tick)
    buffer.persist("key")
    again = StreamBuffer.reopen(tmp_path / "x", "key")
    assert again.rows["slow"].capacity == buffer.rows["slow"].capacity >= 40
    assert again.num_overflow_rows == buffer.num_overflow_rows
    assert again.num_overflow_rows["slow"] == 90
    assert_same(windows_of(again), windows_of(buffer))


@pytest.mark.parametrize("text", ["", "[]", '{"format": "embodied_ssl.buffer.2", "key": "key"}', "{"])
def test_a_manifest_that_makes_no_sense_is_one_line(written, text):
    folder, *_ = written
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BufferFullError):
        StreamBuffer.reopen(folder, "key")


def test_a_manifest_cannot_ask_for_other_sizes(written):
    folder, *_ = written
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"capacity_ticks": 2_000_000_000}))
    with pytest.raises(BufferFullError, match="expected"):
        StreamBuffer.reopen(folder, "key")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(BufferFullError, match=r"is not empty \(it holds mine.txt\)"):
        disk_buffer(tmp_path)
    discard(tmp_path)
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(
    ("storage", "available"), [("host", "host_bytes"), ("auto", "host_bytes"), ("disk", "disk_bytes")]
)
def test_what_does_not_fit_is_refused_with_both_sizes_before_memory_is_taken(tmp_path, monkeypatch, storage, available):
    monkeypatch.setattr(memory, available, lambda *_: 50_000)
    monkeypatch.setattr(memory, "host_zeros", None)
    monkeypatch.setattr(memory, "file_zeros", None)
    with pytest.raises(BufferFullError, match=r"needs 0\.\d MB .* where 0\.1 MB can be had"):
        StreamBuffer(SPEC, 3, 240, (SHAPE,), storage=storage, folder=tmp_path / "new")


def test_a_disk_that_fills_up_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(BufferFullError, match="No space left"):
        disk_buffer(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize(("free", "kind"), [(2.6, "device"), (2.4, "host")])
def test_auto_is_the_device_when_two_and_a_half_buffers_fit(monkeypatch, free, kind):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free * 1e6), 0))
    assert Placement.choose("auto", 1_000_000, CUDA, None).kind == kind
    assert Placement.choose("auto", 1_000_000, torch.device("cpu"), None).kind == "host"
    assert Placement.choose("device", 1_000_000, CUDA, None).device == CUDA


def test_disk_needs_a_folder_and_unknown_kinds_are_refused():
    with pytest.raises(BufferFullError, match="needs a folder"):
        StreamBuffer(SPEC, 3, 24, (SHAPE,), storage="disk")
    with pytest.raises(BufferFullError, match="'tape', expected auto, device, host or disk"):
        Placement.choose("tape", 1, CUDA, None)  # type: ignore[arg-type]


def test_only_a_buffer_on_disk_can_be_persisted():
    with pytest.raises(BufferFullError, match="storage is 'host'"):
        StreamBuffer(SPEC, 3, 24, (SHAPE,)).persist("key")


def test_the_limit_of_a_control_group_counts(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("2000000\n")
    (tmp_path / "used").write_text("500000\n")
    monkeypatch.setattr(memory, "_CGROUPS", ((str(tmp_path / "max"), str(tmp_path / "used")),))
    assert memory.host_bytes() == 1_500_000
    (tmp_path / "max").write_text("max\n")
    assert memory.host_bytes() > 1_500_000


def test_a_file_system_in_memory_has_no_more_than_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "host_bytes", lambda: 7)
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    monkeypatch.setattr(memory, "_is_in_memory", lambda _: True)
    assert memory.disk_bytes(tmp_path) == 7
    monkeypatch.setattr(memory, "_is_in_memory", lambda _: False)
    assert memory.disk_bytes(tmp_path) == 1000
