from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hdf5_samples import minari, robomimic
from imported import check_episodes, import_log, read_schema

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.hdf5 import Hdf5Importer

h5py = pytest.importorskip("h5py")


def test_self_made_robomimic(tmp_path: Path) -> None:
    demos = robomimic(tmp_path / "low_dim.hdf5")
    log, report = import_log(tmp_path / "low_dim.hdf5", "hdf5", tmp_path)
    for name, stream in log.streams.items():
        expected = np.concatenate([demo[name] for demo in demos.values()])
        np.testing.assert_array_equal(log.read(name).data.reshape(expected.shape), expected)
        assert stream.sensor.dtype == expected.dtype.name
        came_after = name in ("rewards", "dones")
        check_episodes(log, name, [7, 5, 12], lead_ns=came_after * 50_000_000, tail_ns=(not came_after) * 50_000_000)
    assert {name: stream.role for name, stream in log.streams.items()} == {
        "actions": "action",
        "dones": "other",
        "obs/agentview_image": "sensor",
        "obs/robot0_eef_pos": "sensor",
        "rewards": "reward",
        "states": "privileged",
    }
    assert log.streams["obs/agentview_image"].sensor.modality == "camera"
    assert [e.facts["episode"] for e in log.episodes] == ["demo_0", "demo_2", "demo_10"]
    assert [e.facts["splits"] for e in log.episodes] == [["train"], ["valid"], ["train"]]
    assert [e.end_kind for e in log.episodes] == ["terminated", "unknown", "terminated"]
    assert log.facts["fps"] == 20.0
    assert log.facts["env_args"]["env_name"] == "Lift"
    assert report.notes == ["next_obs/robot0_eef_pos: repeats obs; left out"]


def test_robomimic_without_rate_needs_one(tmp_path: Path) -> None:
    robomimic(tmp_path / "a.h5", rate=None)
    with pytest.raises(LogError, match="give the rate with option fps"):
        read_schema(tmp_path / "a.h5", "hdf5")
    assert "actions" in read_schema(tmp_path / "a.h5", "hdf5", fps=20)


def test_self_made_minari_folder(tmp_path: Path) -> None:
    (tmp_path / "set" / "data").mkdir(parents=True)
    episodes = minari(tmp_path / "set" / "data" / "main_data.hdf5")
    assert Hdf5Importer.recognises(tmp_path / "set")
    log, report = import_log(tmp_path / "set", "hdf5", tmp_path, fps=10, roles={"observations/goal": "other"})
    for name in log.streams:
        expected = np.concatenate([episode[name] for episode in episodes.values()])
        np.testing.assert_array_equal(log.read(name).data.reshape(expected.shape), expected)
    check_episodes(log, "observations/position", [5, 7, 4])
    starts = [episode.start_ns for episode in log.episodes]
    for name, first in (("actions", 0), ("rewards", 1), ("terminations", 1), ("infos/qpos", 0), ("infos/success", 1)):
        counts = [len(episode[name]) for episode in episodes.values()]
        expected = [s + 100_000_000 * (first + np.arange(n)) for s, n in zip(starts, counts, strict=True)]
        np.testing.assert_array_equal(log.index(name)[:, 0], np.concatenate(expected))
    assert [e.end_kind for e in log.episodes] == ["terminated", "truncated", "terminated+truncated"]
    assert log.episodes[1].facts["attributes"] == {"id": 1, "seed": 7, "total_steps": 6}
    assert log.streams["infos/qpos"].role == "privileged"
    assert log.streams["observations/goal"].role == "other"
    assert report.notes == ["infos/text: holds |S1, no rows of numbers; left out"]


def test_minari_without_rate_and_with_a_lost_row(tmp_path: Path) -> None:
    minari(tmp_path / "main.h5")
    with pytest.raises(LogError, match="states no rate; give it with option fps"):
        read_schema(tmp_path / "main.h5", "hdf5")
    with h5py.File(tmp_path / "main.h5", "a") as file:
        values = file["episode_1/rewards"][:-1]
        del file["episode_1/rewards"]
        file["episode_1/rewards"] = values
    with pytest.raises(LogError, match="episode_1/rewards: 5 rows, expected 6 for an episode of 6 steps"):
        read_schema(tmp_path / "main.h5", "hdf5", fps=10)
