"""What importers of recorded messages share: their options, and one look through the file before rows are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from embodied_ssl.logs.importers.int_option import positive_int
from embodied_ssl.logs.importers.message_fields import Limits
from embodied_ssl.logs.importers.messages import MessageImport
from embodied_ssl.logs.schema import LogStream


class MessageImporter(ABC):
    """An importer whose rows are messages, by the rule of `message_fields`; subclasses open the file."""

    def __init__(
        self,
        path: Path,
        *,
        topics: str = "",
        max_length: int = 16384,
        max_text: int = 4096,
        max_chunk_mb: int = 1024,
    ) -> None:
        """Bind to a file or folder.

        Args:
            path: the recording.
            topics: names divided by commas; empty: all.
            max_length: most values of one array of a message.
            max_text: most bytes of one text.
            max_chunk_mb: largest chunk or record that is believed, in 2**20 bytes.
        """
        self._path, self._topics = Path(path), topics
        self._limits = Limits(positive_int(max_length, "max_length"), positive_int(max_text, "max_text"))
        self._max_chunk_bytes = positive_int(max_chunk_mb, "max_chunk_mb") << 20
        self._import: MessageImport | None = None

    @abstractmethod
    def _scan(self) -> MessageImport:
        """Open the source and look through it."""

    def _scanned(self) -> MessageImport:
        if self._import is None:
            self._import = self._scan()
        return self._import

    def streams(self) -> list[LogStream]:
        """Look through the recording and return its streams."""
        return self._scanned().streams()
