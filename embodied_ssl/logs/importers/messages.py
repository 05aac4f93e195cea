"""Messages to streams in two passes: look at all of them, then write rows; used by MCAP files and ROS bags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.importers.base import ImportReport
from embodied_ssl.logs.importers.message_fields import Limits
from embodied_ssl.logs.importers.message_topics import Topic
from embodied_ssl.logs.schema import LogStream

if TYPE_CHECKING:
    from embodied_ssl.logs.writer import LogWriter


class Decoder(Protocol):
    """Bytes of one message to a flat table; ``dtypes`` names the numbers that the format declares, by path."""

    @property
    def dtypes(self) -> Mapping[str, str]:
        """Numpy name of every declared number, by path."""
        ...

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return path to number, array, text or list; raise ValueError for a damaged message."""
        ...


@dataclass(frozen=True)
class Channel:
    """Where messages of one kind come from.

    Attributes:
        topic: name of the stream.
        schema: name of the message type.
        decoder: of its messages; None when nothing here can read them.
        problem: why there is no decoder.
        stream: the stream as our own exporter wrote it.
        lane: lane of our own exporter.
        own_seq: path of a sequence number within the message (ROS 1), else empty.
    """

    topic: str
    schema: str
    decoder: Decoder | None
    problem: str = ""
    stream: LogStream | None = None
    lane: int = 0
    own_seq: str = ""


@dataclass(frozen=True)
class Packet:
    """One message as it lies in the file; times in nanoseconds; ``done`` counts the units of progress so far."""

    channel: Channel
    data: bytes
    published_ns: int
    received_ns: int
    seq: int
    done: int


class MessageSource(Protocol):
    """A file of messages; every iteration starts from the front; ``notes`` say what the last one lost."""

    notes: list[str]

    def packets(self) -> Iterator[Packet]:
        """Yield all messages in the order of the file."""
        ...


class MessageImport:
    """Both passes over one source."""

    def __init__(self, source: MessageSource, limits: Limits, topics: str = "") -> None:
        """Look at every message of the source.

        Args:
            source: what to import.
            limits: of arrays and texts.
            topics: names divided by commas; empty: all.

        Raises:
            LogError: a topic that is asked for is not in the file, or there is nothing to store.
        """
        self._source, self._limits = source, limits
        self._wanted = {name.strip() for name in topics.split(",") if name.strip()}
        self.topics: dict[str, Topic] = {}
        self._scan()

    def _scan(self) -> None:
        present: set[str] = set()
        for packet in self._source.packets():
            present.add(packet.channel.topic)
            if not self._wanted or packet.channel.topic in self._wanted:
                self._topic(packet.channel).see(packet)
        for name in self._wanted - present:
            raise LogError(f"no topic {name!r} in the file; {nearest(name, present)}")
        taken: set[str] = set()
        for topic in self.topics.values():
            topic.finish(taken)
            taken |= {stream.name for stream in topic.streams}
        if not taken:
            why = "; ".join([*self._source.notes, *self.notes()][:3]) or "it has no messages"
            raise LogError(f"there is nothing to store in the file: {why}")

    def _topic(self, channel: Channel) -> Topic:
        if channel.topic not in self.topics:
            self.topics[channel.topic] = Topic(channel, self._limits)
        return self.topics[channel.topic]

    def streams(self) -> list[LogStream]:
        """Return the streams of all topics."""
        return [stream for topic in self.topics.values() for stream in topic.streams]

    def facts(self) -> dict[str, Any]:
        """Return what the streams are made of."""
        topics = self.topics.values()
        return {
            "message_types": {topic.name: topic.schema for topic in topics},
            "fields": {stream: names for topic in topics for stream, names in topic.field_names().items()},
            "constants": {topic.name: topic.constants for topic in topics if topic.constants},
        }

    def span_ns(self) -> tuple[int, int] | None:
        """Return earliest and latest capture time, None without messages; topics with one time only do not count."""
        times = [topic.times for topic in self.topics.values() if topic.streams]
        times = [one for one in times if one.oldest_ns < one.newest_ns] or times
        return (min(t.oldest_ns for t in times), max(t.newest_ns for t in times)) if times else None

    def write(self, writer: LogWriter, progress: Callable[[int], None]) -> ImportReport:
        """Write the rows of every topic in the order of the file, as one episode for each lane.

        Args:
            writer: a log with `streams`.
            progress: called with the units of the source done since the last call.
        """
        done = 0
        for packet in self._source.packets():
            topic = self.topics.get(packet.channel.topic)
            if topic is not None:
                topic.write(packet, writer)
            if packet.done > done:
                progress(packet.done - done)
                done = packet.done
        for topic in self.topics.values():
            topic.flush(writer)
        rows = {stream.name: topic.rows[stream.name] for topic in self.topics.values() for stream in topic.streams}
        return ImportReport(rows, self.notes())

    def notes(self) -> list[str]:
        """Return one line for everything that was left out or altered."""
        lines = [f"{topic.name}: {line}" for topic in self.topics.values() for line in topic.notes()]
        silent = [topic.name for topic in self.topics.values() if topic.streams and not topic.times.seq_seen]
        if silent:
            lines.append(f"no sequence numbers (all 0), so lost messages cannot be counted: {', '.join(silent)}")
        return lines
