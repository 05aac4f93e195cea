"""The log: streams on disk at their own rates, never lost once committed; importers of other formats."""

from __future__ import annotations

from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import Episode, LogRows, LogStream
from embodied_ssl.logs.writer import LogWriter

__all__ = ["Episode", "LogRows", "LogStream", "LogWriter", "StreamLog"]
