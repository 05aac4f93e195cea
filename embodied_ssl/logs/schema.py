"""What a log holds: streams with their own rates, rows with times, episodes as spans. Importing this loads no zarr."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.spec import SensorSpec

ROLES = ("sensor", "action", "reward", "privileged", "text", "other")
"""``sensor`` and ``action`` are learned from; ``privileged`` is only ever a probe target; ``text`` is padded UTF-8."""

INDEX_COLUMNS = ("t_ns", "t_recv_ns", "seq", "lane", "tick")
"""The int64 columns beside the data of every row."""

END_KINDS = ("terminated", "truncated", "terminated+truncated", "unknown", "open")

MAX_ROW_BYTES = 256 << 20
"""Largest row that is believed; a declared size beyond it is refused before any memory is taken."""

MAX_AXES = 16
MAX_NAME_BYTES = 200
"""Of a name as a folder name, in which a letter that is not plain takes three bytes or more."""


@dataclass(frozen=True)
class LogStream:
    """One stream of a log.

    Attributes:
        sensor: name, modality, shape of one row, native dtype, nominal rate, unit and bounds.
        role: what may be done with it, one of `ROLES`.
    """

    sensor: SensorSpec
    role: str = "sensor"

    def __post_init__(self) -> None:
        """Check what a file could declare wrongly."""
        if self.role not in ROLES:
            raise LogError(f"stream {self.name!r}: unknown role {self.role!r}; {nearest(self.role, ROLES)}")
        _check_name(self.name)
        try:
            kind = np.dtype(self.sensor.dtype)
        except TypeError:
            raise LogError(f"stream {self.name!r}: {self.sensor.dtype!r} is no numeric type") from None
        if kind.kind not in "biuf" or kind.name != self.sensor.dtype or kind.itemsize > 8:
            raise LogError(
                f"stream {self.name!r}: dtype is {self.sensor.dtype!r}, expected a plain number such as float32"
            )
        if len(self.sensor.shape) > MAX_AXES or self.row_bytes > MAX_ROW_BYTES:
            raise LogError(
                f"stream {self.name!r}: a row of {len(self.sensor.shape)} axes has {self.row_bytes:,} bytes, "
                f"expected at most {MAX_AXES} axes and {MAX_ROW_BYTES:,} bytes"
            )

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self.sensor.name

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of data."""
        return self.sensor.size * np.dtype(self.sensor.dtype).itemsize

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able description; infinities become ``None``."""
        fields = dataclasses.asdict(self.sensor)
        fields |= {k: fields[k] if math.isfinite(fields[k]) else None for k in ("low", "high")}
        return {"sensor": fields, "role": self.role}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> LogStream:
        """Rebuild a stream from `to_json`.

        Raises:
            LogError: a field is missing or of the wrong kind.
        """
        try:
            fields = dict(record["sensor"])
            fields["shape"] = tuple(int(size) for size in fields["shape"])
            fields["low"] = -math.inf if fields["low"] is None else float(fields["low"])
            fields["high"] = math.inf if fields["high"] is None else float(fields["high"])
            return cls(SensorSpec(**fields), str(record["role"]))
        except (KeyError, TypeError, ValueError) as error:
            raise LogError(f"a stream's description is damaged ({error!r}): {str(record)[:120]}") from None


def _check_name(name: str) -> None:
    """Refuse a name that cannot become the name of a folder."""
    try:
        size = len(quote(name, safe="").replace(".", "%2E"))
    except UnicodeEncodeError:
        size = MAX_NAME_BYTES + 1
    if not name or "\0" in name or size > MAX_NAME_BYTES:
        raise LogError(
            f"stream name {name[:40]!r} is empty, too long or no text; expected 1 to {MAX_NAME_BYTES} plain letters"
        )


@dataclass(frozen=True)
class Episode:
    """A span of time of one lane.

    Attributes:
        lane: whose.
        start_ns: time of its first observation.
        end_ns: time of its last one; None while it is open, or for good when the recording was killed in it.
        end_kind: one of `END_KINDS`.
        start_tick: per-lane number of its first tick; -1 in recordings of packets.
        end_tick: per-lane number of its last tick; -1 when open or in recordings of packets.
        facts: JSON: what the source says of it, such as the task or the file.
    """

    lane: int
    start_ns: int
    end_ns: int | None = None
    end_kind: str = "open"
    start_tick: int = -1
    end_tick: int = -1
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the kind of end."""
        if self.end_kind not in END_KINDS:
            raise LogError(f"unknown kind of end {self.end_kind!r}; {nearest(self.end_kind, END_KINDS)}")


@dataclass(frozen=True)
class LogRows:
    """Rows of one stream.

    Attributes:
        data: ``(n, *shape)`` in the stream's dtype.
        index: ``(n, 5)`` int64, columns as in `INDEX_COLUMNS`.
    """

    data: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.data)

    @property
    def t_ns(self) -> np.ndarray:
        """Capture times ``(n,)``."""
        return self.index[:, 0]

    @property
    def t_recv_ns(self) -> np.ndarray:
        """Arrival times ``(n,)``."""
        return self.index[:, 1]

    @property
    def seq(self) -> np.ndarray:
        """The source's own numbers ``(n,)``; -1: none."""
        return self.index[:, 2]

    @property
    def lane(self) -> np.ndarray:
        """Lanes ``(n,)``."""
        return self.index[:, 3]

    @property
    def tick(self) -> np.ndarray:
        """Per-lane tick numbers ``(n,)``; -1 for packets."""
        return self.index[:, 4]
