"""Streams of a log as features of a LeRobot dataset: names, shapes, and which streams cannot go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embodied_ssl.logs.schema import LogStream

_PREFIXES = {"sensor": "observation", "privileged": "privileged", "other": "other"}


@dataclass(frozen=True)
class Feature:
    """One column of the dataset, or one camera.

    Attributes:
        name: in the dataset; LeRobot allows no ``/``.
        stream: where it comes from.
        is_camera: whether it is a picture.
    """

    name: str
    stream: LogStream
    is_camera: bool

    def to_json(self, fps: int, video: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the entry of ``info.json``.

        Args:
            fps: of the dataset.
            video: codec and pixel format of videos; None when pictures lie in the table.
        """
        height_width = self.stream.sensor.shape[:2]
        if not self.is_camera:
            size = self.stream.sensor.size
            return {"dtype": self.stream.sensor.dtype, "shape": [size], "names": None, "fps": fps}
        entry = {"shape": [*height_width, 3], "names": ["height", "width", "channels"]}
        if video is None:
            return {"dtype": "image", **entry}
        height, width = height_width
        said = {"video.height": height, "video.width": width, "video.fps": fps, "video.channels": 3}
        return {"dtype": "video", **entry, "info": {**said, **video, "video.is_depth_map": False, "has_audio": False}}


def features_of(streams: Mapping[str, LogStream], notes: list[str]) -> list[Feature]:
    """Return the features that a log's streams become.

    Pictures of 1, 3 or 4 channels become ``observation.images.NAME``; an only action stream becomes ``action``, an only
    reward ``next.reward``; names that begin with ``observation`` or ``action`` already stay.

    Args:
        streams: by name.
        notes: gets what was left out or renamed.
    """
    features: list[Feature] = []
    for stream in streams.values():
        if stream.role == "text":
            notes.append(f"{stream.name}: text has no place in the table: left out")
            continue
        alone = sum(other.role == stream.role for other in streams.values()) == 1
        name = _free(_name(stream, alone), {feature.name for feature in features})
        if name != stream.name:
            notes.append(f"{stream.name}: is called {name}")
        features.append(Feature(name, stream, _is_camera(stream)))
    return features


def _is_camera(stream: LogStream) -> bool:
    return stream.sensor.is_image and stream.sensor.shape[2] in (1, 3, 4)


def _name(stream: LogStream, alone: bool) -> str:
    plain = stream.name.strip("/").replace("/", ".") or "stream"
    if plain.split(".")[0] in ("observation", "action", "next"):
        return plain
    if _is_camera(stream):
        return f"observation.images.{plain}"
    if stream.role == "action":
        return "action" if alone else f"action.{plain}"
    if stream.role == "reward":
        return "next.reward" if alone else f"next.{plain}"
    return f"{_PREFIXES[stream.role]}.{plain}"


def _free(name: str, taken: set[str]) -> str:
    """Return ``name``, with a number if another stream has it already."""
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
