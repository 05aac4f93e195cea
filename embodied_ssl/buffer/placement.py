"""Where the rows of a buffer live, decided once and checked before memory is taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from embodied_ssl.buffer import memory
from embodied_ssl.buffer.slot_ring import RingShape
from embodied_ssl.errors import BufferFullError

Storage = Literal["auto", "device", "host", "disk"]
MANIFEST = "buffer.json"
"""Says that the files beside it are whole; not there while they are written."""


@dataclass
class Placement:
    """A kind of storage, where it is, and what it allocates.

    Attributes:
        kind: ``device``, ``host`` or ``disk``.
        device: of the tensors: the learner's, or the CPU.
        folder: of the files, for ``disk``.
    """

    kind: Storage
    device: torch.device
    folder: Path | None = None

    @classmethod
    def choose(cls, storage: Storage, num_bytes: int, device: torch.device, folder: Path | str | None) -> Placement:
        """Decide for a buffer of ``num_bytes`` whose windows are delivered on ``device``.

        Raises:
            BufferFullError: it does not fit there (both sizes named), or the folder is missing or not empty.
        """
        if storage not in ("auto", "device", "host", "disk"):
            raise BufferFullError(f"storage is {storage!r}, expected auto, device, host or disk")
        if storage == "disk":
            return cls._on_disk(num_bytes, folder)
        if storage == "auto":
            roomy = device.type != "cpu" and memory.device_bytes(device) >= memory.DEVICE_SHARE * num_bytes
            storage = "device" if roomy else "host"
        remedy = "lower buffer.capacity_ticks, or keep it on disk (buffer.storage, buffer.folder)"
        if storage == "device":
            memory.require(num_bytes, memory.device_bytes(device), f"on {device}", remedy)
            return cls("device", device)
        memory.require(num_bytes, memory.host_bytes(), "of memory", remedy)
        return cls("host", torch.device("cpu"))

    @classmethod
    def _on_disk(cls, num_bytes: int, folder: Path | str | None) -> Placement:
        if folder is None:
            raise BufferFullError("storage is 'disk', which needs a folder to be named")
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            taken = next(folder.iterdir(), None)
        except OSError as error:
            raise BufferFullError(f"cannot keep a buffer in {folder}: {error.strerror}") from error
        if taken is not None:
            raise BufferFullError(f"{folder} is not empty (it holds {taken.name}); name a new folder")
        memory.require(num_bytes, memory.disk_bytes(folder), f"on the disk of {folder}", "free some of it")
        return cls("disk", torch.device("cpu"), folder)

    def zeros(self, name: str, ring: RingShape) -> Tensor:
        """Allocate one ring.

        Raises:
            BufferFullError: in spite of the check it could not be had.
        """
        try:
            if self.folder is not None:
                return memory.file_zeros(self.folder / f"{name}.bin", ring.stored, ring.dtype)
            if self.device.type == "cpu":
                return memory.host_zeros(ring.stored, ring.dtype)
            return torch.zeros(ring.stored, dtype=getattr(torch, ring.dtype), device=self.device)
        except (OSError, RuntimeError, MemoryError) as error:
            reason = str(error).splitlines()[0]
            size = f"{ring.num_bytes / 1e9:.1f} GB"
            raise BufferFullError(
                f"a ring of {size} could not be had ({reason}); lower buffer.capacity_ticks"
            ) from error

    def touched(self) -> None:
        """Say that what is stored will change: files said to be whole are so no longer."""
        if self.folder is not None and self.kind == "disk":
            (self.folder / MANIFEST).unlink(missing_ok=True)
