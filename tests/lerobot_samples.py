"""Small LeRobot datasets after the published format, v2.1 and v3.0, with videos whose frames tell their number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FPS = 20
CAMERA = "observation.images.front"
SIZE = (32, 48)
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": [3], "names": ["a", "b", "c"]},
    "observation.force": {"dtype": "float64", "shape": [1], "names": None},
    "action": {"dtype": "float32", "shape": [2], "names": None},
    "next.reward": {"dtype": "float32", "shape": [1], "names": None},
    "next.done": {"dtype": "bool", "shape": [1], "names": None},
    CAMERA: {
        "dtype": "video",
        "shape": [*SIZE, 3],
        "names": ["height", "width", "channels"],
        "info": {"video.codec": "mpeg4"},
    },
}


def level(frame: int) -> int:
    """Grey level that frame ``frame`` of a video is filled with; neighbours differ by 31."""
    return 16 + 31 * frame % 220


def write_video(path: Path, levels: Sequence[int], fps: int = FPS, size: tuple[int, int] = SIZE, codec="mpeg4") -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps, options={"g": "4"})
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for value in levels:
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), value, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def table(episode: int, length: int, start: int, task: int = 0, fixed: bool = True) -> Any:
    """Rows of one episode; ``fixed`` chooses fixed_size_list over list."""
    import pyarrow as pa

    rng = np.random.default_rng(episode)
    frame = np.arange(length)

    def lists(size: int) -> Any:
        values = pa.array(rng.standard_normal(length * size).astype(np.float32))
        if fixed:
            return pa.FixedSizeListArray.from_arrays(values, size)
        return pa.ListArray.from_arrays(pa.array(np.arange(length + 1, dtype=np.int32) * size), values)

    return pa.table(
        {
            "observation.state": lists(3),
            "observation.force": pa.array(rng.standard_normal(length)),
            "action": lists(2),
            "next.reward": pa.array(rng.standard_normal(length).astype(np.float32)),
            "next.done": pa.array(frame == length - 1),
            "timestamp": pa.array((frame / FPS).astype(np.float32)),
            "frame_index": pa.array(frame),
            "episode_index": pa.array(np.full(length, episode)),
            "index": pa.array(start + frame),
            "task_index": pa.array(np.full(length, task)),
        }
    )


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_info(root: Path, version: str, lengths: Sequence[int], **changes: Any) -> None:
    many = version.startswith("v3")
    data = "file-{file_index:03d}" if many else "episode_{episode_index:06d}"
    chunk = "chunk-{chunk_index:03d}" if many else "chunk-{episode_chunk:03d}"
    info = {
        "codebase_version": version,
        "robot_type": "so101",
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "chunks_size": 1000,
        "fps": FPS,
        "data_path": f"data/{chunk}/{data}.parquet",
        "video_path": f"videos/{{video_key}}/{chunk}/{data}.mp4"
        if many
        else f"videos/{chunk}/{{video_key}}/{data}.mp4",
        "features": FEATURES,
    }
    write_json(root / "meta" / "info.json", {**info, **changes})


def write_v2(root: Path, lengths: Sequence[int] = (5, 9, 4), fixed: bool = True, **changes: Any) -> Path:
    """Write a v2.1 dataset: a parquet file and a video an episode."""
    import pyarrow.parquet as pq

    write_info(root, "v2.1", lengths, **changes)
    (root / "meta" / "tasks.jsonl").write_text('{"task_index": 0, "task": "push"}\n')
    lines = [json.dumps({"episode_index": e, "tasks": ["push"], "length": n}) for e, n in enumerate(lengths)]
    (root / "meta" / "episodes.jsonl").write_text("\n".join(lines) + "\n")
    for episode, length in enumerate(lengths):
        path = root / f"data/chunk-000/episode_{episode:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table(episode, length, sum(lengths[:episode]), fixed=fixed), path)
        start = sum(lengths[:episode])
        frames = [level(start + frame) for frame in range(length)]
        write_video(root / f"videos/chunk-000/{CAMERA}/episode_{episode:06d}.mp4", frames)
    return root


def write_v3(root: Path, files: Sequence[Sequence[int]] = ((5, 9, 4), (6, 7)), **changes: Any) -> Path:
    """Write a v3.0 dataset: each entry of ``files`` is a parquet file and a video with so many rows an episode."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lengths = [length for file in files for length in file]
    write_info(root, "v3.0", lengths, **changes)
    rows, start = [], 0
    for number, file in enumerate(files):
        path = root / f"data/chunk-000/file-{number:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        tables, offset = [], 0
        for length in file:
            tables.append(table(len(rows), length, start, task=len(rows) % 2))
            where = {"chunk_index": 0, "file_index": number}
            span = {"from_timestamp": offset / FPS, "to_timestamp": (offset + length) / FPS}
            rows.append(
                {
                    "episode_index": len(rows),
                    "tasks": [("push", "pull")[len(rows) % 2]],
                    "length": length,
                    "dataset_from_index": start,
                    "dataset_to_index": start + length,
                    **{f"data/{key}": value for key, value in where.items()},
                    **{f"videos/{CAMERA}/{key}": value for key, value in {**where, **span}.items()},
                    "stats/action/mean": [0.0, 0.0],
                }
            )
            start, offset = start + length, offset + length
        pq.write_table(pa.concat_tables(tables), path, row_group_size=7)
        frames = [level(start - offset + frame) for frame in range(offset)]
        write_video(root / f"videos/{CAMERA}/chunk-000/file-{number:03d}.mp4", frames)
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    tasks = pa.table({"task_index": [0, 1], "__index_level_0__": ["push", "pull"]})
    pq.write_table(tasks, root / "meta/tasks.parquet")
    return root
