"""Import ROS bags: ROS 1 ``.bag`` files, and ROS 2 folders or files (sqlite3 or MCAP storage), read by rosbags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import IMPORTERS, ImportReport, need
from embodied_ssl.logs.importers.mcap_records import MAGIC as MCAP_MAGIC
from embodied_ssl.logs.importers.mcap_records import refuse_pointer
from embodied_ssl.logs.importers.message_importer import MessageImporter
from embodied_ssl.logs.importers.messages import Channel, MessageImport, Packet
from embodied_ssl.logs.importers.rosbag_decoder import RosbagDecoder
from embodied_ssl.logs.importers.rosbag_sizes import check_chunks

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

MAGIC = b"#ROSBAG V2.0\n"
DATABASE_MAGIC = b"SQLite format 3\0"
METADATA = "metadata.yaml"


@IMPORTERS.register("rosbag")
class RosbagImporter(MessageImporter):
    """One bag; the times, numbers and text of its messages, by the rule of `message_fields`.

    The time at which a message was written to the bag is its arrival time; its ``header.stamp``, if it has one, the
    capture time. ``header.seq`` (ROS 1) is the sequence number. The bag is read twice, in order of arrival.
    """

    extra: ClassVar[str] = "ros"

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether this is a folder with a bag's metadata, or a file that begins as one."""
        if path.is_dir():
            return (path / METADATA).is_file() and b"rosbag2_bagfile_information" in (path / METADATA).read_bytes()
        if not path.is_file() or path.suffix == ".bag":
            return path.is_file()
        with path.open("rb") as file:
            head = file.read(16)
        return head.startswith(MAGIC) or (head == DATABASE_MAGIC and path.suffix == ".db3")

    def _scan(self) -> MessageImport:
        self._check()
        self._source = RosbagSource(self._path)
        return MessageImport(self._source, self._limits, self._topics)

    def _check(self) -> None:
        """Refuse pointers, wrong files and chunks that are not believed, before rosbags opens anything."""
        if self._path.is_dir():
            for file in sorted(self._path.iterdir()):
                if file.is_file():
                    refuse_pointer(file)
            return
        head = refuse_pointer(self._path)
        if head.startswith(MAGIC):
            check_chunks(self._path, len(MAGIC), self._max_chunk_bytes)
        elif self._path.suffix == ".bag" or not head.startswith((DATABASE_MAGIC, MCAP_MAGIC)):
            raise LogError(f"{self._path}: not a ROS bag (wrong magic bytes)")

    def facts(self) -> dict[str, Any]:
        """Return format, source, types of messages, names of fields and text that never changes."""
        return {"format": "rosbag", "source": self._path.name, **self._scanned().facts()}

    def total(self) -> int:
        """Return the number of messages."""
        self._scanned()
        return self._source.count

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write all rows as one episode from the first to the last capture time."""
        scanned = self._scanned()
        span = scanned.span_ns()
        if span is not None:
            writer.begin_episode(span[0], source=self._path.name)
        report = scanned.write(writer, progress)
        if span is not None:
            writer.end_episode(span[1])
        return ImportReport(report.rows, [*self._source.notes, *report.notes])


class RosbagSource:
    """The messages of a bag.

    Attributes:
        count: how many, after the first iteration.
        notes: where reading ended early.
    """

    def __init__(self, path: Path) -> None:
        """Bind to a bag."""
        need("rosbags", "ros")
        self._path, self.count, self.notes = path, 0, list[str]()

    def packets(self) -> Iterator[Packet]:
        """Yield all messages in order of arrival; a damaged end is noted."""
        reader, done = self._open(), 0
        self.notes = []
        try:
            channels = {id(one): _channel(one, reader) for one in reader.connections}
            messages = reader.messages()
            while (message := self._next(messages, done)) is not None:
                connection, t_ns, data = message
                done += 1
                yield Packet(channels[id(connection)], data, t_ns, t_ns, 0, done)
        finally:
            self.count = max(self.count, done)
            reader.close()

    def _next(self, messages: Iterator[Any], done: int) -> Any:
        try:
            return next(messages, None)
        except Exception as error:  # rosbags, sqlite3 and decompressors each raise their own
            self.notes.append(
                f"the bag is damaged after {done} messages ({type(error).__name__}: {error}): the rest is lost"
            )
            return None

    def _open(self) -> Any:
        """Open with rosbags; bags without definitions (older ROS 2) are read with those of Humble."""
        typestores = need("rosbags.typesys", "ros")
        store = typestores.get_typestore(typestores.Stores.ROS2_HUMBLE)
        try:
            reader = need("rosbags.highlevel", "ros").AnyReader([self._path], default_typestore=store)
            reader.open()
        except Exception as error:  # rosbags raises its own, KeyError, sqlite errors ... on damaged bags
            raise LogError(f"{self._path}: rosbags cannot open it ({type(error).__name__}: {error})") from None
        return reader


def _channel(connection: Any, reader: Any) -> Channel:
    try:
        decoder, problem = RosbagDecoder(connection.msgtype, reader), ""
    except LogError as error:
        decoder, problem = None, f"cannot be read: {error}"
    own_seq = "header.seq" if decoder is not None and "header.seq" in decoder.dtypes else ""
    return Channel(connection.topic, connection.msgtype, decoder, problem, own_seq=own_seq)
