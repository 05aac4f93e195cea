"""What the tests of faulty LeRobot datasets share: the parts that are broken, and how a failure must look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from imported import import_log
from lerobot_samples import CAMERA, FEATURES

from embodied_ssl.errors import LogError

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
VIDEO_1 = f"videos/chunk-000/{CAMERA}/episode_000001.mp4"
TABLE_1 = "data/chunk-000/episode_000001.parquet"
LOW = {name: feature for name, feature in FEATURES.items() if name != CAMERA}


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def fails(source: Path, tmp_path: Path, message: str, **options) -> None:
    with pytest.raises(LogError, match=message):
        import_log(source, "lerobot", tmp_path, **options)
    assert not list(tmp_path.glob("*.zarr"))
