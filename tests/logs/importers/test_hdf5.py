from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hdf5_samples import ragged
from imported import check_episodes, data_file, import_log, read_schema

from embodied_ssl.errors import LogError

h5py = pytest.importorskip("h5py")

MOCAP = "hdf5/dm_control_test_trajectories.h5"
CLIPS = ("cmuv2019_001", "cmuv2019_002")


def test_real_motion_capture_by_pattern_is_the_files_own(tmp_path: Path) -> None:
    source = data_file(MOCAP)
    log, report = import_log(source, "hdf5", tmp_path, mapping="{episode}", time_axis="-1")
    with h5py.File(source) as file:
        found: list[str] = []
        file[CLIPS[0]].visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(log.streams) == sorted(found)
        assert len(found) == 15
        for name in found:
            expected = np.concatenate([file[clip][name][()].T for clip in CLIPS])
            rows = log.read(name)
            assert rows.data.dtype == np.float64
            np.testing.assert_array_equal(rows.data, expected)
            check_episodes(log, name, [10, 10])
    assert log.facts["rates_hz"] == [20.0]
    np.testing.assert_array_equal(np.diff(log.index("walkers/walker_0/joints")[:10, 0]), 50_000_000)
    assert [episode.facts["episode"] for episode in log.episodes] == list(CLIPS)
    assert log.episodes[0].facts["attributes"] == {"day": 7, "dt": 0.05, "month": 7, "num_steps": 10, "year": 2020}
    assert report.notes == []


def test_real_motion_capture_by_table(tmp_path: Path) -> None:
    source = data_file(MOCAP)
    mapping = tmp_path / "clips.yaml"
    mapping.write_text(
        'joints: {dataset: "{episode}/walkers/walker_0/joints", time_axis: -1, unit: rad}\n'
        'root: {dataset: "{episode}/walkers/walker_0/position", time_axis: -1, unit: m, '
        "role: privileged, rate_hz: 25}\n"
    )
    log, _ = import_log(source, "hdf5", tmp_path, mapping=str(mapping))
    with h5py.File(source) as file:
        for name, path in (("joints", "joints"), ("root", "position")):
            expected = np.concatenate([file[f"{clip}/walkers/walker_0/{path}"][()].T for clip in CLIPS])
            np.testing.assert_array_equal(log.read(name).data, expected)
    assert {n: (s.role, s.sensor.unit, s.sensor.rate_hz) for n, s in log.streams.items()} == {
        "joints": ("sensor", "rad", 20.0),
        "root": ("privileged", "m", 25.0),
    }
    np.testing.assert_array_equal(np.diff(log.index("root")[:10, 0]), 40_000_000)


def test_real_motion_capture_needs_a_mapping() -> None:
    with pytest.raises(LogError, match=r"neither as robomimic nor as Minari \(it holds cmuv2019_001"):
        read_schema(data_file(MOCAP), "hdf5")


def test_ragged_groups_with_time_last_and_a_dataset_missing(tmp_path: Path) -> None:
    source = ragged(tmp_path / "r.h5", (5, 9, 2))
    log, report = import_log(source, "hdf5", tmp_path, mapping="clips/take_{episode}", time_axis=-1, fps=10)
    with h5py.File(source) as file:
        joints = [file[f"clips/take_{n}/body/joints"][()].T for n in range(3)]
        force = [file[f"clips/take_{n}/force"][()] for n in (1, 2)]
    np.testing.assert_array_equal(log.read("body/joints").data, np.concatenate(joints))
    np.testing.assert_array_equal(log.read("force").data[:, 0], np.concatenate(force))
    check_episodes(log, "body/joints", [5, 9, 2])
    assert log.streams["force"].sensor.dtype == "float32"
    assert report.notes == [f"clips/take_{n}/note: holds object, no rows of numbers; left out" for n in range(3)]


def test_long_datasets_come_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embodied_ssl.logs.importers.array_rows.BLOCK_BYTES", 256)
    rng = np.random.default_rng(3)
    for axis, chunks in ((0, None), (0, (7, 3)), (1, (3, 5)), (1, (2, 200))):
        values = rng.standard_normal((101, 3))
        with h5py.File(tmp_path / "long.h5", "w") as file:
            file.create_dataset(
                "run_0/x", data=values if axis == 0 else values.T, chunks=chunks if chunks != (2, 200) else (2, 101)
            )
        log, _ = import_log(tmp_path / "long.h5", "hdf5", tmp_path, mapping="run_{episode}", time_axis=axis, fps=100)
        np.testing.assert_array_equal(log.read("x").data, values)
