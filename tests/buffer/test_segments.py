"""Segments restore a buffer bit for bit, are written once, and damage is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.buffer.segments import FORMAT, SegmentStore, check_format, load_tables, tables_state
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import CheckpointError

SHAPE = WindowShape(context=5, horizon=3)


def new_buffer():
    return StreamBuffer(SPEC, 3, 24, (SHAPE,), guard_ticks=2)


def windows_of(buffer):
    lanes, ends = buffer.draw(SHAPE, 64, np.random.default_rng(0))
    return buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length)


def assert_same(first, second):
    for name in ("action", "reward", "terminated", "valid", "tick", "start", "lane"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    for table in ("rows", "frames"):
        for name, sensor in getattr(first, table).items():
            for field, value in vars(sensor).items():
                other = getattr(getattr(second, table)[name], field)
                if field == "values" and table == "frames":  # frames nobody refers to may differ
                    index = first.frames[name].slot
                    value, other = value[torch.arange(64)[:, None], index], other[torch.arange(64)[:, None], index]
                    mask = first.frames[name].mask
                    value, other = value[mask], other[mask]
                assert torch.equal(value, other), (table, name, field)


@pytest.mark.parametrize("saves", [(10,), (5, 40, 41), (30, 100, 160)])
def test_restore_gives_the_same_windows_and_goes_on(tmp_path, saves):
    source, buffer = TickSource(3, 1), new_buffer()
    store = SegmentStore(buffer, tmp_path)
    manifest, tables = [], {}
    for step in range(max(saves) + 1):
        buffer.append(source.tick())
        if step in saves:
            manifest, tables = store.write(), tables_state(buffer)
    other = new_buffer()
    other_store = SegmentStore(other, tmp_path)
    other_store.restore(manifest)
    load_tables(other, tables)
    assert_same(windows_of(buffer), windows_of(other))
    for _ in range(30):
        tick = source.tick()
        buffer.append(tick)
        other.append(tick)
    assert_same(windows_of(buffer), windows_of(other))
    assert len(other_store.write()) >= 1


@pytest.mark.parametrize("every", [7, 12])
def test_a_row_held_for_many_capacities_comes_back(tmp_path, every):
    source, buffer = TickSource(3, 5, end_chance=0.0), new_buffer()
    store, manifest = SegmentStore(buffer, tmp_path), []
    for step in range(140):
        tick = source.tick()
        for name in ("slow", "camera"):  # each lane sends once in all, one after the other
            tick.fresh[name][:] = (np.arange(3) == step)[:, None] & (np.arange(tick.fresh[name].shape[1]) == 0)
            tick.rows[name][:] = 1 + tick.rows[name] // 2
        buffer.append(tick)
        if step % every == every - 1:
            manifest = store.write()
    other = new_buffer()
    load_tables(other, tables_state(buffer))
    SegmentStore(other, tmp_path).restore(store.write())
    assert len(manifest) <= -(-24 * 5 // 4 // every) + 1  # old segments are let go all the same
    windows = windows_of(other)
    assert_same(windows_of(buffer), windows)
    assert windows.rows["slow"].mask.all()
    assert windows.rows["slow"].values.all()
    assert windows.frames["camera"].mask.all()


def test_a_checkpoint_of_another_version_is_one_clear_line(tmp_path):
    check_format({"format": FORMAT, "segments": []}, tmp_path)
    for facts in ({"segments": []}, {"format": 99}):
        with pytest.raises(CheckpointError, match=f"format (1|99), this version reads {FORMAT}.*cannot be resumed"):
            check_format(facts, tmp_path)


def test_a_segment_is_written_once_and_old_ones_are_let_go(tmp_path):
    source, buffer = TickSource(3, 2), new_buffer()
    store = SegmentStore(buffer, tmp_path)
    for _ in range(10):
        buffer.append(source.tick())
    store.write()
    first = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert store.write() == store.manifest
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == first
    for _ in range(200):
        buffer.append(source.tick())
    manifest = store.write()
    assert [entry["file"] for entry in manifest] == ["000000000630.safetensors"]
    store.drop_unlisted([entry["file"] for entry in manifest])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_flipped_byte_is_refused_by_name(tmp_path):
    source, buffer = TickSource(3, 3), new_buffer()
    store = SegmentStore(buffer, tmp_path)
    buffer.append(source.tick())
    manifest = store.write()
    path = tmp_path / manifest[0]["file"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path.name} is damaged"):
        SegmentStore(new_buffer(), tmp_path).restore(manifest)


def test_a_disk_that_refuses_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    source, buffer = TickSource(3, 4), new_buffer()
    buffer.append(source.tick())
    store = SegmentStore(buffer, tmp_path)

    def full(path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("embodied_ssl.buffer.segments.sync_file", full)
        with pytest.raises(CheckpointError, match="No space left"):
            store.write()
    assert not list(tmp_path.iterdir())
    assert len(store.write()) == 1
