from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from imported import check_episodes, data_file, import_log, read_schema

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.zarr_v2_array import RowReader, ZarrV2Array

FORMAT = "diffusion_policy"


def write_store(path: Path, ends: list[int], arrays: dict[str, np.ndarray], chunk: int = 4, codec="blosc") -> Path:
    import numcodecs

    codecs = {
        "blosc": numcodecs.Blosc("zstd"),
        "zstd": numcodecs.Zstd(3),
        "lz4": numcodecs.LZ4(),
        "zlib": numcodecs.Zlib(1),
        "gzip": numcodecs.GZip(1),
        None: None,
    }
    root = zarr.open_group(path, mode="w", zarr_format=2)
    for name, values in {**{f"data/{k}": v for k, v in arrays.items()}, "meta/episode_ends": np.array(ends)}.items():
        array = root.create_array(
            name,
            shape=values.shape,
            chunks=(chunk, *values.shape[1:]),
            dtype=values.dtype,
            compressors=codecs[codec] and [codecs[codec]],
            config={"write_empty_chunks": True},
        )
        array[:] = values
    return path


def read_store(path: Path) -> Any:
    """Open with zarr-python, the independent reader."""
    return zarr.open_group(path, mode="r", zarr_format=2)


def small_store(path: Path, **options) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        "state": rng.standard_normal((11, 3)),
        "action": rng.standard_normal((11, 2)).astype(np.float32),
        "img": rng.integers(0, 256, (11, 8, 9, 3)).astype(np.float32),
        "force": rng.standard_normal(11),
    }
    return write_store(path, [4, 5, 11], arrays, **options)


def edit_zarray(path: Path, **changes) -> None:
    meta = json.loads(path.read_text())
    path.write_text(json.dumps({**meta, **changes}))


def test_real_pusht_rows_are_the_files_own(tmp_path: Path) -> None:
    source = data_file("pusht.zarr")
    log, report = import_log(source, FORMAT, tmp_path)
    group = read_store(source)
    ends = group["meta/episode_ends"][:]
    assert len(log.episodes) == 151
    for name in ("state", "action", "keypoint", "n_contacts"):
        rows = log.read(name)
        expected = group[f"data/{name}"][:]
        assert rows.data.dtype == expected.dtype
        np.testing.assert_array_equal(rows.data, expected)
        np.testing.assert_array_equal(rows.t_ns, log.index("img")[:, 0])
    for start in range(0, 24644, 4000):
        expected = group["data/img"][start : start + 300]
        np.testing.assert_array_equal(log.read("img", start, start + len(expected)).data, expected)
    check_episodes(log, "img", np.diff(ends, prepend=0).tolist())
    np.testing.assert_array_equal(np.unique(np.diff(log.index("img")[:136, 0])), [100_000_000])
    assert {n: s.role for n, s in log.streams.items() if s.role != "privileged"} == {
        "action": "action",
        "img": "sensor",
    }
    assert log.streams["img"].sensor.modality == "camera"
    assert report.notes == ["no rate in the file: 10 Hz is assumed (option fps)"]


@pytest.mark.parametrize("codec", ["blosc", "zstd", "lz4", "zlib", "gzip", None])
def test_codecs_dtypes_and_episodes(tmp_path: Path, codec: str | None) -> None:
    source = small_store(tmp_path / "s.zarr", codec=codec)
    log, report = import_log(source, FORMAT, tmp_path, fps="5", roles="{state: sensor}")
    group = read_store(source)
    for name in ("state", "action", "img", "force"):
        np.testing.assert_array_equal(
            log.read(name).data.reshape(group[f"data/{name}"].shape), group[f"data/{name}"][:]
        )
    kinds = {name: stream.sensor.dtype for name, stream in log.streams.items()}
    assert kinds == {"action": "float32", "force": "float64", "img": "uint8", "state": "float64"}
    assert log.streams["force"].sensor.shape == (1,)
    assert log.streams["state"].role == "sensor"
    check_episodes(log, "state", [4, 1, 6])
    assert log.episodes[2].facts == {"episode_index": 2, "length": 6, "source": "s.zarr"}
    assert {episode.end_kind for episode in log.episodes} == {"unknown"}
    assert report.notes == [
        "img: float32 pictures of whole numbers from 0 to 255, cast to uint8 after checking every chunk"
    ]


@pytest.mark.parametrize("value", [0.5, 256.0, -1.0, np.nan, np.inf])
def test_one_pixel_that_uint8_does_not_hold_keeps_the_floats(tmp_path: Path, value: float) -> None:
    images = np.zeros((11, 8, 8, 3), np.float32)
    images[10, 7, 7, 2] = value
    source = write_store(tmp_path / "s.zarr", [11], {"img": images})
    log, report = import_log(source, FORMAT, tmp_path)
    np.testing.assert_array_equal(log.read("img").data, images)
    assert log.streams["img"].sensor.modality == "vector"
    assert "kept as they are" in report.notes[1]


def test_every_chunk_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = ZarrV2Array.open(small_store(tmp_path / "s.zarr"), "data/state")
    seen, slab = [], ZarrV2Array.slab
    monkeypatch.setattr(ZarrV2Array, "slab", lambda self, row: seen.append(row) or slab(self, row))
    reader = RowReader(array)
    parts = [list(reader.read(start, stop)) for start, stop in ((0, 3), (3, 9), (9, 11))]
    np.testing.assert_array_equal(
        np.concatenate([block for part in parts for block in part]), np.concatenate(list(array.blocks()))
    )
    assert seen == [0, 1, 2, 0, 1, 2]


def test_rows_after_the_last_episode_are_dropped_and_named(tmp_path: Path) -> None:
    source = write_store(tmp_path / "s.zarr", [2, 9], {"state": np.arange(11.0)[:, None]})
    log, report = import_log(source, FORMAT, tmp_path)
    np.testing.assert_array_equal(log.read("state").data[:, 0], np.arange(9))
    assert "state: 2 rows after the last episode's end, dropped" in report.notes


@pytest.mark.parametrize(
    ("ends", "message"),
    [([4, 4, 11], "episode 1 ends at 4"), ([4, 12], "11 rows, but the episodes have 12 steps"), ([-1, 4], "episode 0")],
)
def test_wrong_episode_ends(tmp_path: Path, ends: list[int], message: str) -> None:
    source = write_store(tmp_path / "s.zarr", ends, {"state": np.zeros((11, 2))})
    with pytest.raises(LogError, match=message):
        read_schema(source, FORMAT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": {"stat": "sensor"}}, "no stream 'stat'; did you mean 'state'"),
        ({"roles": {"state": "senser"}}, "did you mean 'sensor'"),
        ({"fps": 0}, "option fps is 0"),
        ({"fps": "ten"}, "option fps is 'ten'"),
        ({"missing_chunks": "fil"}, "did you mean 'fill'"),
        ({"fsp": 10}, "did you mean 'fps'"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(LogError, match=re.escape(message)):
        read_schema(small_store(tmp_path / "s.zarr"), FORMAT, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunks": [1 << 40, 3]}, "expected at most"),
        ({"chunks": [4]}, "do not fit"),
        ({"chunks": [0, 3]}, "do not fit"),
        ({"shape": [11, 1 << 40]}, "bytes in a chunk"),
        ({"dtype": "|O"}, "expected plain numbers"),
        ({"dtype": "no"}, "is no zarr v2 array"),
        ({"filters": [{"id": "pickle"}]}, "filters .* not supported"),
        ({"compressor": {"id": "imagecodecs_jpeg2k"}}, "compressor 'imagecodecs_jpeg2k' is not supported"),
        ({"zarr_format": 3}, "zarr_format 3"),
        ({"shape": [2**40, 3]}, r"3\.0: the chunk is missing"),
    ],
)
def test_absurd_declarations_are_refused_before_memory_is_taken(tmp_path: Path, changes: dict, message: str) -> None:
    source = small_store(tmp_path / "s.zarr")
    edit_zarray(source / "data" / "state" / ".zarray", **changes)
    if changes.get("shape") == [2**40, 3]:
        np.asarray([4, 5, 2**40]).tofile(source / "meta" / "episode_ends" / "0")
        edit_zarray(source / "meta" / "episode_ends" / ".zarray", compressor=None, chunks=[3])
        for name in ("action", "img", "force"):
            shutil.rmtree(source / "data" / name)
    with pytest.raises(LogError, match=message):
        import_log(source, FORMAT, tmp_path)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    source = small_store(tmp_path / "s.zarr")
    chunk = source / "data" / "state" / "1.0"
    data = bytearray(chunk.read_bytes())
    data[4:8] = struct.pack("<I", 1 << 31)
    chunk.write_bytes(data)
    with pytest.raises(LogError, match=r"1\.0: unpacks to 2,147,483,648 bytes, expected 96"):
        import_log(source, FORMAT, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda chunk: chunk.write_bytes(chunk.read_bytes()[:-3]), "cut short"),
        (lambda chunk: chunk.unlink(), "missing_chunks=fill"),
        (lambda chunk: chunk.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
        (lambda chunk: _link_out(chunk), "leaves the folder"),
    ],
)
def test_damaged_chunks_are_named(tmp_path: Path, change, message: str) -> None:
    source = small_store(tmp_path / "s.zarr")
    change(source / "data" / "state" / "1.0")
    with pytest.raises(LogError, match=message) as caught:
        import_log(source, FORMAT, tmp_path)
    assert "state" in str(caught.value)


def _link_out(chunk: Path) -> None:
    outside = chunk.parents[3] / "outside"
    chunk.rename(outside)
    chunk.symlink_to(outside)


def test_a_missing_chunk_may_be_filled(tmp_path: Path) -> None:
    source = small_store(tmp_path / "s.zarr")
    (source / "data" / "state" / "1.0").unlink()
    log, _ = import_log(source, FORMAT, tmp_path, missing_chunks="fill")
    assert (log.read("state").data[4:8] == 0).all()
    assert (log.read("state").data[:4] != 0).all()
