# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyulog ships no types.
"""Import PX4 flight logs (ULog): every topic and instance a stream, with the drop-outs that the file records."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import IMPORTERS, ImportReport, need
from embodied_ssl.logs.importers.int_option import positive_int
from embodied_ssl.logs.importers.mcap_records import refuse_pointer
from embodied_ssl.logs.importers.ulog_topics import Table, message_tables, topic_tables
from embodied_ssl.logs.jsonable import jsonable
from embodied_ssl.logs.schema import LogStream

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

MAGIC = b"ULog\x01\x12\x35"
BATCH_ROWS = 4096


@dataclass(frozen=True)
class _Contents:
    """What a file holds: the parsed file, its tables, and what people should know."""

    log: Any
    tables: list[Table]
    notes: list[str]


@IMPORTERS.register("ulog")
class ULogImporter:
    """One ``.ulg`` file. pyulog loads it whole, so its size is limited.

    ``timestamp`` (microseconds since boot) becomes the arrival time, and the capture time too unless the topic has a
    ``timestamp_sample`` that is not zero. Fields are grouped by type as `message_fields` says; instance 1 of a topic
    is called ``topic.1``. Rows keep the order and the repeated times of the file.
    """

    extra: ClassVar[str] = "ulog"

    def __init__(self, path: Path, *, max_file_mb: int = 1024) -> None:
        """Bind to a file.

        Args:
            path: the file.
            max_file_mb: largest file that is loaded, in 2**20 bytes; about three times as much memory is needed.
        """
        self._path, self._max_bytes = Path(path), positive_int(max_file_mb, "max_file_mb") << 20
        self._contents: _Contents | None = None

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether the file begins as a ULog file or is called one."""
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return path.suffix == ".ulg" or file.read(len(MAGIC)) == MAGIC

    def _loaded(self) -> _Contents:
        if self._contents is None:
            log = self._parse()
            notes: list[str] = []
            tables = [*topic_tables(log.data_list, notes), *message_tables(log, notes)]
            if not tables:
                raise LogError(f"{self._path}: there is nothing to store in the file: it has no messages")
            self._contents = _Contents(log, tables, [*self._file_notes(log), *notes])
        return self._contents

    def _parse(self) -> Any:
        if not refuse_pointer(self._path).startswith(MAGIC):
            raise LogError(f"{self._path}: not a ULog file (wrong magic bytes)")
        if (size := self._path.stat().st_size) > self._max_bytes:
            raise LogError(
                f"{self._path}: {size:,} bytes, more than {self._max_bytes:,} to load; fix: raise max_file_mb"
            )
        pyulog = need("pyulog", self.extra)
        try:
            with contextlib.redirect_stdout(io.StringIO()), self._path.open("rb") as file:  # it prints on damaged files
                return pyulog.ULog(file)
        except Exception as error:  # pyulog raises its own, TypeError, ValueError, struct.error ... on damaged files
            raise LogError(f"{self._path}: pyulog cannot read it ({type(error).__name__}: {error})") from None

    @staticmethod
    def _file_notes(log: Any) -> list[str]:
        notes = []
        if log.dropouts:
            lost_ms = sum(dropout.duration for dropout in log.dropouts)
            notes.append(f"the file records {len(log.dropouts)} drop-outs of the logger, {lost_ms} ms together")
        if log.file_corruption:
            notes.append("the file is damaged: pyulog left out what it could not read")
        return notes

    def streams(self) -> list[LogStream]:
        """Load the file and return its streams."""
        return [table.stream for table in self._loaded().tables]

    def facts(self) -> dict[str, Any]:
        """Return format, source, fields, drop-outs, the system's information and parameters."""
        contents = self._loaded()
        log = contents.log
        drops = [{"t_ns": drop.timestamp * 1000, "duration_ms": drop.duration} for drop in log.dropouts]
        changed = [[t * 1000, name, value] for t, name, value in log.changed_parameters]
        return {
            "format": "ulog",
            "source": self._path.name,
            "fields": {table.stream.name: table.fields for table in contents.tables if table.fields},
            "dropouts": drops,
            "info": jsonable(log.msg_info_dict),
            "parameters": jsonable(log.initial_parameters),
            "changed_parameters": jsonable(changed),
        }

    def total(self) -> int:
        """Return the number of rows."""
        return sum(len(table.t_ns) for table in self._loaded().tables)

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write all rows as one episode over the span of the topics whose clock runs."""
        contents = self._loaded()
        filled = [table for table in contents.tables if len(table.t_ns)]
        span = _span_ns(filled)
        if span is not None:
            writer.begin_episode(span[0], source=self._path.name)
        for table in filled:
            _write_table(writer, table, progress)
        if span is not None:
            writer.end_episode(span[1])
        return ImportReport({table.stream.name: len(table.t_ns) for table in contents.tables}, contents.notes)


def _span_ns(tables: list[Table]) -> tuple[int, int] | None:
    """Return first and last capture time of the topics whose clock runs; some real ones carry one wrong time only."""
    running = [table for table in tables if table.t_ns.min() < table.t_ns.max()] or tables
    if not running:
        return None
    return min(int(table.t_ns.min()) for table in running), max(int(table.t_ns.max()) for table in running)


def _write_table(writer: LogWriter, table: Table, progress: Callable[[int], None]) -> None:
    for start in range(0, len(table.t_ns), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        rows = np.stack([column[part] for column in table.columns], axis=1)
        writer.append(table.stream.name, rows, table.t_ns[part], table.t_recv_ns[part])
        progress(len(rows))
