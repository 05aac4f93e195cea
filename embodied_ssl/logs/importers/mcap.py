"""Import MCAP files with ROS 2 (CDR), protobuf and JSON messages, also those that were cut short."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import IMPORTERS, ImportReport, need
from embodied_ssl.logs.importers.cdr import CdrDecoder
from embodied_ssl.logs.importers.mcap_json import JsonDecoder
from embodied_ssl.logs.importers.mcap_protobuf import ProtobufDecoder
from embodied_ssl.logs.importers.mcap_records import MAGIC, McapRecords
from embodied_ssl.logs.importers.message_importer import MessageImporter
from embodied_ssl.logs.importers.messages import Channel, Decoder, MessageImport, Packet
from embodied_ssl.logs.importers.ros_definitions import parse_definitions
from embodied_ssl.logs.schema import LogStream

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter

OWN_STREAM, OWN_LANE, OWN_LOG = "embodied_ssl.stream", "embodied_ssl.lane", "embodied_ssl.log"
"""Keys under which our exporter leaves the stream and lane of a channel, and the log's facts and episodes."""

LATEST_NS = (1 << 63) - 1


@IMPORTERS.register("mcap")
class McapImporter(MessageImporter):
    """One ``.mcap`` file; the times, numbers and text of its messages, by the rule of `message_fields`.

    ``log_time`` becomes the arrival time; a ``header.stamp`` or ``timestamp`` of the message, else ``publish_time``,
    the capture time. The file is read twice, one chunk at a time: first to learn sizes, then to write.
    """

    extra: ClassVar[str] = "mcap"

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether the file begins as an MCAP file or is called one."""
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return path.suffix == ".mcap" or file.read(len(MAGIC)) == MAGIC

    def _scan(self) -> MessageImport:
        self._source = McapSource(self._path, self._max_chunk_bytes)
        return MessageImport(self._source, self._limits, self._topics)

    def facts(self) -> dict[str, Any]:
        """Return format, source, types of messages, names of fields, text that never changes, and metadata."""
        facts = self._scanned().facts()
        metadata = {name: table for name, table in self._source.metadata.items() if name != OWN_LOG}
        own = {"exported_from": self._own_log().get("facts", {})} if self._own_log() else {}
        return {"format": "mcap", "source": self._path.name, **facts, "metadata": metadata, **own}

    def _own_log(self) -> dict[str, Any]:
        """Return what our exporter said of the log, nothing for files of others."""
        try:
            own = json.loads(self._source.metadata.get(OWN_LOG, {}).get("json", "{}"))
        except (ValueError, RecursionError):
            return {}
        return own if isinstance(own, dict) else {}

    def total(self) -> int:
        """Return the bytes of the file."""
        return self._path.stat().st_size

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write all rows and the episodes: those of our exporter, else one from first to last message."""
        scanned = self._scanned()
        report = scanned.write(writer, progress)
        span, episodes = scanned.span_ns(), self._own_log().get("episodes")
        if episodes is None and span is not None:
            episodes = [{"lane": 0, "start_ns": span[0], "end_ns": span[1], "facts": {"source": self._path.name}}]
        try:
            for episode in episodes or []:
                _write_episode(writer, episode)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise LogError(f"{self._path}: its {OWN_LOG} metadata are damaged") from None
        return ImportReport(report.rows, [*self._source.notes, *report.notes])


def _write_episode(writer: LogWriter, episode: dict[str, Any]) -> None:
    lane, kind = int(episode["lane"]), episode.get("end_kind", "unknown")
    first, last = int(episode.get("start_tick", -1)), int(episode.get("end_tick", -1))
    writer.begin_episode(int(episode["start_ns"]), lane, first, facts=episode.get("facts", {}))
    if episode["end_ns"] is not None:
        writer.end_episode(int(episode["end_ns"]), lane, last, kind=kind)


class McapSource:
    """The messages of a file.

    Attributes:
        notes: what was lost, of the last iteration.
        metadata: metadata records by name.
    """

    def __init__(self, path: Path, max_chunk_bytes: int) -> None:
        """Open a file; see `McapRecords`."""
        need("mcap", "mcap")
        self._records, self.metadata = McapRecords(path, max_chunk_bytes), dict[str, dict[str, str]]()
        self.notes: list[str] = []

    def packets(self) -> Iterator[Packet]:
        """Yield all messages in the order of the file."""
        schemas: dict[int, Any] = {}
        channels: dict[int, Channel] = {}
        records = need("mcap.records", "mcap")
        orphans = 0
        for record, done in self._records:
            if isinstance(record, records.Message):
                if record.channel_id in channels:
                    yield _packet(channels[record.channel_id], record, done)
                else:
                    orphans += 1
            elif isinstance(record, records.Schema):
                schemas[record.id] = record
            elif isinstance(record, records.Channel) and record.id not in channels:
                channels[record.id] = make_channel(record, schemas.get(record.schema_id))
            elif isinstance(record, records.Metadata):
                self.metadata[record.name] = record.metadata
        lost = f"{orphans} messages of channels that are not described (lost with a damaged chunk) were left out"
        self.notes = [*self._records.notes, *([lost] if orphans else [])]


def _packet(channel: Channel, message: Any, done: int) -> Packet:
    if max(message.log_time, message.publish_time) > LATEST_NS:
        raise LogError(f"topic {channel.topic!r}: a message's time ({message.log_time} ns) is beyond the year 2262")
    return Packet(channel, message.data, message.publish_time, message.log_time, message.sequence, done)


def make_channel(record: Any, schema: Any) -> Channel:
    """Return a channel with its decoder, or with the reason why there is none."""
    name = schema.name if schema is not None else ""
    try:
        decoder, problem = _decoder(record.message_encoding, schema), ""
    except LogError as error:
        decoder, problem = None, f"cannot be read: {error}"
    own = record.metadata.get(OWN_STREAM)
    if own is None:
        return Channel(record.topic, name, decoder, problem)
    try:
        stream, lane = LogStream.from_json(json.loads(own)), int(record.metadata.get(OWN_LANE, "0"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise LogError(f"channel {record.topic!r}: its {OWN_STREAM} metadata are damaged") from None
    return Channel(stream.name, name, decoder, problem, stream, lane)


def _decoder(encoding: str, schema: Any) -> Decoder:
    """Return the decoder for an encoding and its schema record, which may be None."""
    if encoding == "json":
        return JsonDecoder(schema.data if schema is not None else b"")
    if schema is None:
        raise LogError(f"messages encoded as {encoding!r} without a schema")
    kind = schema.encoding
    if encoding == "cdr" and kind == "ros2msg":
        return CdrDecoder(schema.name, parse_definitions(schema.name, schema.data.decode("utf-8", "replace")))
    if encoding == "protobuf" and kind == "protobuf":
        return ProtobufDecoder(schema)
    raise LogError(f"messages encoded as {encoding!r} with a schema in {kind!r} are not supported")
