"""Faults of videos in real LeRobot datasets: each is named, and no frame is ever laid beside another row."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from imported import import_log
from lerobot_faults import TABLE_1, VIDEO_1, fails
from lerobot_samples import CAMERA, FEATURES, FPS, level, table, write_v2, write_v3, write_video

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers import video

pq = pytest.importorskip("pyarrow.parquet")
av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")


def edit_episodes(root: Path, edit) -> None:
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    edit(rows)
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(rows), path)


def test_codec_and_shape_of_the_stream_count(tmp_path: Path) -> None:
    camera = {**FEATURES[CAMERA], "shape": [3, 480, 640], "info": {"video.codec": "h264"}}
    source = write_v2(tmp_path / "set", features={**FEATURES, CAMERA: camera})
    log, report = import_log(source, "lerobot", tmp_path)
    assert log.streams[CAMERA].sensor.shape == (32, 48, 3)
    assert report.notes == [
        f"{CAMERA}: info.json says codec h264, the stream is mpeg4; the stream counts",
        f"{CAMERA}: info.json says [3, 480, 640], the stream is 32 x 48",
    ]


@pytest.mark.parametrize(("declared", "real"), [("videos", "video"), ("video", "videos")])
def test_video_folder_of_another_name(tmp_path: Path, declared: str, real: str) -> None:
    template = declared + "/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    source = write_v2(tmp_path / "set", video_path=template)
    (source / "videos").rename(source / real)
    log, report = import_log(source, "lerobot", tmp_path)
    assert log.num_rows(CAMERA) == 18
    assert report.notes == [f"videos are in {real}/, where info.json says {declared}/"]


def test_more_episodes_counted_than_there_are(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set", (5, 9, 4), total_episodes=12)
    (source / TABLE_1).unlink()
    log, report = import_log(source, "lerobot", tmp_path)
    assert [episode.facts["episode_index"] for episode in log.episodes] == [0, 2]
    found = log.read(CAMERA).data.astype(float).mean((1, 2, 3))
    np.testing.assert_allclose(found, [level(f) for f in [*range(5), *range(14, 18)]], atol=6)
    assert report.notes == ["meta counts 12 episodes, 2 have rows; without rows: 1, 3-11"]


def test_several_episodes_in_one_v2_parquet(tmp_path: Path) -> None:
    import pyarrow as pa

    source = write_v2(tmp_path / "set", (5, 9, 4))
    shutil.rmtree(source / "data")
    (source / "data/chunk-000").mkdir(parents=True)
    rows = pa.concat_tables([table(e, n, 0) for e, n in enumerate((5, 9, 4))])
    pq.write_table(rows, source / "data/chunk-000/episode_000000.parquet", row_group_size=6)
    log, _ = import_log(source, "lerobot", tmp_path)
    np.testing.assert_array_equal(log.read("action").data, np.array(rows["action"].to_pylist()))
    found = log.read(CAMERA).data.astype(float).mean((1, 2, 3))
    np.testing.assert_allclose(found, [level(frame) for frame in range(18)], atol=6)


@pytest.mark.parametrize("num_frames", [8, 10, 0])
def test_video_and_rows_of_different_lengths(tmp_path: Path, num_frames: int) -> None:
    source = write_v2(tmp_path / "set")
    if num_frames:
        write_video(source / VIDEO_1, [100] * num_frames)
        message = rf"episode_000001\.mp4: {CAMERA} of episode 1 has {num_frames} frames, its table .* has 9 rows"
    else:
        (source / VIDEO_1).unlink()
        message = r"episode_000001\.mp4: the video of episode 1 is missing"
    fails(source, tmp_path, message)
    log, _ = import_log(source, "lerobot", tmp_path, episodes=[0, 2])
    assert log.num_rows(CAMERA) == 9


def test_frames_at_other_times_than_their_rows(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set")
    write_video(source / VIDEO_1, [100] * 9, fps=FPS // 2)
    fails(source, tmp_path, r"episode 1, frame 1 is 0\.050 s from its row's time")


def test_v3_span_that_does_not_fit_its_rows(tmp_path: Path) -> None:
    source = write_v3(tmp_path / "set")
    key = f"videos/{CAMERA}"
    edit_episodes(source, lambda rows: rows[2].update({f"{key}/from_timestamp": 13 / FPS}))
    fails(source, tmp_path, "episode 2 has 5 frames, its table file-000.parquet has 4 rows")
    edit_episodes(source, lambda rows: [row.pop(f"{key}/file_index") for row in rows])
    fails(source, tmp_path, r"does not say where .* of episode 0 is \(file_index missing\)")
    log, _ = import_log(source, "lerobot", tmp_path, cameras="none")
    assert len(log.episodes) == 5


def test_v3_video_that_lost_frames_never_borrows_from_the_next_episode(tmp_path: Path) -> None:
    source = write_v3(tmp_path / "set", ((5, 9, 4),))
    write_video(source / f"videos/{CAMERA}/chunk-000/file-000.mp4", [level(f) for f in range(15)])
    fails(source, tmp_path, "episode 2 has 1 frames, its table file-000.parquet has 4 rows")


def test_damaged_video_names_file_episode_and_frame(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set")
    write_video(source / VIDEO_1, [level(f) for f in range(9)], codec="ffv1")
    data = bytearray((source / VIDEO_1).read_bytes())
    at = data.index(b"mdat") + 4
    end = at + (struct.unpack(">I", data[at - 8 : at - 4])[0] - 8)
    data[(at + end) // 2 : end] = b"\xff" * (end - (at + end) // 2)
    (source / VIDEO_1).write_bytes(data)
    fails(source, tmp_path, rf"episode_000001\.mp4: {CAMERA} of episode 1, frame [4-8] .*")


def test_video_that_is_none_or_changes_its_size(tmp_path: Path) -> None:
    source = write_v2(tmp_path / "set")
    (source / VIDEO_1).write_bytes(b"not a video at all" * 100)
    fails(source, tmp_path, r"episode_000001\.mp4: is no readable video")
    write_video(source / VIDEO_1, [100] * 9, size=(48, 64))
    fails(source, tmp_path, r"episode 1, frame 0 cannot be decoded \(it has 48 x 64 pixels, expected 32 x 48\)")


def test_deep_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "gray16le"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32), np.uint16), format="gray16le")))
        container.mux(stream.encode())
    with pytest.raises(LogError, match="gray16le has over 8 bits"):
        video.probe(path)


def test_other_codecs_decode_after_a_seek(tmp_path: Path) -> None:
    for codec, name in (("libx264", "h264"), ("ffv1", "ffv1")):
        source = write_v3(tmp_path / codec, ((5, 9, 4),))
        write_video(source / f"videos/{CAMERA}/chunk-000/file-000.mp4", [level(f) for f in range(18)], codec=codec)
        log, report = import_log(source, "lerobot", tmp_path, episodes=[1, 2])
        found = log.read(CAMERA).data.astype(float).mean((1, 2, 3))
        np.testing.assert_allclose(found, [level(frame) for frame in range(5, 18)], atol=6)
        assert report.notes == [f"{CAMERA}: info.json says codec mpeg4, the stream is {name}; the stream counts"]
