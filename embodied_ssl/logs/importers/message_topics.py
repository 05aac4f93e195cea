"""One topic on its way to streams: what was seen of its messages, its layout, and the rows gathered for the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from embodied_ssl.logs.importers.message_fields import Limits, TopicFields, TopicLayout, lay_out
from embodied_ssl.logs.importers.message_images import is_picture, picture_of, pixels
from embodied_ssl.logs.importers.message_rows import RowBatch, number_row, text_row
from embodied_ssl.logs.importers.message_times import TopicTimes, stamp_paths
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.spec import SensorSpec

if TYPE_CHECKING:
    from embodied_ssl.logs.importers.messages import Channel, Packet
    from embodied_ssl.logs.writer import LogWriter


class Topic:
    """All messages of one name.

    Attributes:
        name: of the topic.
        schema: type of its messages.
        streams: filled by `finish`.
        rows: rows written, by stream.
        constants: text that never changes.
    """

    def __init__(self, channel: Channel, limits: Limits) -> None:
        """Start with what the first channel of this name says."""
        self.name, self.schema, self._limits, self._own = channel.topic, channel.schema, limits, channel.stream
        self._picture_topic = is_picture(channel.schema) and (self._own is None or self._own.sensor.is_image)
        self._first = channel
        self.times, self.constants = TopicTimes(), dict[str, str]()
        self.streams, self.rows = list[LogStream](), dict[str, int]()
        self._fields: TopicFields | None = None
        self._layout = TopicLayout()
        self._picture: Any = None
        self._batches: dict[str, RowBatch] = {}
        self._problems: dict[str, int] = {}
        self._publishers: set[int] = set()

    def see(self, packet: Packet) -> None:
        """Look at one message."""
        self._publishers.add(id(packet.channel))
        values = self._decode(packet, count=True)
        if values is None:
            return
        if self._fields is None:
            self.times.stamp = stamp_paths(values)
            hidden = frozenset((*(self.times.stamp or ()), packet.channel.own_seq, *_DATA[self._picture_topic]))
            declared = packet.channel.decoder.dtypes if packet.channel.decoder else {}
            self._fields = TopicFields({k: v for k, v in declared.items() if k not in hidden}, hidden)
        if self._picture_topic and not self._see_picture(values):
            return
        self.times.see(values, packet.published_ns, packet.received_ns, _seq(packet, values))
        self._fields.see(values)

    def _see_picture(self, values: dict[str, Any]) -> bool:
        """Take the first picture's size for the stream's; count those that differ."""
        try:
            picture = picture_of(values)
        except (ValueError, KeyError) as error:
            self._problem(f"has no picture that can be read: {error}")
            return False
        self._picture = self._picture or picture
        if (picture.shape, picture.dtype) != (self._picture.shape, self._picture.dtype):
            self._problem(f"has a picture of another size or type than the first, which is {self._picture.shape}")
            return False
        return True

    def _decode(self, packet: Packet, count: bool = False) -> dict[str, Any] | None:
        """Return the values of a message, or None for one that cannot be read, which is counted on the first pass."""
        channel = packet.channel
        problem = channel.problem
        if channel.schema != self.schema or channel.stream != self._own:
            problem = f"is of type {channel.schema} where the first is of type {self.schema}"
        if not problem and channel.decoder is not None:
            try:
                return channel.decoder.decode(packet.data)
            except ValueError as error:
                problem = f"cannot be decoded: {error}"
        if count:
            self._problem(problem)
        return None

    def _problem(self, what: str) -> None:
        key = what if what in self._problems or len(self._problems) < 8 else "cannot be read for further reasons"
        self._problems[key] = self._problems.get(key, 0) + 1

    def finish(self, taken: set[str]) -> None:
        """Fix the streams, after all messages were seen.

        Args:
            taken: names of streams of other topics.
        """
        if self._fields is None or not self.times.count:
            return
        if self._picture_topic:
            self.streams = [self._picture_stream()]
            self.constants = {path: scan.first for path, scan in self._fields.fields.items() if scan.first}
        elif self._own is not None:
            self.streams = [self._own]
        else:
            self._layout = lay_out(self._fields, self._limits)
            self.constants = self._layout.constants
            self.streams = [*self._number_streams(taken), *self._text_streams()]
        self._batches = {stream.name: RowBatch(stream) for stream in self.streams}
        self.rows = {stream.name: 0 for stream in self.streams}

    def _picture_stream(self) -> LogStream:
        if self._own is not None:
            return self._own
        modality, role = ("camera", "sensor") if self._picture.is_camera else ("depth", "other")
        sensor = SensorSpec(self.name, modality, self._picture.shape, self._picture.dtype, self.times.rate_hz())
        return LogStream(sensor, role)

    def _number_streams(self, taken: set[str]) -> list[LogStream]:
        main, rate, self._names = self._layout.main(), self.times.rate_hz(), dict[str, str]()
        streams = []
        for dtype in self._layout.groups:
            name = self.name if dtype == main and self.name not in taken else f"{self.name}#{dtype}"
            self._names[dtype] = name
            sensor = SensorSpec(name, "vector", (self._layout.width(dtype),), dtype, rate)
            streams.append(LogStream(sensor, "sensor" if dtype == main else "other"))
        return streams

    def _text_streams(self) -> list[LogStream]:
        alone = not self._layout.groups and len(self._layout.texts) == 1
        rate = self.times.rate_hz()
        return [
            LogStream(
                SensorSpec(self.name if alone else f"{self.name}#{path}", "text", (width,), "uint8", rate), "text"
            )
            for path, width in self._layout.texts.items()
        ]

    def field_names(self) -> dict[str, list[str]]:
        """Return the fields of each stream of numbers, ``name[n]`` for n values."""
        names = {}
        for dtype, slots in self._layout.groups.items():
            names[self._names[dtype]] = [_slot_name(slot.path, slot.stop - slot.start, slot.counts) for slot in slots]
        return names

    def write(self, packet: Packet, writer: LogWriter) -> None:
        """Gather the rows of one message; whole batches go to the writer."""
        values = self._decode(packet) if self.streams else None
        if values is None:
            return
        rows = self._rows(values)
        if rows is None:
            return
        seq = _seq(packet, values) if self._has_seq else -1
        t_ns = self.times.capture_ns(values, packet.published_ns)
        for stream, row in zip(self.streams, rows, strict=True):
            self.rows[stream.name] += 1
            self._batches[stream.name].add(row, (t_ns, packet.received_ns, seq, packet.channel.lane), writer)

    @property
    def _has_seq(self) -> bool:
        """Whether numbers count messages: some are not 0, and one channel gives them, or one a lane."""
        return self.times.seq_seen and (len(self._publishers) == 1 or self._own is not None)

    def _rows(self, values: dict[str, Any]) -> list[np.ndarray] | None:
        """Return one row for each stream; None for a picture that cannot be decoded."""
        if self._picture_topic:
            return self._picture_rows(values)
        if self._own is not None:
            return self._own_rows(self._own, values)
        numbers = [number_row(slots, dtype, values) for dtype, slots in self._layout.groups.items()]
        return numbers + [text_row(values.get(path), width) for path, width in self._layout.texts.items()]

    def _own_rows(self, own: LogStream, values: dict[str, Any]) -> list[np.ndarray] | None:
        try:
            return [own_row(own, values)]
        except (ValueError, KeyError, TypeError) as error:
            self._problem(f"does not fit the stream that the channel describes: {error}")
            return None

    def _picture_rows(self, values: dict[str, Any]) -> list[np.ndarray] | None:
        """Decode a picture; the first pass has counted those of another size or kind, not those that are damaged."""
        try:
            picture = picture_of(values)
        except (ValueError, KeyError):
            return None
        if (picture.shape, picture.dtype) != (self._picture.shape, self._picture.dtype):
            return None
        try:
            return [pixels(values)]
        except ValueError as error:
            self._problem(f"has a picture that cannot be decoded: {error}")
            return None

    def flush(self, writer: LogWriter) -> None:
        """Hand over what is left."""
        for batch in self._batches.values():
            batch.flush(writer)

    def notes(self) -> list[str]:
        """Return what was left out or altered."""
        lines = [f"{count} messages left out: each {what}" for what, count in self._problems.items()]
        if not self.streams and self._fields is not None and self.times.count:
            lines.append(f"{self.times.count} messages of type {self.schema} hold nothing to store")
        if self.times.seq_seen and not self._has_seq:
            lines.append(f"{len(self._publishers)} channels number their messages apart: no sequence numbers kept")
        return lines + self._layout.notes + self.times.notes()


_DATA = {True: ("data",), False: ()}


def own_row(stream: LogStream, values: dict[str, Any]) -> np.ndarray:
    """Return a row that our own exporter wrote."""
    if stream.role == "text" and "text" in values:
        return text_row(values["text"], stream.sensor.size)
    return np.asarray(values["values"]).astype(stream.sensor.dtype).reshape(stream.sensor.shape)


def _slot_name(path: str, size: int, counts: bool) -> str:
    if counts:
        return f"len({path.partition('[]')[0]})"
    return path if size == 1 else f"{path}[{size}]"


def _seq(packet: Packet, values: dict[str, Any]) -> int:
    return int(values[packet.channel.own_seq]) if packet.channel.own_seq else packet.seq
