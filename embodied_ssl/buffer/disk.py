"""A buffer on disk that is opened again: raw files, the host tables, and a manifest that is written last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from embodied_ssl.buffer import memory
from embodied_ssl.buffer.placement import MANIFEST, Placement
from embodied_ssl.buffer.segments import file_hash, load_tables, sync_file, tables_state
from embodied_ssl.buffer.slot_ring import SlotRing
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError, EmbodiedSSLError
from embodied_ssl.spec import StreamSpec

if TYPE_CHECKING:
    from embodied_ssl.buffer.stream_buffer import StreamBuffer

FORMAT = "embodied_ssl.buffer.2"
TABLES = "tables.safetensors"
_CHUNK = 1 << 22
"""Bytes of a file that are checked at a time."""


def persist(buffer: StreamBuffer, key: str) -> None:
    """Write everything out, then the manifest, aside and renamed.

    Raises:
        BufferFullError: the storage is not ``disk``, or the disk refuses.
    """
    folder = buffer.placement.folder
    if buffer.placement.kind != "disk" or folder is None:
        raise BufferFullError(f"the buffer's storage is {buffer.placement.kind!r}; only one on disk can be persisted")
    try:
        for name in buffer.rings:
            sync_file(folder / f"{name}.bin")
        save_file(tables_state(buffer), folder / TABLES)
        sync_file(folder / TABLES)
        aside = folder / f".{MANIFEST}.tmp"
        aside.write_text(json.dumps(_manifest(buffer, folder, key), indent=1))
        sync_file(aside)
        aside.replace(folder / MANIFEST)
        sync_file(folder)
    except (OSError, SafetensorError) as error:
        raise BufferFullError(f"cannot persist the buffer in {folder}: {error}") from error


def _manifest(buffer: StreamBuffer, folder: Path, key: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "key": key,
        "spec": buffer.spec.to_json(),
        "num_lanes": buffer.num_lanes,
        "capacity_ticks": buffer.capacity,
        "guard_ticks": buffer.guard_ticks,
        "shapes": [[shape.context, shape.horizon] for shape in buffer.shapes],
        "min_rows": buffer.min_rows,
        "overflow_rows": buffer.num_overflow_rows,
        "tables_sha256": file_hash(folder / TABLES),
        "files": {
            name: [ring.shape.num_bytes, file_crc(folder / f"{name}.bin")] for name, ring in buffer.rings.items()
        },
    }


def file_crc(path: Path) -> int:
    """Return the CRC-32C of a file, which is read once from its beginning to its end."""
    crc = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            crc = google_crc32c.extend(crc, chunk)
    return crc


def is_whole(folder: Path | str, key: str) -> bool:
    """Whether ``folder`` holds a persisted buffer of ``key``; the rest `reopen` checks."""
    try:
        return json.loads((Path(folder) / MANIFEST).read_text()).get("key") == key
    except (OSError, ValueError, AttributeError):
        return False


def reopen(kind: type[StreamBuffer], folder: Path, key: str, device: torch.device) -> StreamBuffer:
    """Return the buffer persisted in ``folder``; its files are mapped copy-on-write and never change.

    All of them are read once to check them, so the first windows find them in the page cache, as far as it goes.

    Raises:
        BufferFullError: the manifest is missing or damaged, of another key, or names files that are not as it says.
    """
    manifest = _read(folder, key)
    try:
        spec = StreamSpec.from_json(manifest["spec"])
        shapes = tuple(WindowShape(int(context), int(horizon)) for context, horizon in manifest["shapes"])
        lanes, ticks, guard = (int(manifest[name]) for name in ("num_lanes", "capacity_ticks", "guard_ticks"))
        min_rows = {str(name): int(rows) for name, rows in manifest["min_rows"].items()}
        overflow = {sensor.name: int(manifest["overflow_rows"][sensor.name]) for sensor in spec.sensors}
        rings = kind.ring_shapes(spec, lanes, ticks, shapes, min_rows)
        recorded = {name: tuple(manifest["files"][name]) for name in rings}
        digest = str(manifest["tables_sha256"])
    except (KeyError, TypeError, ValueError, AttributeError, EmbodiedSSLError) as error:
        raise BufferFullError(f"{folder / MANIFEST} is damaged ({error}); delete the folder") from error
    for name, ring in rings.items():
        _check_file(folder / f"{name}.bin", ring.num_bytes, recorded[name])
    tables = folder / TABLES
    if not tables.is_file() or file_hash(tables) != digest:
        raise BufferFullError(f"{tables} is missing or damaged; delete the folder")
    buffer = kind.__new__(kind)
    placement = Placement("host", torch.device("cpu"), folder)
    buffer.adopt(spec, lanes, ticks, shapes, device, guard, placement, min_rows)
    buffer.bind({n: SlotRing(r, memory.mapped(folder / f"{n}.bin", r.stored, r.dtype)) for n, r in rings.items()})
    load_tables(buffer, load_file(tables))
    for name, ring in buffer.rows.items():
        ring.num_overflow = overflow[name]
    return buffer


def _read(folder: Path, key: str) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BufferFullError(f"{folder} holds no whole buffer ({path.name}: {error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BufferFullError(f"{path} is not of format {FORMAT}; delete the folder")
    if manifest.get("key") != key:
        raise BufferFullError(f"{path} has key {manifest.get('key')!r}, expected {key!r}: it was made from other data")
    return manifest


def _check_file(path: Path, needed: int, recorded: tuple[Any, ...]) -> None:
    size = path.stat().st_size if path.is_file() and not path.is_symlink() else -1
    if size != needed:
        found = "is missing" if size < 0 else f"has {size} bytes"
        raise BufferFullError(f"{path} {found}, expected {needed}; delete the folder")
    try:
        crc = file_crc(path)
    except OSError as error:
        raise BufferFullError(f"{path} cannot be read ({error.strerror}); delete the folder") from error
    if recorded != (needed, crc):
        raise BufferFullError(f"{path} is damaged: its CRC-32C is not the one recorded; delete the folder")


def discard(folder: Path) -> None:
    """Delete the files of a buffer in ``folder``, and nothing else."""
    for path in [*folder.glob("*.bin"), folder / TABLES, folder / MANIFEST, folder / f".{MANIFEST}.tmp"]:
        path.unlink(missing_ok=True)
