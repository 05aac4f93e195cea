from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import FPS, STREAMS, TICKS, make_log
from imported import import_log

from embodied_ssl.errors import LogError
from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.logs.exporters.lerobot import LeRobotExporter
from embodied_ssl.logs.exporters.lerobot_ticks import LaneRows, episodes_of, ticks_of
from embodied_ssl.logs.schema import Episode
from embodied_ssl.spec import SensorSpec

pytest.importorskip("pyarrow", reason="needs the extra lerobot")
pytest.importorskip("av", reason="needs the extra lerobot")

NAMES = {
    "/cam/front": "observation.images.cam.front",
    "/cam/grey": "observation.images.cam.grey",
    "/depth": "other.depth",
    "/imu": "observation.imu",
    "arm": "observation.arm",
    "half": "observation.half",
    "cmd": "action",
    "reward": "next.reward",
    "pose": "privileged.pose",
    "flag": "other.flag",
}


def ignore(units: int) -> None:
    """Take progress and do nothing."""


def expected_rows(log: StreamLog, name: str) -> np.ndarray:
    """Return ``(ticks, *shape)`` the latest row at or before every tick, by a plain loop."""
    rows, found = log.read(name), []
    for episode in log.episodes:
        for tick in range(TICKS):
            now = episode.start_ns + round(tick * 1e9 / FPS)
            found.append(rows.data[max(i for i, t in enumerate(rows.t_ns) if t <= now + 1000)])
    return np.stack(found)


@pytest.mark.parametrize("videos", [True, False])
def test_export_is_read_back_by_our_importer(videos: bool, tmp_path: Path) -> None:
    log = make_log(tmp_path / "a.zarr")
    done: list[int] = []
    report = LeRobotExporter(videos=videos).write(log, tmp_path / "set", done.append)
    back, _ = import_log(tmp_path / "set", "lerobot", tmp_path)
    assert sum(done) == 2 * TICKS
    assert set(back.streams) == set(NAMES.values())
    for name, feature in NAMES.items():
        rows, expected = back.read(feature).data, expected_rows(log, name)
        if not log.streams[name].sensor.is_image:
            np.testing.assert_array_equal(rows, expected.reshape(rows.shape))
        elif not videos:
            np.testing.assert_array_equal(rows, np.broadcast_to(expected, rows.shape))
        else:
            assert rows.shape == (2 * TICKS, *expected.shape[1:3], 3)
    assert [episode.facts["tasks"] for episode in back.episodes] == [["task 0"], ["task 1"]]
    roles = {feature: back.streams[feature].role for feature in NAMES.values()}
    assert (roles["action"], roles["next.reward"], roles["privileged.pose"]) == ("action", "reward", "other")
    assert report.rows["/imu"] == 2 * TICKS
    assert report.rows["say"] == 0
    assert any("/imu: 216 of 240 rows (200 Hz) lie between ticks (20 Hz): lost" in note for note in report.notes)
    assert any("say: text" in note for note in report.notes)


def test_smooth_videos_come_back_nearly_as_they_were(tmp_path: Path) -> None:
    ramp = np.linspace(40, 200, 64, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(90)), axis=-1)
    stream = LogStream(SensorSpec("cam", "camera", picture.shape, "uint8", 10.0))
    with StreamLog.create(tmp_path / "a.zarr", [stream], fsync=False) as writer:
        frames = np.stack([np.roll(picture, i, axis=1) for i in range(6)])
        writer.append("cam", frames, np.arange(6) * 10**8)
    LeRobotExporter().write(StreamLog.open(tmp_path / "a.zarr"), tmp_path / "set", ignore)
    back, _ = import_log(tmp_path / "set", "lerobot", tmp_path)
    error = np.abs(back.read("observation.images.cam").data.astype(int) - frames)
    assert error.mean() < 4
    assert np.abs(error.mean(axis=(1, 2, 3)) - error.mean()).max() < 3  # the frames come in order


def test_metadata_is_that_of_version_three(tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    log = make_log(tmp_path / "a.zarr")
    LeRobotExporter().write(log, tmp_path / "set", ignore)
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    counts = {key: info[key] for key in ("codebase_version", "total_episodes", "total_frames", "fps", "splits")}
    assert counts == {
        "codebase_version": "v3.0", "total_episodes": 2, "total_frames": 24, "fps": 20, "splits": {"train": "0:2"}
    }  # fmt: skip
    assert info["features"]["observation.images.cam.front"]["dtype"] == "video"
    assert info["features"]["action"] == {"dtype": "float64", "shape": [2], "names": None, "fps": 20}
    data = parquet.read_table(tmp_path / "set" / info["data_path"].format(chunk_index=0, file_index=0))
    assert set(data.column_names) == set(info["features"]) - {
        "observation.images.cam.front",
        "observation.images.cam.grey",
    }
    assert data["index"].to_pylist() == list(range(24))
    assert data["frame_index"].to_pylist() == list(range(12)) * 2
    assert data["episode_index"].to_pylist() == [0] * 12 + [1] * 12
    assert data["task_index"].to_pylist() == [0] * 12 + [1] * 12
    np.testing.assert_allclose(data["timestamp"].to_numpy()[:12], np.arange(12) / 20, rtol=1e-6)
    episodes = parquet.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(e["dataset_from_index"], e["dataset_to_index"], e["length"]) for e in episodes] == [
        (0, 12, 12),
        (12, 24, 12),
    ]
    stats = json.loads((tmp_path / "set/meta/stats.json").read_text())
    check_stats(stats, expected_rows(log, "/imu"), expected_rows(log, "/cam/front"))
    tasks = parquet.read_table(tmp_path / "set/meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    assert tasks["task"].to_pylist() == ["task 0", "task 1"]


def check_stats(stats: dict[str, Any], imu: np.ndarray, front: np.ndarray) -> None:
    """Compare statistics with numpy's."""
    imu = imu.astype(np.float64)
    for key, expected in {"min": imu.min(0), "max": imu.max(0), "mean": imu.mean(0), "std": imu.std(0)}.items():
        np.testing.assert_allclose(stats["observation.imu"][key], expected, rtol=1e-6)
    assert stats["observation.imu"]["count"] == [24]
    mean = (front / 255).mean((0, 1, 2)).reshape(3, 1, 1)
    np.testing.assert_allclose(stats["observation.images.cam.front"]["mean"], mean, rtol=1e-6)


def test_latest_row_is_that_of_a_plain_loop(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        count = int(rng.integers(0, 30))
        index = np.zeros((count, 5), np.int64)
        index[:, 0], index[:, 3] = rng.integers(0, 100_000, count), rng.integers(0, 2, count)
        ticks = np.sort(rng.integers(0, 100_000, 20))
        found = LaneRows.of(index, 1).latest(ticks)
        for tick, row in zip(ticks, found, strict=True):
            before = [(t, i) for i, (t, _, _, lane, _) in enumerate(index) if lane == 1 and t <= tick + 1000]
            assert row == (max(before)[1] if before else -1)


def test_episodes_wait_for_slow_starters_and_open_ones_end_with_their_rows(tmp_path: Path) -> None:
    late = LaneRows(np.array([10**9 + 5]), np.array([0]))
    silent = LaneRows(np.array([9 * 10**9]), np.array([0]))
    ticks = ticks_of(Episode(0, 0, 2 * 10**9, "unknown"), 10, [late, silent])
    assert ticks.tolist() == [10**8 * i for i in range(10, 21)]  # 5 ns late is on time
    stream = STREAMS[3]
    with StreamLog.create(tmp_path / "a.zarr", [stream], fsync=False) as writer:
        writer.begin_episode(0)
        writer.append("/imu", np.zeros((3, 3), np.float32), np.array([0, 5, 9]))
        writer.begin_episode(20)
        writer.append("/imu", np.zeros((2, 3), np.float32), np.array([20, 44]))
    episodes = episodes_of(StreamLog.open(tmp_path / "a.zarr"), ["/imu"])
    assert [(episode.start_ns, episode.end_ns) for episode in episodes][-1] == (20, 44)


def test_mistakes_are_named_and_leave_nothing_behind(tmp_path: Path) -> None:
    odd = LogStream(SensorSpec("cam", "camera", (5, 4, 3), "uint8", 10.0))
    with StreamLog.create(tmp_path / "a.zarr", [odd], fsync=False) as writer:
        writer.append("cam", np.zeros((2, 5, 4, 3), np.uint8), np.array([0, 10**8]))
    log = StreamLog.open(tmp_path / "a.zarr")
    with pytest.raises(LogError, match=r"odd size.*videos=false"):
        LeRobotExporter().write(log, tmp_path / "set", ignore)
    with pytest.raises(LogError, match="option fps"):
        LeRobotExporter(fps="fast")
    with pytest.raises(LogError, match="option videos is 'maybe'"):
        LeRobotExporter(videos="maybe")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr"]
    LeRobotExporter(videos="false", fps=5).write(log, tmp_path / "set", ignore)
    with pytest.raises(LogError, match="exists already"):
        LeRobotExporter(videos="false").write(log, tmp_path / "set", ignore)
    with StreamLog.create(tmp_path / "b.zarr", [odd], fsync=False):
        pass
    with pytest.raises(LogError, match="no rows"):
        LeRobotExporter().write(StreamLog.open(tmp_path / "b.zarr"), tmp_path / "none", ignore)
