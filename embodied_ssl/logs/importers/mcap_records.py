"""The records of an MCAP file, one chunk in memory at a time, up to the last one that is whole.

The indexed reader of the ``mcap`` package yields nothing from a file that was cut short, so records are walked from
the front. Every declared length is compared with what the file has left and with a limit before memory is taken.
Format: https://mcap.dev/spec
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import need

MAGIC = b"\x89MCAP0\r\n"
LFS_MARK = b"version https://git-lfs"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 1, 2, 3, 4, 5, 6
METADATA, DATA_END = 12, 15


def refuse_pointer(path: Path) -> bytes:
    """Return the first bytes of a file, after checking that it has any and is no Git-LFS pointer.

    Raises:
        LogError: the file is missing, empty, or a pointer to data that was never fetched.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from None
    if not head:
        raise LogError(f"{path}: the file is empty (0 bytes)")
    if head.startswith(LFS_MARK):
        raise LogError(f"{path}: this is a Git-LFS pointer, not the data; fix: `git lfs pull` where it came from")
    return head


class McapRecords:
    """Iterate over the schemas, channels, messages and metadata of a file; what is damaged is counted, not hidden.

    Attributes:
        notes: what was lost, filled by the iteration: a cut end, damaged chunks.
    """

    def __init__(self, path: Path, max_chunk_bytes: int) -> None:
        """Check the magic bytes.

        Args:
            path: the file.
            max_chunk_bytes: largest record or decompressed chunk that is believed.

        Raises:
            LogError: not an MCAP file.
        """
        if not refuse_pointer(path).startswith(MAGIC):
            raise LogError(f"{path}: not an MCAP file (wrong magic bytes)")
        self.path, self.max_chunk_bytes, self.notes = path, max_chunk_bytes, list[str]()
        self.size = path.stat().st_size

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        """Yield ``(record, bytes of the file done)`` in file order."""
        self.notes = []
        with self.path.open("rb") as file:
            file.seek(len(MAGIC))
            while (head := self._head(file)) is not None:
                opcode, length = head
                if opcode in (DATA_END, FOOTER):
                    return
                if opcode == CHUNK:
                    yield from ((record, file.tell()) for record in self._chunk(file, length))
                elif opcode in (SCHEMA, CHANNEL, MESSAGE, METADATA):
                    yield from ((record, file.tell()) for record in self._single(opcode, file, length))
                else:
                    file.seek(length, io.SEEK_CUR)

    def _single(self, opcode: int, file: BinaryIO, length: int) -> list[Any]:
        """Parse a record that lies outside chunks; none when it is damaged, which is noted."""
        start = file.tell()
        try:
            return [self._parse(opcode, file.read(length))]
        except (ValueError, struct.error, EOFError, _lib_errors()) as error:
            self.notes.append(f"the record at byte {start:,} is damaged ({error}) and was left out")
            return []

    def _head(self, file: BinaryIO) -> tuple[int, int] | None:
        """Read opcode and length of the next record, or note where the file was cut."""
        start = file.tell()
        head = file.read(9)
        opcode, length = struct.unpack("<BQ", head) if len(head) == 9 else (0, 0)
        if len(head) < 9 or start + 9 + length > self.size:
            what = {CHUNK: "chunk", MESSAGE: "message"}.get(opcode, "record that holds no message")
            self.notes.append(
                f"the file is cut short: the last whole record ends at byte {start:,} of {self.size:,}; "
                f"{self.size - start:,} bytes of an unfinished {what} were lost"
            )
            return None
        if length > self.max_chunk_bytes and opcode in (SCHEMA, CHANNEL, MESSAGE, METADATA, CHUNK):
            raise LogError(self._too_large(f"a record at byte {start:,} has {length:,} bytes"))
        return opcode, length

    def _too_large(self, what: str) -> str:
        return f"{self.path}: {what}, more than {self.max_chunk_bytes:,}; fix: raise max_chunk_mb if you trust the file"

    def _chunk(self, file: BinaryIO, length: int) -> Iterator[Any]:
        """Yield the records of a chunk, or note that it is damaged and go on behind it."""
        start = file.tell()
        try:
            chunk = need("mcap.records", "mcap").Chunk.read(_stream(file.read(length)))
        except (ValueError, struct.error, EOFError, _lib_errors()) as error:
            self.notes.append(f"the head of the chunk at byte {start:,} is damaged ({error}): its messages are lost")
            return
        if chunk.uncompressed_size > self.max_chunk_bytes:
            raise LogError(self._too_large(f"the chunk at byte {start:,} declares {chunk.uncompressed_size:,} bytes"))
        try:
            records = list(self._records(_decompress(chunk)))
        except (ValueError, struct.error, EOFError, RuntimeError, _lib_errors()) as error:
            self.notes.append(
                f"the chunk at byte {start:,} is damaged ({error}) and was left out: its messages from "
                f"{chunk.message_start_time} to {chunk.message_end_time} ns are lost"
            )
            return
        yield from records

    def _records(self, data: bytes) -> Iterator[Any]:
        """Yield what a decompressed chunk holds."""
        at = 0
        while at < len(data):
            opcode, length = struct.unpack_from("<BQ", data, at)
            at += 9
            if at + length > len(data):
                raise ValueError("a record is longer than its chunk")
            if opcode in (SCHEMA, CHANNEL, MESSAGE):
                yield self._parse(opcode, data[at : at + length])
            at += length

    @staticmethod
    def _parse(opcode: int, data: bytes) -> Any:
        """Parse one record with the classes of the ``mcap`` package."""
        records = need("mcap.records", "mcap")
        if opcode == MESSAGE:
            return records.Message.read(_stream(data), len(data))
        return {SCHEMA: records.Schema, CHANNEL: records.Channel, METADATA: records.Metadata}[opcode].read(
            _stream(data)
        )


def _stream(data: bytes) -> Any:
    return need("mcap.data_stream", "mcap").ReadDataStream(io.BytesIO(data))


def _lib_errors() -> type[Exception]:
    """Return the error of the ``mcap`` package; its decompressors raise errors of their own, turned to ValueError."""
    return need("mcap.exceptions", "mcap").McapError


def _decompress(chunk: Any) -> bytes:
    """Return a chunk's records, never more than it declared, with its checksum compared."""
    size = chunk.uncompressed_size
    if chunk.compression == "":
        data = chunk.data
    elif chunk.compression == "zstd":
        data = _unzstd(chunk.data, size)
    elif chunk.compression == "lz4":
        data = _unlz4(chunk.data, size)
    else:
        raise ValueError(f"unknown compression {chunk.compression!r}")
    if len(data) != size:
        raise ValueError(f"{len(data):,} bytes where {size:,} were declared")
    if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
        raise ValueError("its checksum does not fit")
    return data


def _unzstd(data: bytes, size: int) -> bytes:
    zstandard = need("zstandard", "mcap")
    try:
        return zstandard.ZstdDecompressor().stream_reader(data).read(size + 1)
    except zstandard.ZstdError as error:
        raise ValueError(error) from None


def _unlz4(data: bytes, size: int) -> bytes:
    return need("lz4.frame", "mcap").LZ4FrameDecompressor().decompress(data, max_length=size + 1)
