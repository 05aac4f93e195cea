"""What the ``meta`` folder of a LeRobot dataset says, v2.0, v2.1 and v3.0 alike.

Facts of the format (LeRobot's published dataset documentation): ``meta/info.json`` holds ``codebase_version``,
``fps``, ``features`` and the templates ``data_path`` and ``video_path``. v2.x lists episodes and tasks as JSON lines,
one parquet and one video an episode. v3.0 lists them in ``meta/episodes/*/*.parquet`` and ``meta/tasks.parquet``;
files hold many episodes, and an episode's video is the span ``videos/{key}/from_timestamp`` to ``to_timestamp`` of the
file that ``videos/{key}/chunk_index`` and ``file_index`` name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.safe_paths import inside, parse_json, read_text

BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""Columns that become times, sequence numbers and facts of episodes rather than streams."""
_FIELD = re.compile(r"\{(\w+)(?::0?(\d+)d)?\}")


@dataclass(frozen=True)
class VideoSpan:
    """Where the frames of one camera of one episode are.

    Attributes:
        path: the file.
        from_s: start in the file in seconds.
        to_s: end in seconds, None: the whole file.
    """

    path: Path
    from_s: float = 0.0
    to_s: float | None = None


@dataclass(frozen=True)
class EpisodeMeta:
    """What is said of one episode.

    Attributes:
        tasks: the texts of its tasks.
        length: rows, None when not said.
        videos: by camera, the numbers that fill the template of its path and, in v3.0, the span.
    """

    tasks: tuple[str, ...] = ()
    length: int | None = None
    videos: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The metadata of a dataset.

    Attributes:
        root: its folder.
        info: ``info.json``.
        fps: rows a second.
        features: name to ``{"dtype", "shape", ...}``.
        episodes: by episode index; may name episodes that do not exist.
        tasks: text by task index.
        many: whether files hold many episodes (v3.0).
        notes: oddities found.
    """

    root: Path
    info: Mapping[str, Any]
    fps: float
    features: Mapping[str, Mapping[str, Any]]
    episodes: Mapping[int, EpisodeMeta]
    tasks: Mapping[int, str]
    many: bool
    notes: list[str] = field(default_factory=list)

    @property
    def cameras(self) -> list[str]:
        """Names of the features that are pictures, in videos or in the rows."""
        return [name for name, feature in self.features.items() if feature.get("dtype") in ("video", "image")]

    def video(self, episode: int, camera: str) -> VideoSpan:
        """Say where an episode's frames are.

        Raises:
            LogError: the metadata does not say, or the file is missing or outside the dataset.
        """
        where = self._numbers(episode, camera)
        template = self.info.get("video_path")
        if not isinstance(template, str):
            raise LogError(f"{self.root / 'meta/info.json'}: has no video_path, but {camera} is a video")
        path = self._found(fill_template(template, {**where, "video_key": camera}), episode)
        if not self.many:
            return VideoSpan(path)
        return VideoSpan(path, float(where["from_timestamp"]), float(where["to_timestamp"]))

    def _numbers(self, episode: int, camera: str) -> dict[str, Any]:
        if not self.many:
            size = self.info.get("chunks_size") or 1000
            if type(size) is not int or size < 1:
                raise LogError(f"{self.root / 'meta/info.json'}: chunks_size is {size!r}, expected a whole number")
            return {"episode_index": episode, "episode_chunk": episode // size}
        known = self.episodes.get(episode, EpisodeMeta()).videos.get(camera, {})
        missing = {"chunk_index", "file_index", "from_timestamp", "to_timestamp"} - set(known)
        if missing:
            raise LogError(
                f"{self.root / 'meta/episodes'}: does not say where {camera} of episode {episode} is "
                f"({', '.join(sorted(missing))} missing); leave it out with option episodes or cameras"
            )
        return dict(known)

    def _found(self, relative: str, episode: int) -> Path:
        tries = [relative]
        if relative.startswith(("videos/", "video/")):
            first, rest = relative.split("/", 1)
            tries.append(("video/" if first == "videos" else "videos/") + rest)
        for number, name in enumerate(tries):
            path = inside(self.root, self.root / name)
            if path.is_file():
                note = f"videos are in {name.split('/')[0]}/, where info.json says {relative.split('/')[0]}/"
                if number and note not in self.notes:
                    self.notes.append(note)
                return path
        raise LogError(f"{self.root / relative}: the video of episode {episode} is missing")


def fill_template(template: str, values: Mapping[str, Any]) -> str:
    """Fill ``{name}`` and ``{name:03d}``, and nothing else that Python's own formatting would allow.

    Raises:
        LogError: the template names what is not known.
    """

    def one(match: re.Match[str]) -> str:
        name, width = match.groups()
        if name not in values:
            raise LogError(f"info.json: path template {template!r} names {name!r}; known are {', '.join(values)}")
        return f"{int(values[name]):0{min(int(width), 12)}d}" if width else str(values[name])

    return _FIELD.sub(one, template)


def read_info(root: Path) -> dict[str, Any]:
    """Read ``meta/info.json`` and check what everything rests on.

    Raises:
        LogError: it is damaged, of another version, or has no rate or features.
    """
    path = root / "meta" / "info.json"
    info = parse_json(read_text(root, path), str(path))
    version = str(info.get("codebase_version")) if isinstance(info, dict) else "nothing"
    if not version.startswith(("v2", "v3")):
        raise LogError(
            f"{path}: codebase_version is {version}, expected v2.0, v2.1 or v3.0; convert it with lerobot first"
        )
    fps = info.get("fps")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps <= 1e6:
        raise LogError(f"{path}: fps is {fps!r}, expected a positive number")
    features = info.get("features")
    if not isinstance(features, dict) or not all(isinstance(feature, dict) for feature in features.values()):
        raise LogError(f"{path}: features is no table of columns")
    return info


def declared_shape(feature: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    """Return the shape that ``info.json`` declares for a feature, None when it declares none.

    Raises:
        LogError: it is no list of positive numbers.
    """
    shape = feature.get("shape")
    if shape is None:
        return None
    if isinstance(shape, list) and all(isinstance(size, int) and size > 0 for size in shape):
        return tuple(shape)
    raise LogError(f"info.json: shape of {name} is {shape!r}, expected positive whole numbers")
