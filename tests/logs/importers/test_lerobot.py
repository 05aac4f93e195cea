from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imported import check_episodes, data_file, import_log, read_schema
from lerobot_samples import CAMERA, SIZE, level, table, write_v2, write_v3

from embodied_ssl.errors import LogError
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.importers.lerobot import LeRobotImporter
from embodied_ssl.sources.replay_packets import LogTicks

pq = pytest.importorskip("pyarrow.parquet")
av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")

PERIOD_NS = 50_000_000
G1_CAMERA = "observation.images.cam_high"
G1_EPISODES = (29, 30, 59)


def g1_table(source: Path, episode: int) -> Any:
    return pq.read_table(source / f"data/chunk-000/episode_{episode:06d}.parquet")


def frames_by_pyav(path: Path, pixel_format: str) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=pixel_format) for frame in container.decode(video=0)]


def check_levels(log: StreamLog, lengths: list[int], of_row: list[int]) -> None:
    """Check that every frame of the camera is the one that belongs to its row."""
    images = log.read(CAMERA).data
    assert images.shape == (sum(lengths), *SIZE, 3)
    found = images.astype(float).mean((1, 2, 3))
    np.testing.assert_allclose(found, [level(frame) for frame in of_row], atol=6)


def test_real_g1_rows_are_the_files_own(tmp_path: Path) -> None:
    source = data_file("lerobot_v21/g1")
    log, report = import_log(source, "lerobot", tmp_path, cameras="none")
    tables = [g1_table(source, episode) for episode in G1_EPISODES]
    assert set(log.streams) == {"observation.state", "action"}
    for name in log.streams:
        expected = np.concatenate([np.array(table[name].to_pylist(), np.float32) for table in tables])
        rows = log.read(name)
        assert rows.data.dtype == np.float32
        np.testing.assert_array_equal(rows.data, expected)
        check_episodes(log, name, [221, 277, 280])
    starts = np.repeat([episode.start_ns for episode in log.episodes], [221, 277, 280])
    stamps = np.concatenate([table["timestamp"].to_numpy() for table in tables])
    np.testing.assert_allclose((log.index("action")[:, 0] - starts) / 1e9, stamps, atol=1e-6)
    np.testing.assert_array_equal(log.index("action")[:, 2], np.arange(778))
    assert [episode.facts["episode_index"] for episode in log.episodes] == list(G1_EPISODES)
    assert log.episodes[0].facts["tasks"] == ["Pick up the yellow bottle on the table."]
    assert {episode.end_kind for episode in log.episodes} == {"unknown"}
    assert log.streams["action"].role == "action"
    assert log.streams["observation.state"].role == "sensor"
    assert log.streams["action"].sensor.rate_hz == 30.0
    assert log.facts["licence"].startswith("MIT License")
    assert report.notes == ["meta counts 100 episodes, 3 have rows; without rows: 0-28, 31-58, 60-99"]


@pytest.mark.slow
def test_real_g1_frames_are_the_videos_own(tmp_path: Path) -> None:
    source = data_file("lerobot_v21/g1")
    log, _ = import_log(source, "lerobot", tmp_path, episodes=[29])
    path = source / f"videos/chunk-000/{G1_CAMERA}/episode_000029.mp4"
    own = frames_by_pyav(path, "rgb24")
    assert len(own) == log.num_rows(G1_CAMERA) == 221
    for start in range(0, 221, 20):
        np.testing.assert_array_equal(log.read(G1_CAMERA, start, start + 1).data[0], own[start])
    yuv = frames_by_pyav(path, "yuv420p")
    for number in range(0, 221, 40):  # a second way from the planes to RGB, not libswscale's
        other = cv2.cvtColor(yuv[number], cv2.COLOR_YUV2RGB_I420).astype(int)
        assert np.abs(other - log.read(G1_CAMERA, number, number + 1).data[0]).mean() < 2
    np.testing.assert_array_equal(log.index(G1_CAMERA), log.index("action"))


def test_real_g1_small_frames_of_all_episodes(tmp_path: Path) -> None:
    source = data_file("lerobot_v21/g1")
    log, _ = import_log(source, "lerobot", tmp_path, image_size="48,64")
    assert log.streams[G1_CAMERA].sensor.shape == (48, 64, 3)
    assert log.streams[G1_CAMERA].sensor.modality == "camera"
    np.testing.assert_array_equal(log.index(G1_CAMERA), log.index("action"))
    images, start = log.read(G1_CAMERA).data, 221 + 277
    own = frames_by_pyav(source / f"videos/chunk-000/{G1_CAMERA}/episode_000059.mp4", "rgb24")
    for number in range(0, 280, 40):
        small = cv2.resize(own[number], (64, 48), interpolation=cv2.INTER_AREA).astype(int)
        assert np.abs(small - images[start + number]).mean() < 3


@pytest.mark.parametrize("fixed", [True, False])
def test_v2_dataset_in_both_list_types(tmp_path: Path, fixed: bool) -> None:
    source = write_v2(tmp_path / "set", (5, 9, 4), fixed)
    log, report = import_log(source, "lerobot", tmp_path)
    tables = [table(e, n, 0, fixed=fixed) for e, n in enumerate((5, 9, 4))]
    for name in ("observation.state", "observation.force", "action", "next.reward", "next.done"):
        expected = np.concatenate([np.array(one[name].to_pylist()) for one in tables])
        np.testing.assert_array_equal(log.read(name).data.reshape(expected.shape), expected)
        came_after = name.startswith("next.")
        check_episodes(log, name, [5, 9, 4], lead_ns=came_after * PERIOD_NS, tail_ns=(not came_after) * PERIOD_NS)
    np.testing.assert_array_equal(log.index("next.reward")[:, 0], log.index("action")[:, 0] + PERIOD_NS)
    dtypes = {name: stream.sensor.dtype for name, stream in log.streams.items()}
    assert dtypes["observation.force"] == "float64"
    assert dtypes["next.done"] == "bool"
    assert {name: stream.role for name, stream in log.streams.items()} == {
        "observation.state": "sensor",
        "observation.force": "sensor",
        "action": "action",
        "next.reward": "reward",
        "next.done": "other",
        CAMERA: "sensor",
    }
    check_levels(log, [5, 9, 4], list(range(18)))
    assert report.notes == []


def test_list_beside_fixed_size_list_in_one_dataset(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set", (5, 9))
    pq.write_table(table(1, 9, 5, fixed=False), source / "data/chunk-000/episode_000001.parquet")
    log, _ = import_log(source, "lerobot", tmp_path, cameras="none")
    expected = np.concatenate([np.array(table(e, n, 0)["action"].to_pylist()) for e, n in ((0, 5), (1, 9))])
    np.testing.assert_array_equal(log.read("action").data, expected)


def test_self_made_v3_with_many_episodes_a_file(tmp_path: Path) -> None:
    source = write_v3(tmp_path / "set", ((5, 9, 4), (6, 7)))
    log, report = import_log(source, "lerobot", tmp_path)
    lengths = [5, 9, 4, 6, 7]
    for name in ("observation.state", "action", "observation.force"):
        expected = np.concatenate([np.array(table(e, n, 0)[name].to_pylist()) for e, n in enumerate(lengths)])
        np.testing.assert_array_equal(log.read(name).data.reshape(expected.shape), expected)
        check_episodes(log, name, lengths, tail_ns=PERIOD_NS)
    check_levels(log, lengths, list(range(31)))
    np.testing.assert_array_equal(log.index(CAMERA), log.index("action"))
    assert [e.facts["tasks"] for e in log.episodes] == [["push"], ["pull"]] * 2 + [["push"]]
    assert log.facts["tasks"] == ["push", "pull"]
    assert log.facts["version"] == "v3.0"
    assert report.notes == []


def test_v3_chosen_episodes_take_their_own_span_of_the_video(tmp_path: Path) -> None:
    source = write_v3(tmp_path / "set", ((5, 9, 4), (6, 7)))
    log, _ = import_log(source, "lerobot", tmp_path, episodes="2,4", cameras=CAMERA)
    check_levels(log, [4, 7], [*range(14, 18), *range(24, 31)])
    assert [episode.facts["episode_index"] for episode in log.episodes] == [2, 4]
    np.testing.assert_array_equal(log.read("action").data[4:], np.array(table(4, 7, 0)["action"].to_pylist()))


def test_small_batches_give_the_same_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_v3(tmp_path / "set")
    one, _ = import_log(source, "lerobot", tmp_path)
    monkeypatch.setattr("embodied_ssl.logs.importers.lerobot.BATCH_ROWS", 2)
    monkeypatch.setattr("embodied_ssl.logs.importers.lerobot_cameras.BLOCK_BYTES", 3 * SIZE[0] * SIZE[1] * 3)
    two, _ = import_log(source, "lerobot", tmp_path)
    assert one.episodes == two.episodes
    for name in one.streams:
        np.testing.assert_array_equal(one.read(name).data, two.read(name).data)
        np.testing.assert_array_equal(one.index(name), two.index(name))


def test_pictures_in_the_table(tmp_path: Path) -> None:
    import pyarrow as pa

    rng, images = np.random.default_rng(0), []
    source = write_v2(
        tmp_path / "set",
        (5, 9),
        features={"action": {"dtype": "float32", "shape": [2]}, "eye": {"dtype": "image", "shape": [3, 20, 30]}},
    )
    for episode, length in enumerate((5, 9)):
        new = rng.integers(0, 256, (length, 20, 30, 3), dtype=np.uint8)
        packed = [{"bytes": cv2.imencode(".png", one[:, :, ::-1])[1].tobytes(), "path": None} for one in new]
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        rows = table(episode, length, 0).append_column("eye", pa.array(packed, kind))
        pq.write_table(rows, source / f"data/chunk-000/episode_{episode:06d}.parquet")
        images.append(new)
    log, _ = import_log(source, "lerobot", tmp_path, cameras="eye")
    np.testing.assert_array_equal(log.read("eye").data, np.concatenate(images))
    np.testing.assert_array_equal(log.index("eye"), log.index("action"))
    small, _ = import_log(source, "lerobot", tmp_path, image_size=(10, 15))
    np.testing.assert_array_equal(
        small.read("eye").data[0], cv2.resize(images[0][0], (15, 10), interpolation=cv2.INTER_AREA)
    )


def test_end_of_episode_only_when_the_file_tells_it(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set", (5, 9, 4), features={"action": {"dtype": "float32", "shape": [2]}})
    for episode, (length, kind) in enumerate([(5, "terminated"), (9, "truncated"), (4, None)]):
        rows, last = table(episode, length, 0), np.arange(length) == length - 1
        for name in ("terminated", "truncated"):
            rows = rows.append_column(f"next.{name}", [(last & (kind == name)).tolist()])
        pq.write_table(rows, source / f"data/chunk-000/episode_{episode:06d}.parquet")
    log, _ = import_log(source, "lerobot", tmp_path)
    assert [episode.end_kind for episode in log.episodes] == ["terminated", "truncated", "unknown"]


def test_times_off_the_grid_are_kept_and_lost_rows_show_in_seq(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set", (6,))
    rows = table(0, 6, 0)
    stamps = np.array([0, 0.05, 0.1004, 0.15, 0.3, 0.35])
    rows = rows.set_column(rows.schema.names.index("timestamp"), "timestamp", [stamps])
    rows = rows.set_column(rows.schema.names.index("frame_index"), "frame_index", [[0, 1, 2, 3, 6, 7]])
    pq.write_table(rows, source / "data/chunk-000/episode_000000.parquet")
    log, report = import_log(source, "lerobot", tmp_path, cameras="none")
    np.testing.assert_allclose(log.index("action")[:, 0], stamps * 1e9, atol=0.51)
    np.testing.assert_array_equal(log.index("action")[:, 2], [0, 1, 2, 3, 6, 7])
    assert report.notes == [
        "episode 0: 1 timestamps are off frame_index / fps by over 0.0001 s and were kept",
        "episode 0: 1 times frame_index does not grow by one",
    ]


def test_slow_rates_get_a_longer_gap(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set", (3, 4), fps=0.5)
    for episode, length in enumerate((3, 4)):
        rows = table(episode, length, 0)
        rows = rows.set_column(rows.schema.names.index("timestamp"), "timestamp", [np.arange(length) * 2.0])
        pq.write_table(rows, source / f"data/chunk-000/episode_{episode:06d}.parquet")
    log, _ = import_log(source, "lerobot", tmp_path, cameras="none")
    check_episodes(log, "action", [3, 4], gap_ns=4_000_000_000, tail_ns=2_000_000_000)


def test_the_reward_of_a_row_comes_with_the_next_tick(tmp_path: Path) -> None:
    log, _ = import_log(write_v2(tmp_path / "set", (5, 9)), "lerobot", tmp_path, cameras="none")
    rewards = [np.array(table(e, n, 0)["next.reward"].to_pylist(), np.float32) for e, n in ((0, 5), (1, 9))]
    expected = np.concatenate([[0, *values[:-1]] for values in rewards])
    states = np.concatenate([np.array(table(e, n, 0)["observation.state"].to_pylist()) for e, n in ((0, 5), (1, 9))])
    ticks = [tick for (tick,) in LogTicks(log, 20.0) if tick.fresh["observation.state"].any()]
    np.testing.assert_array_equal([tick.rows["observation.state"][0, 0] for tick in ticks], states.astype(np.float32))
    np.testing.assert_array_equal([tick.reward[0] for tick in ticks], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": [7]}, "no rows of episode 7; episodes with rows: 0-2"),
        ({"episodes": "a"}, "option episodes is 'a'"),
        ({"episodes": [-1]}, "expected whole numbers"),
        ({"cameras": ["observation.images.frnt"]}, f"did you mean '{CAMERA}'"),
        ({"image_size": "48"}, "expected height and width such as [96, 128]"),
        ({"image_size": [48, 100_000]}, "expected height and width"),
        ({"roles": {"acton": "other"}}, "did you mean 'action'"),
        ({"camera": "none"}, "did you mean 'cameras'"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(LogError, match=re.escape(message)):
        read_schema(write_v2(tmp_path / "set"), "lerobot", **options)


def test_recognises_only_lerobot(tmp_path: Path) -> None:
    assert LeRobotImporter.recognises(write_v2(tmp_path / "set", (3,)))
    assert not LeRobotImporter.recognises(tmp_path)
