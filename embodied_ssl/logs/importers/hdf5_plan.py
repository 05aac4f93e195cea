"""What is taken from an HDF5 file: episodes, and in each the datasets that become rows of streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.array_rows import holds_bytes, is_picture, stream_of
from embodied_ssl.logs.importers.hdf5_file import check_stored, dataset_at, read_blocks, row_shape, where
from embodied_ssl.logs.schema import LogStream


@dataclass(frozen=True)
class DatasetPlan:
    """One dataset as rows of one stream.

    Attributes:
        stream: name of the stream.
        dataset: path in the file.
        role: role of the stream.
        rate_hz: rows a second.
        time_axis: which axis is time.
        delay: ticks from the start of the episode to row 0.
        unit: physical unit, for people.
    """

    stream: str
    dataset: str
    role: str
    rate_hz: float
    time_axis: int = 0
    delay: int = 0
    unit: str = ""


@dataclass(frozen=True)
class EpisodePlan:
    """One episode.

    Attributes:
        name: of its group.
        datasets: what is taken.
        facts: JSON, kept with the episode.
        end_kind: how it ended, ``unknown`` when the file does not say.
    """

    name: str
    datasets: tuple[DatasetPlan, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    end_kind: str = "unknown"


@dataclass(frozen=True)
class Plan:
    """Everything that is taken from a file.

    Attributes:
        episodes: in order.
        facts: JSON, of the whole file.
        notes: what was left out or is odd.
    """

    episodes: list[EpisodePlan]
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def datasets(self) -> Iterator[DatasetPlan]:
        """Yield the datasets of all episodes."""
        for episode in self.episodes:
            yield from episode.datasets


def plan_streams(file: Any, plan: Plan, roles: dict[str, str], notes: list[str]) -> list[LogStream]:
    """Describe the streams of a plan; all episodes of a stream must have the same rows.

    Args:
        file: the open file.
        plan: what is taken.
        roles: roles over those of the plan, by stream.
        notes: gets a line for each cast.

    Raises:
        LogError: rows differ between episodes, data is missing, or sizes are refused.
    """
    first: dict[str, DatasetPlan] = {}
    floats: dict[str, bool] = {}
    for one in plan.datasets():
        dataset, known = dataset_at(file, one.dataset), first.setdefault(one.stream, one)
        check_stored(dataset)
        shape, example = row_shape(dataset, one.time_axis), dataset_at(file, known.dataset)
        expected = row_shape(example, known.time_axis)
        if (shape, dataset.dtype.name) != (expected, example.dtype.name):
            raise LogError(
                f"{where(dataset)}: rows are {dataset.dtype.name} {shape}, "
                f"those of {example.name} {example.dtype.name} {expected}; one stream has one kind of row"
            )
        _stream(file, known, "", roles)  # sizes are checked before anything is read
        if dataset.dtype.kind == "f" and is_picture(shape) and floats.get(one.stream, True):
            floats[one.stream] = all(holds_bytes(block) for block in read_blocks(dataset, one.time_axis))
    notes += [
        f"{name}: floating point pictures "
        + ("of whole numbers from 0 to 255, cast to uint8 after checking every block" if cast else "kept as they are")
        for name, cast in floats.items()
    ]
    return [_stream(file, one, "uint8" if floats.get(name) else "", roles) for name, one in first.items()]


def _stream(file: Any, one: DatasetPlan, dtype: str, roles: dict[str, str]) -> LogStream:
    dataset, role = dataset_at(file, one.dataset), roles.get(one.stream, one.role)
    shape = row_shape(dataset, one.time_axis)
    return stream_of(one.stream, shape, dtype or dataset.dtype.name, one.rate_hz, role, one.unit)
