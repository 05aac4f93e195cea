"""How much memory and disk there is, and allocation that fails when it is made, not when it is used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.errors import BufferFullError

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
DEVICE_SHARE = 2.5
"""Free device memory over the size of the buffer from which it is kept on the device: the rest is for learning."""


def host_bytes() -> int:
    """Return the bytes of memory that this process can still have: the machine's, or its control group's."""
    sizes = {}
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []:
        name, value = line.split(":")
        sizes[name] = int(value.split()[0]) * 1024
    available = sizes.get("MemAvailable", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return max(0, min([available, *_cgroup_bytes()]))


def _cgroup_bytes() -> list[int]:
    found = []
    for limit, used in _CGROUPS:
        try:
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or its limit is "max"
            continue
    return found


def device_bytes(device: torch.device) -> int:
    """Return the free bytes of a device's memory."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else host_bytes()


def disk_bytes(folder: Path) -> int:
    """Return the free bytes of the file system of ``folder``; of one in memory no more than there is memory."""
    free = shutil.disk_usage(folder).free
    return min(free, host_bytes()) if _is_in_memory(folder) else free


def _is_in_memory(folder: Path) -> bool:
    best, kind = "", ""
    mounts = Path("/proc/mounts")
    for line in mounts.read_text().splitlines() if mounts.exists() else []:
        _, point, name, *_ = line.split()
        inside = folder.resolve().is_relative_to(point.replace("\\040", " "))
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind in ("tmpfs", "ramfs")


def require(needed: int, available: int, where: str, remedy: str) -> None:
    """Refuse a buffer that does not fit.

    Raises:
        BufferFullError: naming both sizes.
    """
    if needed > available:
        raise BufferFullError(
            f"the buffer needs {_size(needed)} {where}, where {_size(available)} can be had; {remedy}"
        )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"


def host_zeros(shape: tuple[int, ...], dtype: str) -> Tensor:
    """Return zeros whose pages are all there.

    NumPy asks for huge pages; touching them here takes the first-touch cost, and a lack of memory, out of the run.
    """
    array = np.empty(shape, dtype)
    array.fill(0)
    return torch.from_numpy(array)


def file_zeros(path: Path, shape: tuple[int, ...], dtype: str) -> Tensor:
    """Return zeros mapped to a new raw file whose blocks are reserved, so that writing cannot fail later.

    Raises:
        OSError: the disk refuses; the file is gone again.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, size))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return mapped(path, shape, dtype, shared=True)


def mapped(path: Path, shape: tuple[int, ...], dtype: str, shared: bool = False) -> Tensor:
    """Return the contents of a raw file; what is written to them reaches it only if ``shared``."""
    return torch.from_numpy(np.memmap(path, dtype=dtype, mode="r+" if shared else "c", shape=shape))
