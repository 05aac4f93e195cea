"""Faults of tables and metadata in real LeRobot datasets: each is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from imported import import_log, read_schema
from lerobot_faults import LFS, LOW, TABLE_1, VIDEO_1, edit_json, fails
from lerobot_samples import table, write_v2

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.lerobot import LeRobotImporter
from embodied_ssl.logs.importers.lerobot_layout import fill_template

pq = pytest.importorskip("pyarrow.parquet")
av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")


def open_all(source: Path) -> None:
    """Open everything, write nothing."""
    importer = LeRobotImporter(source)
    importer.streams()
    importer.cameras.check_counts()


@pytest.mark.parametrize(
    ("part", "name"),
    [(TABLE_1, "parquet"), (VIDEO_1, "mp4"), ("meta/info.json", "info.json"), ("meta/episodes.jsonl", "episodes")],
)
def test_git_lfs_pointers(tmp_path: Path, part: str, name: str) -> None:
    source = write_v2(tmp_path / "set")
    (source / part).write_bytes(LFS)
    with pytest.raises(LogError, match=rf"{name}.* is a Git LFS pointer, not the data; run git lfs pull"):
        open_all(source)


@pytest.mark.parametrize("share", range(1, 10))
def test_parquet_cut_short_has_no_footer(tmp_path: Path, share: int) -> None:
    source = write_v2(tmp_path / "set", (5, 9), features=LOW)
    whole = (source / TABLE_1).read_bytes()
    (source / TABLE_1).write_bytes(whole[: len(whole) * share // 10])
    fails(source, tmp_path, r"episode_000001\.parquet: is no readable parquet file \(it has no footer")


@pytest.mark.parametrize("checksum", [True, False])
def test_damaged_parquet_page(tmp_path: Path, checksum: bool) -> None:
    source = write_v2(tmp_path / "set", (5, 900), features=LOW)
    pq.write_table(table(1, 900, 0), source / TABLE_1, write_page_checksum=checksum)
    data = bytearray((source / TABLE_1).read_bytes())
    if checksum:
        data[1000] ^= 1
    else:  # only what breaks the structure of a page can be seen
        data[4:200] = bytes(byte ^ 0xFF for byte in data[4:200])
    (source / TABLE_1).write_bytes(data)
    fails(source, tmp_path, r"episode_000001\.parquet: is no readable parquet file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v1.6"}, "codebase_version is v1.6"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": "30"}, "fps is '30'"),
        ({"features": [1]}, "features is no table"),
        ({"features": {"action": {"dtype": "float32", "shape": [3]}}, "total_episodes": 2}, None),
        ({"video_path": None}, "has no video_path"),
        ({"video_path": "../{video_key}.mp4"}, "leaves the folder"),
        ({"video_path": "/etc/{video_key}.mp4"}, "leaves the folder"),
        ({"video_path": "videos/{chunk}.mp4"}, "names 'chunk'; known are"),
        ({"data_path": "../data/x"}, "leaves the folder"),
    ],
)
def test_wrong_info(tmp_path: Path, change: dict, message: str | None) -> None:
    source = write_v2(tmp_path / "set", (5, 9))
    edit_json(source / "meta" / "info.json", **change)
    if message is None:
        _, report = import_log(source, "lerobot", tmp_path)
        assert report.notes[0] == "action: info.json says float32 (3,), the tables hold float32 (2,)"
        return
    fails(source, tmp_path, message)


def test_templates_fill_numbers_and_nothing_else() -> None:
    values = {"episode_index": 7, "video_key": "cam"}
    assert fill_template("a/{video_key}/{episode_index:06d}.mp4", values) == "a/cam/000007.mp4"
    assert fill_template("{video_key.__class__}", values) == "{video_key.__class__}"
    assert len(fill_template("{episode_index:0999999999d}", values)) == 12


def test_links_out_of_the_dataset_are_refused(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set")
    for part in (VIDEO_1, TABLE_1, "meta/info.json"):
        outside = tmp_path / "outside"
        (source / part).rename(outside)
        (source / part).symlink_to(outside)
        with pytest.raises(LogError, match="leaves the folder"):
            open_all(source)
        (source / part).unlink()
        outside.rename(source / part)


def test_tables_that_contradict_each_other(tmp_path: Path) -> None:
    import pyarrow as pa

    source = write_v2(tmp_path / "set", (5, 9), features=LOW)
    path = source / TABLE_1
    pq.write_table(table(0, 9, 0), path)
    fails(source, tmp_path, "holds episode 0, not the one in its name")
    pq.write_table(pa.concat_tables([table(0, 3, 0), table(1, 3, 0)]), path)
    fails(source, tmp_path, "rows of episode 0 are also in episode_000000.parquet")
    pq.write_table(pa.concat_tables([table(1, 3, 0), table(2, 3, 0), table(1, 3, 0)]), path)
    fails(source, tmp_path, "rows of episode 1 are not together")
    pq.write_table(table(1, 9, 0).drop_columns(["action"]), path)
    fails(source, tmp_path, "has no column action, which other files")
    pq.write_table(table(1, 9, 0).drop_columns(["episode_index"]), path)
    fails(source, tmp_path, "has no column episode_index")
    rows = table(1, 9, 0)
    short = pa.array([[1.0, 2.0]] * 8 + [[1.0]], pa.list_(pa.float32()))
    pq.write_table(rows.set_column(rows.schema.names.index("action"), "action", short), path)
    fails(source, tmp_path, "column action has lists of 1 to 2 values")
    nulls = pa.array([[1.0, 2.0]] * 8 + [None], pa.list_(pa.float32()))
    pq.write_table(rows.set_column(rows.schema.names.index("action"), "action", nulls), path)
    fails(source, tmp_path, "column action has 1 nulls")


def test_texts_and_undeclared_lists_are_left_out_and_named(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set", (5,), features=LOW)
    rows = table(0, 5, 0).append_column("remark", [["a"] * 5]).append_column("extra", [[[1.0]] * 5])
    pq.write_table(rows, source / "data/chunk-000/episode_000000.parquet")
    log, report = import_log(source, "lerobot", tmp_path)
    assert not {"remark", "extra"} & set(log.streams)
    assert report.notes == [
        "remark: holds string, no numbers; left out",
        "extra: lists of a length that info.json does not declare; left out",
    ]


def test_absurd_list_size_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    features = {**LOW, "action": {"dtype": "float32", "shape": [1 << 40]}}
    source = write_v2(tmp_path / "set", (5,), fixed=False, features=features)
    with pytest.raises(LogError, match=r"a row of .* expected at most"):
        read_schema(source, "lerobot")


def test_float64_beside_float32_widens(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set", (5, 9), features=LOW)
    rows = table(1, 9, 0)
    wide = np.linspace(0, 1, 9) + 1e-12
    pq.write_table(rows.set_column(rows.schema.names.index("next.reward"), "next.reward", [wide]), source / TABLE_1)
    log, report = import_log(source, "lerobot", tmp_path)
    np.testing.assert_array_equal(log.read("next.reward", 5).data[:, 0], wide)
    assert report.notes == ["next.reward: info.json says float32 (1,), the tables hold float64 (1,)"]
