"""The buffer on disk: append-only segments, each written once, so that a checkpoint only names them.

A segment holds the ticks and rows appended since the last one (or what the ring still holds of them), and the row that
each sensor held when it began, for its ticks may show that. So it can be read without those before it, however long ago
a slow sensor sent. Restoring writes every tick and row back to the slot that its number names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from embodied_ssl.errors import CheckpointError

if TYPE_CHECKING:
    from embodied_ssl.buffer.stream_buffer import StreamBuffer

FORMAT = 2
"""Of segments and tables, kept in a checkpoint's part ``buffer``; checkpoints that name none are older than 2."""


def check_format(facts: Mapping[str, Any], checkpoint: Path) -> None:
    """Refuse a checkpoint whose buffer another version wrote.

    Raises:
        CheckpointError: naming both formats.
    """
    found = facts.get("format", 1)
    if found != FORMAT:
        raise CheckpointError(
            f"the buffer of {checkpoint} has format {found!r}, this version reads {FORMAT}: the run cannot be resumed; "
            "a new one can begin with its encoder (--encoder RUN)"
        )


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Force a file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SegmentStore:
    """The segments of one buffer in one folder; the manifest lists those that the ring still needs."""

    def __init__(self, buffer: StreamBuffer, folder: Path) -> None:
        """Bind; nothing is written yet."""
        self.buffer, self.folder = buffer, folder
        self.manifest: list[dict[str, Any]] = []
        self._ticks = np.zeros(buffer.num_lanes, np.int64)
        self._rows = {sensor.name: np.zeros(buffer.num_lanes, np.int64) for sensor in buffer.spec.sensors}

    def write(self) -> list[dict[str, Any]]:
        """Write what has been appended since the last call; return the manifest of the present contents.

        The caller holds writers off. A segment is written aside, synced and renamed.

        Raises:
            CheckpointError: the disk refuses; nothing half-written is left.
        """
        count = self.buffer.table.count.copy()
        if (count > self._ticks).any():
            name = f"{int(count.sum()):012d}.safetensors"
            try:
                digest = self._write_aside(name)
            except (OSError, SafetensorError) as error:
                raise CheckpointError(f"cannot write {self.folder / name}: {error}") from error
            self.manifest.append({"file": name, "sha256": digest, "last_tick": count.tolist()})
            self._mark()
        self.manifest = [entry for entry in self.manifest if self._needed(entry)]
        return list(self.manifest)

    def _write_aside(self, name: str) -> str:
        """Write the segment, give it its name when it is whole, and return its hash."""
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f".{name}.tmp"
        try:
            held = {name: np.maximum(rows - 1, 0) for name, rows in self._rows.items()}
            save_file(export_since(self.buffer, self._ticks, held), aside)
            sync_file(aside)
            aside.replace(self.folder / name)
        finally:
            aside.unlink(missing_ok=True)
        sync_file(self.folder)
        return file_hash(self.folder / name)

    def _mark(self) -> None:
        self._ticks = self.buffer.table.count.copy()
        self._rows = {name: rows.copy() for name, rows in self.buffer.row_count.items()}

    def _needed(self, entry: dict[str, Any]) -> bool:
        oldest = self.buffer.table.count - self.buffer.capacity - self.buffer.capacity // 4
        return bool((np.asarray(entry["last_tick"]) > oldest).any())

    def restore(self, manifest: Sequence[dict[str, Any]]) -> None:
        """Fill the buffer from the segments of ``manifest``, oldest first, after `load_tables` has set its counters.

        Raises:
            CheckpointError: a segment is missing or its hash is not the one recorded.
        """
        self.verify(manifest)
        for entry in manifest:
            import_rows(self.buffer, load_file(self.folder / entry["file"]))
        self.manifest = list(manifest)
        self._mark()

    def verify(self, manifest: Sequence[dict[str, Any]]) -> None:
        """Check that every segment of ``manifest`` is there, with the hash recorded.

        Raises:
            CheckpointError: naming the first one that is not.
        """
        for entry in manifest:
            if Path(entry["file"]).name != entry["file"]:
                raise CheckpointError(f"{entry['file']!r} is no plain file name; use another checkpoint")
            path = self.folder / entry["file"]
            if not path.is_file():
                raise CheckpointError(f"{path} is missing; the checkpoint's buffer cannot be restored")
            if file_hash(path) != entry["sha256"]:
                raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one in the checkpoint")

    def drop_unlisted(self, kept: Sequence[str]) -> None:
        """Delete segment files that no kept checkpoint names."""
        for path in self.folder.glob("*.safetensors"):
            if path.name not in kept:
                path.unlink()
        for path in self.folder.glob(".*.tmp"):  # of a process that was killed while writing
            path.unlink()


def export_since(buffer: StreamBuffer, ticks: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Return all that is stored and was appended after per-lane counts ``ticks (N,)`` and ``rows[name] (N,)``.

    The form is flat: per stored tick its lane and number, and per stored row its lane and number.
    """
    spans = {"ticks": (ticks, buffer.table.count, {"ticks": buffer.ticks.ring})}
    for name, ring in buffer.rows.items():
        spans[name] = (rows[name], ring.count, {"values": ring.values, "meta": ring.meta})
    out: dict[str, Tensor] = {}
    for name, (since, count, rings) in spans.items():
        capacity = next(iter(rings.values())).shape.slots
        lanes, numbers = (torch.from_numpy(part) for part in _spans(np.maximum(since, count - capacity), count))
        out |= {f"{name}/lane": lanes, f"{name}/number": numbers}
        at = lanes.to(buffer.storage_device), (numbers % capacity).to(buffer.storage_device)
        out |= {f"{name}/{part}": ring.take(*at)[:, 0].cpu() for part, ring in rings.items()}
    return out


def import_rows(buffer: StreamBuffer, stored: dict[str, Tensor]) -> None:
    """Write what `export_since` returned back to its slots; counters and tables are restored apart from it."""
    rings = {"ticks/ticks": buffer.ticks.ring}
    for name, ring in buffer.rows.items():
        rings |= {f"{name}/values": ring.values, f"{name}/meta": ring.meta}
    for name, ring in rings.items():
        owner = name.rpartition("/")[0]
        lanes, numbers = (stored[f"{owner}/{part}"].numpy() for part in ("lane", "number"))
        ring.write(lanes, numbers % ring.shape.slots, stored[name])


def _spans(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lane and number of every entry of ``[low[n], high[n])``, lane by lane."""
    lanes = np.repeat(np.arange(len(low)), high - low)
    numbers = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    return lanes, numbers


def tables_state(buffer: StreamBuffer) -> dict[str, Tensor]:
    """Return the host tables of the buffer (counters, episodes) as tensors."""
    arrays = {f"episodes.{name}": array for name, array in buffer.table.state().items()}
    arrays |= {f"row_count.{name}": array for name, array in buffer.row_count.items()}
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def load_tables(buffer: StreamBuffer, tensors: dict[str, Tensor]) -> None:
    """Restore `tables_state`."""

    def part(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v.numpy() for k, v in tensors.items() if k.startswith(prefix)}

    buffer.table.load_state(part("episodes."))
    buffer.ticks.done.sync()
    buffer.ticks.begun.set(slice(None), buffer.table.count)
    for name, count in part("row_count.").items():
        buffer.rows[name].restore(count)
