"""The stores of the log benchmark beside ours, each in its best documented setting, with one and the same interface."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportArgumentType=false
# (extras without stubs)
from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from log_workload import BLOCK_TICKS, CASE, KEYS

__all__ = ["Hdf5", "Mcap", "Memmap", "ZarrWindows", "ZarrWrite", "Zarrs", "sync_tree"]


def sync_tree(folder: Path, since_ns: int = 0) -> None:
    """Make every file that was changed since then durable, and the names of the folders."""
    for parent, _, files in os.walk(folder):
        for path in (parent, *(os.path.join(parent, file) for file in files)):
            if os.stat(path).st_mtime_ns >= since_ns:
                handle = os.open(path, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)


class _ByTick:
    """Arrays ``(ticks, lanes, ...)`` by key, in ``self.arrays``."""

    arrays: dict[str, Any]
    at = 0
    num_windows = 32

    def write(self, block: dict[str, np.ndarray]) -> None:
        """Write a block where the last one ended."""
        for name, values in block.items():
            self.arrays[name][self.at : self.at + BLOCK_TICKS] = values
        self.at += BLOCK_TICKS

    def close(self) -> None:
        """Nothing is open."""

    def read(self) -> int:
        """Read all in blocks; return a sum, so that nothing is left out."""
        total, ticks = 0, self.arrays["rgb"].shape[0]
        for start in range(0, ticks, BLOCK_TICKS):
            for array in self.arrays.values():
                total += int(np.array(array[start : start + BLOCK_TICKS]).reshape(-1)[-1])
        return total

    def windows(self, lanes: np.ndarray, ends: np.ndarray) -> dict[str, np.ndarray]:
        """Return windows ``(B, L, ...)`` by key."""
        offsets = np.asarray(CASE.offsets)
        out = {name: np.empty((len(lanes), len(offsets), *shape), dtype) for name, (shape, dtype) in KEYS.items()}
        for name, array in self.arrays.items():
            for row, (lane, end) in enumerate(zip(lanes.tolist(), ends.tolist(), strict=True)):
                out[name][row, :-1] = array[end - 8 : end - 4, lane]
                out[name][row, -1] = array[end, lane]
        return out


class ZarrWrite(_ByTick):
    """Plain zarr-python at its best for writing: chunks of all lanes, full length from the start, our level of zstd.

    The array is not resized at each append, and a block is one chunk an array.
    """

    chunk_lanes = CASE.lanes

    def __init__(self, folder: Path, num_ticks: int, fsync: bool) -> None:
        """Make the arrays."""
        import zarr
        from zarr.codecs import ZstdCodec

        self.folder, self.fsync = folder, fsync
        group = zarr.create_group(folder)
        self.arrays = {
            name: group.create_array(
                name,
                shape=(num_ticks, CASE.lanes, *shape),
                chunks=(BLOCK_TICKS, self.chunk_lanes, *shape),
                dtype=dtype,
                compressors=ZstdCodec(level=-1),
            )
            for name, (shape, dtype) in KEYS.items()
        }

    def write(self, block: dict[str, np.ndarray]) -> None:
        """Write a block of whole chunks."""
        begun = _now_ns(self.folder)
        super().write(block)
        if self.fsync:
            sync_tree(self.folder, begun)


class ZarrWindows(ZarrWrite):
    """The same with chunks (64, 1): the best of the project's survey for random windows, many more files to write."""

    chunk_lanes = 1


def _now_ns(folder: Path) -> int:
    """Return the file system's own time, whose steps are coarser than the clock's."""
    mark = folder / ".now"
    mark.write_bytes(b"")
    now = mark.stat().st_mtime_ns
    mark.unlink()
    return now


class Zarrs(_ByTick):
    """zarr-python with the codec pipeline of the package ``zarrs``; whole shards (64, 8) of chunks (16, 1), lz4."""

    def __init__(self, folder: Path, num_ticks: int, fsync: bool) -> None:
        """Make the arrays at full length, as its writer cannot append faster than zarr-python."""
        import zarr
        import zarrs  # noqa: F401  (registers the pipeline)
        from zarr.codecs import BloscCodec

        self._pipeline = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}
        with zarr.config.set(self._pipeline):
            group = zarr.create_group(folder)
            self.arrays = {
                name: group.create_array(
                    name,
                    shape=(num_ticks, CASE.lanes, *shape),
                    chunks=(16, 1, *shape),
                    shards=(BLOCK_TICKS, CASE.lanes, *shape),
                    dtype=dtype,
                    compressors=BloscCodec(cname="lz4", clevel=5, shuffle="noshuffle"),
                )
                for name, (shape, dtype) in KEYS.items()
            }


class Hdf5(_ByTick):
    """h5py, chunks (16, 1), lzf."""

    def __init__(self, folder: Path, num_ticks: int, fsync: bool) -> None:
        """Make the file."""
        import h5py

        folder.mkdir(parents=True)
        self.file = h5py.File(folder / "run.h5", "w")
        self.fsync = fsync
        self.arrays = {
            name: self.file.create_dataset(
                name,
                (0, CASE.lanes, *shape),
                dtype,
                maxshape=(None, CASE.lanes, *shape),
                chunks=(16, 1, *shape),
                compression="lzf",
            )
            for name, (shape, dtype) in KEYS.items()
        }

    def write(self, block: dict[str, np.ndarray]) -> None:
        """Append a block."""
        for name, values in block.items():
            array = self.arrays[name]
            array.resize(array.shape[0] + BLOCK_TICKS, axis=0)
            array[-BLOCK_TICKS:] = values
        self.file.flush()

    def close(self) -> None:
        """Flush; the file stays open for reading."""
        self.file.flush()


class Memmap(_ByTick):
    """np.memmap: no compression, no checksum, the floor of reading."""

    num_windows = 256

    def __init__(self, folder: Path, num_ticks: int, fsync: bool) -> None:
        """Make the files."""
        folder.mkdir(parents=True)
        self.at = 0
        self.arrays = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (num_ticks, CASE.lanes, *shape))
            for name, (shape, dtype) in KEYS.items()
        }

    def windows(self, lanes: np.ndarray, ends: np.ndarray) -> dict[str, np.ndarray]:
        """Return windows ``(B, L, ...)`` by key, by one gather each."""
        ticks = ends[:, None] + np.asarray(CASE.offsets)
        return {name: array[ticks, lanes[:, None]] for name, array in self.arrays.items()}


class Mcap:
    """The Python writer of MCAP: one message a key and lane-tick, zstd chunks of 1 MiB. It has no random windows."""

    num_windows = 0

    def __init__(self, folder: Path, num_ticks: int, fsync: bool) -> None:
        """Make the file."""
        from mcap.writer import CompressionType, Writer

        folder.mkdir(parents=True)
        self.path, self.tick = folder / "run.mcap", 0
        self.file = self.path.open("wb")
        self.writer = Writer(self.file, compression=CompressionType.ZSTD)
        self.writer.start()
        schema = self.writer.register_schema("array", "jsonschema", b"{}")
        self.channels = {name: self.writer.register_channel(name, "raw", schema) for name in KEYS}

    def write(self, block: dict[str, np.ndarray]) -> None:
        """Write the messages of a block."""
        for tick in range(BLOCK_TICKS):
            for name, values in block.items():
                for lane in range(CASE.lanes):
                    data = values[tick, lane].tobytes()
                    self.writer.add_message(self.channels[name], self.tick, data, self.tick, lane)
            self.tick += 1

    def close(self) -> None:
        """Finish the file."""
        self.writer.finish()
        self.file.close()

    def read(self) -> int:
        """Read all messages; return a sum of bytes."""
        from mcap.reader import make_reader

        total = 0
        with self.path.open("rb") as file, contextlib.closing(file):
            for _, channel, message in make_reader(file).iter_messages():
                total += int(np.frombuffer(message.data, KEYS[channel.topic][1])[-1])
        return total
